"""Measures what a settled order costs in memory: ``python -m ops.bench.memory [--orders N …]``.

Generated orders are journalled in a real file, folded, and recorded in the recent history. Each is admitted, acknowledged and
cancelled, and one in ten fills; once it is settled a late report and its bot ask for it. Printed is the resident memory of the
process after each number of orders.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from controller.core import event_codec
from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Record
from controller.journal.port import Journal
from controller.journal.sqlite import open_journal
from controller.runtime.followers.recent import RecentHistory
from exchange.model import Millis, OrderStatus, OrderType, Side
from exchange.ports import VenueName
from ops.bench.measure import Contest, Figures, Goal, Line, Round
from policies.stage import Stage
from tests.support.desk import SYMBOL, Desk

_ROOT = Path(__file__).parents[2]
_FEW, _MANY = 1_000, 100_000
_EVERY_MS = 1_100
_FILLED_ONE_IN = 10
_BATCH = 500


class Settling:
    """A deployment at MOCK whose orders settle one after another."""

    def __init__(self, journal: Journal) -> None:
        desk = Desk().arm()
        self.journal, self.history, self.state = journal, RecentHistory(), State()
        self._at = desk.now
        for event, at in desk.journal:
            self._record([event], at)

    def settle(self, orders: int) -> None:
        """Let so many orders settle, and ask for each afterwards."""
        first = self.state.order_number + 1
        for begin in range(first, first + orders, _BATCH):
            numbers = range(begin, min(begin + _BATCH, first + orders))
            self._at = Millis(self._at + _EVERY_MS)
            self._record([event for number in numbers for event in self._events(number)], self._at)
            for number in numbers:
                assert self.state.orders[self.state.client_id(number)].settled
                assert self.state.first_of("bot", f"bot-19301f7bb3e-{number}") == self.state.client_id(number)

    def _record(self, events: list[e.Event], at: Millis) -> None:
        entries = self.journal.append([Record(event.kind, event_codec.encode(event)) for event in events], at)
        for entry, event in zip(entries, events, strict=True):
            self.state = apply(self.state, event, at)
            self.history.record(entry, event, self.state)

    def _events(self, number: int) -> Iterator[e.Event]:
        client_id, order_id = self.state.client_id(number), f"C02__{7_919 * number + 10**17}"
        price, quantity = Decimal(60_000) + Decimal(number % 9_973) / 100, Decimal("0.00003")
        yield e.OrderAdmitted(
            client_id=client_id,
            bot="bot",
            bot_client_id=f"bot-19301f7bb3e-{number}",
            venue=VenueName.MOCK,
            stage=Stage.MOCK,
            step=0,
            symbol=SYMBOL,
            side=Side.BUY if number % 2 else Side.SELL,
            type=OrderType.LIMIT,
            quantity=quantity,
            price=price,
            quote_quantity=None,
            bid=price,
            ask=price,
            exposure_eur=Decimal("1.65"),
            cap_eur=Decimal(10),
        )
        yield e.OrderAcked(client_id=client_id, order_id=order_id)
        filled = number % _FILLED_ONE_IN == 0
        if filled:
            yield self._fill(number, client_id, order_id, price, quantity)
        yield e.OrderReported(
            client_id=client_id,
            order_id=order_id,
            status=OrderStatus.FILLED if filled else OrderStatus.CANCELED,
            executed=quantity if filled else Decimal(0),
            executed_quote=quantity * price if filled else Decimal(0),
        )

    def _fill(self, number: int, client_id: str, order_id: str, price: Decimal, quantity: Decimal) -> e.FillBooked:
        return e.FillBooked(
            venue=VenueName.MOCK,
            trade_id=f"{7_907 * number + 10**17}",
            order_id=order_id,
            client_id=client_id,
            symbol=SYMBOL,
            side=Side.BUY if number % 2 else Side.SELL,
            price=price,
            quantity=quantity,
            quote=quantity * price,
            fee=Decimal(0),
            fee_asset="USDT",
            maker=True,
            traded_at=self._at,
            listed=False,
        )


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A process for each round, so that nothing of another bench is in its memory."""
    first, last = (max(least, int(most * size)) for least, most in ((10, _FEW), (100, _MANY)))

    def one_round(_: int) -> Figures:
        command = [sys.executable, "-m", "ops.bench.memory", "--plain", "--orders", str(first), str(last)]
        printed = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        few, many = (int(line) / 1e6 for line in printed.split())
        return {"few": few, "many": many, "orders": last}

    yield one_round


CONTEST = Contest(
    "memory",
    (
        Line(
            "memory: resident after 100,000 settled orders",
            "MB",
            "many",
            "few",
            "after 1,000 in the same process",
            (Goal("≤ 1.5 ×", lambda _, ratio: ratio <= 1.5),),
        ),
        Line("memory: settled orders that were made", "", "orders"),
    ),
    opened,
    most_rounds=1,
)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.memory", description="What settled orders cost in memory.")
    parser.add_argument("--orders", type=int, nargs="+", default=[1_000, 10_000, 50_000, 100_000], help="how many settle")
    parser.add_argument("--plain", action="store_true", help="print the bytes alone, one line after each number of orders")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        journal = open_journal(Path(folder) / "journal.db", "desk")
        settling, begun, before = Settling(journal), 0, 0
        for orders in options.orders:
            settling.settle(orders - begun)
            gc.collect()
            size = resident()
            each = f", {(size - before) // (orders - begun)} bytes for each since" if before else ""
            print(size if options.plain else f"{orders:8} settled orders: {size / 1e6:.1f} MB{each}", flush=True)
            begun, before = orders, size
        journal.close()


if __name__ == "__main__":
    main()
