"""Measures what an order pays for a signer in a process of its own, against signing in the controller's process.

Two deployments take turns order by order, with the real writer, journal file, performer and venue client; only the socket to the
venue is cut off. Between two orders there is a pause, because that is when a real order comes: with cold caches, and a signer that
sleeps.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import cast
from unittest.mock import patch

from controller.bootstrap.signer import SignerProcess
from controller.cli.setup.deployment import DEFAULT_PORTS, write_deployment
from controller.core import inputs as i
from controller.core.effects import Effect
from controller.core.state import State
from controller.journal.chain import Entry, Record
from controller.journal.port import Journal
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.inbox import Inbox, QueuedInput
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import Writer
from controller.runtime.venues.perform import Performer
from controller.runtime.venues.strangers import Strangers
from controller.settings.deployment import SignerSettings
from controller.signer.protocol import Kind
from controller.signer.remote import RemoteSigner
from exchange.mexc.clock import Sample
from exchange.mexc.connect import VenueEndpoint, VenueHost, open_venue
from exchange.mexc.http import HttpTransport, Method, Reply
from exchange.mexc.ratelimit import Limits
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.ports import Signer, VenueName
from exchange.wire.orders import order_params
from exchange.wire.signing import encode_params
from ops.bench.measure import Contest, Figures, Goal, Line, Round, turns
from policies.stage import Stage
from tests.support.desk import Desk

_ORDERS, _ASKED, _SYMBOL = 100, 1_000, "BTCUSDT"
_PAUSE_S = 0.01
_PER_SECOND = 1_000_000
"""The bench must not meet the signer's own limit of orders a second."""


class _Clock:
    """The desk's date, and the monotonic clock that the signer process reads too."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._real = desk, SystemClock()

    def now(self) -> Millis:
        return self._desk.now

    def monotonic_ns(self) -> int:
        return self._real.monotonic_ns()


class Governed:
    """A deployment at TESTNET_VALIDATING that places orders with one signer; each is acknowledged and cancelled."""

    def __init__(self, desk: Desk, path: Path, signer: Signer) -> None:
        self._desk = desk
        self._clock = clock = _Clock(desk)
        journal = open_journal(path, "desk")
        office, inbox = PermitOffice(clock, desk.epoch), Inbox()
        endpoint = VenueEndpoint("http://127.0.0.1:1", "ws://127.0.0.1:1/ws", Reach.LOOPBACK)
        host = VenueHost(endpoint, clock)
        host.venue_clock.observe(Sample(0, clock.monotonic_ns(), desk.now))
        venue = open_venue(VenueName.TESTNET, endpoint, signer, clock, Random(7), host=host)
        performer = Performer(
            venues={VenueName.TESTNET: venue},
            permits=office,
            inbox=inbox,
            clock=clock,
            on_alert=lambda _: None,
            on_cancel_all_result=lambda *_: None,
            on_not_empty=lambda *_: None,
            still_open=lambda _: 0,
            working=lambda _: 0,
            trades_on=lambda _: True,
            owner=lambda *_: None,
            strangers=Strangers(State),
            read_account=lambda _: None,
        )
        self._inbox, self._host, self._journal, self._number = inbox, host, _TimedJournal(journal), 0
        self._prepare, self._prepared_ns = performer.prepare, 0
        self._writer = Writer(
            journal=cast("Journal", self._journal),
            state=desk.state,
            clock=clock,
            permits=office,
            inbox=inbox,
            perform=performer.perform,
            prepare=self._timed_prepare,
        )

    async def order(self) -> tuple[float, float]:
        """Place one order. Microseconds from its request to its first byte, and how many of them the sync did not take."""
        desk = self._desk
        desk.pass_time(1_000)
        await self._take(desk.seen())
        if self._number % 3 == 0:
            for venue in VenueName:
                snapshot = i.AccountSnapshot((), tuple(desk.trades[venue]), desk.balances(venue))
                booked = desk.state.ledger(venue).fills_booked
                await self._take(i.AccountRead(venue, snapshot, fills_before=booked, started_at=desk.now))
        self._number += 1
        await asyncio.sleep(_PAUSE_S)
        asked = desk.requested("0.00003", "59900", bot_id=f"bench-{self._number}")
        began = time.perf_counter_ns()
        self._writer.step([QueuedInput(asked, self._clock.monotonic_ns(), None)])
        while not _LEFT:  # noqa: ASYNC110 - the order leaves in the next turns of the loop
            await asyncio.sleep(0)
        left = _LEFT.pop()
        desk.state = self._writer.state
        outside = left - self._journal.durable_ns + self._prepared_ns
        await self._settle()
        return (left - began) / 1_000, outside / 1_000

    async def close(self) -> None:
        """Close the journal and the connections."""
        cast("SqliteJournal", self._journal).close()
        await self._host.aclose()

    async def _settle(self) -> None:
        (queued,) = await self._inbox.take(8)
        answer = cast("i.PlacementAnswered", queued.input)
        client_id = answer.client_id
        await self._take(answer)
        await self._take(i.VenueReported(VenueName.TESTNET, self._desk.report(client_id, OrderStatus.CANCELED)))

    async def _take(self, input_: i.Input) -> None:
        self._writer.step([QueuedInput(input_, self._clock.monotonic_ns(), None)])
        self._desk.state = self._writer.state

    def _timed_prepare(self, effect: Effect) -> None:
        began = time.perf_counter_ns()
        self._prepare(effect)
        self._prepared_ns = time.perf_counter_ns() - began


class _TimedJournal:
    """A journal file that notes when an append was durable."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.durable_ns = 0

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        """Append and sync."""
        entries = self._journal.append(records, at)
        self.durable_ns = time.perf_counter_ns()
        return entries

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


