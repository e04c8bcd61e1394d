"""Measures what it costs to have an order signed in a process of its own, against signing in the same process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.bootstrap.signer import SignerProcess
from controller.cli.setup.deployment import DEFAULT_PORTS, write_deployment
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.permit import IssuedPermit, PermitOffice
from controller.settings.deployment import SignerSettings
from controller.signer.protocol import Kind
from controller.signer.remote import RemoteSigner
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import OrderIntent, OrderType, Side
from exchange.ports import Signer, VenueName
from exchange.wire.orders import order_params
from exchange.wire.signing import encode_params
from ops.bench.measure import Contest, Figures, Goal, Line, Round, turns

_ORDERS, _EPOCH, _SYMBOL = 2_000, 1, "BTCUSDT"
_PER_SECOND = 1_000_000
"""The bench must not meet the signer's own limit of orders a second."""


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A signer process for a rehearsal's testnet account, started as ``gatehouse run`` starts it."""
    orders = max(2, int(_ORDERS * size))
    with TemporaryDirectory() as place:
        directory = Path(place) / "bench"
        write_deployment(directory, DEFAULT_PORTS)
        settings = directory / "gatehouse.toml"
        settings.write_text(settings.read_text() + f"\n[signer]\norders_per_second = {_PER_SECOND}\n")
        process = SignerProcess(directory, SignerSettings(), lambda _: None)
        process.start()
        try:
            process.inform(((Kind.LEAD, 0, str(_EPOCH).encode()),))
            remote = RemoteSigner(process.link, VenueName.TESTNET, "mx0bench")
            local = LocalSigner("mx0bench", "a-secret-of-no-value", SignerLimits(frozenset({_SYMBOL}), Decimal(1_000)))
            office = PermitOffice(SystemClock(), _EPOCH)

            def one_round(number: int) -> Figures:
                return turns(
                    number,
                    lambda: {"ours": _microseconds(remote, office, orders)},
                    lambda: {"local": _microseconds(local, office, orders)},
                )

            yield one_round
        finally:
            process.close()


def _microseconds(signer: Signer, office: PermitOffice, orders: int) -> float:
    """The median cost of one order."""
    took = []
    for number in range(orders):
        intent = OrderIntent(_SYMBOL, Side.BUY, OrderType.LIMIT, f"gh-{number:021}", Decimal("0.0001"), None, Decimal(50_000))
        payload = encode_params(order_params(intent)) + "&recvWindow=5000&timestamp=1790000000000"
        office.renew()
        took.append(_once(lambda permit, i=intent, p=payload: signer.sign_order(i, p, permit), office.current()))
    return statistics.median(took)


def _once(sign: Callable[[IssuedPermit], str], permit: IssuedPermit) -> float:
    began = time.perf_counter_ns()
    sign(permit)
    return (time.perf_counter_ns() - began) / 1_000


CONTEST = Contest(
    "signer-process",
    (
        Line(
            "an order signed by the signer process, from the question to the signature",
            "µs",
            "ours",
            "local",
            "signing in the same process",
            (Goal("≤ 60 µs", lambda ours, _: ours <= 60),),
        ),
    ),
    opened,
)