_LEFT: list[int] = []


async def _send(
    transport: HttpTransport,
    method: Method,
    path: str,
    query: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    leave: Callable[[Callable[[], None]], bool] = bool,
) -> Reply:
    """In place of the socket: notes when the order would have left."""
    del transport, method, path, headers
    assert leave(lambda: None)
    _LEFT.append(time.perf_counter_ns())
    assert "&signature=" in query
    return Reply(200, b'{"symbol":"BTCUSDT","orderId":"C02__%d","orderListId":-1}' % _LEFT[-1])


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A signer process for a rehearsal's testnet account, started as ``gatehouse run`` starts it, and a deployment of each kind."""
    orders, asked = max(2, int(_ORDERS * size)), max(2, int(_ASKED * size))
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        process = stack.enter_context(_started(directory / "bench"))
        process.inform(((Kind.LEAD, 0, str(desk.epoch).encode()),))
        remote = RemoteSigner(process.link, VenueName.TESTNET, "mx0bench")
        local = LocalSigner("mx0bench", "a-secret-of-no-value", SignerLimits(frozenset({_SYMBOL}), Decimal(1_000)))
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        pair = [Governed(desk.fork(), directory / f"{name}.db", signer) for name, signer in (("a", remote), ("b", local))]
        for one in pair:
            stack.callback(lambda one=one: loop.run_until_complete(one.close()))
        stack.enter_context(patch.object(HttpTransport, "send", _send))
        stack.enter_context(patch.object(Limits, "take", lambda *_: 0))

        def one_round(number: int) -> Figures:
            governed = loop.run_until_complete(_in_turns(pair, orders))
            office = PermitOffice(SystemClock(), desk.epoch)
            waited = turns(
                number,
                lambda: {"asked": _microseconds(remote, office, asked)},
                lambda: {"signed": _microseconds(local, office, asked)},
            )
            return {**governed, **waited}

        yield one_round


@contextmanager
def _started(directory: Path) -> Iterator[SignerProcess]:
    write_deployment(directory, DEFAULT_PORTS)
    settings = directory / "gatehouse.toml"
    settings.write_text(settings.read_text() + f"\n[signer]\norders_per_second = {_PER_SECOND}\n")
    process = SignerProcess(directory, SignerSettings(), lambda _: None)
    process.start()
    try:
        yield process
    finally:
        process.close()


async def _in_turns(pair: Sequence[Governed], orders: int) -> Figures:
    """Medians over orders of which each deployment places one after the other; who begins alternates."""
    took: list[list[tuple[float, float]]] = [[], []]
    for number in range(orders):
        for which in (0, 1) if number % 2 else (1, 0):
            took[which].append(await pair[which].order())
    ours, local = ([statistics.median(figures) for figures in zip(*one, strict=True)] for one in took)
    added = statistics.median(mine[1] - theirs[1] for mine, theirs in zip(*took, strict=True))
    return {"added": added, "whole": ours[0], "outside": ours[1], "local_whole": local[0], "local_outside": local[1]}


def _microseconds(signer: Signer, office: PermitOffice, orders: int) -> float:
    """The median time to have an order signed that nobody asked for early, one after another."""
    took = []
    for number in range(orders):
        intent = OrderIntent(_SYMBOL, Side.BUY, OrderType.LIMIT, f"gh-{number:021}", Decimal("0.0001"), None, Decimal(50_000))
        payload = encode_params(order_params(intent)) + "&recvWindow=5000&timestamp=1790000000000"
        office.renew()
        permit = office.current()
        began = time.perf_counter_ns()
        signer.sign_order(intent, payload, permit)
        took.append((time.perf_counter_ns() - began) / 1_000)
    return statistics.median(took)


_SAME = "signed in the same process"
CONTEST = Contest(
    "signer-process",
    (
        Line(
            "signer: what its process adds to an order before the first byte leaves",
            "µs",
            "added",
            goals=(Goal("≤ 60 µs", lambda ours, _: ours <= 60),),
        ),
        Line("signer: an order from its request to its first byte, without the sync", "µs", "outside", "local_outside", _SAME),
        Line("signer: the same with the journal synced", "µs", "whole", "local_whole", _SAME),
        Line(
            "signer: an order that was not asked for early, from the question to the signature, without a pause",
            "µs",
            "asked",
            "signed",
            _SAME,
            (Goal("≤ 60 µs", lambda ours, _: ours <= 60),),
        ),
    ),
    opened,
)
