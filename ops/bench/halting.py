"""Measures the time from breach to latch at 500 orders per second, and counts orders admitted after the latch."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event

from controller.authority.keys import generate_key
from controller.core import event_codec
from controller.core import inputs as i
from controller.core.compact_map import CompactMap
from controller.core.events import FillBooked, OrderAdmitted
from controller.core.order_state import settled_line
from controller.journal.chain import Head, genesis_hash
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import open_journal
from controller.runtime.followers.kept import KeptFill, SavedOrders
from controller.runtime.followers.recent import KEEP_FILLS, KEEP_ORDERS, RecentHistory
from controller.runtime.loop.inbox import Inbox, InboxFull
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import CommittedBatch, Writer
from controller.runtime.recovery.snapshot import Snapshots
from controller.runtime.recovery.snapshot_schedule import PAUSE_S
from exchange.model import Millis
from exchange.ports import VenueName
from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import SYMBOL, Desk

_BREACHES, _ORDERS_BEFORE, _ORDERS_PER_SECOND = 25, 30, 500
_SETTLED = 100_000
_STALE_MS = 16_000
"""Older than the demo policy's limit for a quote."""


class _Clock:
    """A clock that starts at the desk's time and runs in real time."""

    def __init__(self, start: Millis) -> None:
        self._start, self._began = start, time.monotonic_ns()

    def now(self) -> Millis:
        """The desk's time plus the time since the start."""
        return Millis(self._start + (time.monotonic_ns() - self._began) // 1_000_000)

    def monotonic_ns(self) -> int:
        """Real."""
        return time.monotonic_ns()


async def breach(desk: Desk, path: Path, beside: Callable[[Event], object] | None = None) -> tuple[float, int]:
    """Milliseconds from the tick with a stale quote to the latch, and the number of orders admitted after it.

    ``beside`` runs in another thread until its event is set.
    """
    clock, inbox, journal = _Clock(desk.now), Inbox(), open_journal(path, "desk")
    office = PermitOffice(clock, desk.epoch)
    late: list[OrderAdmitted] = []

    def follow(batch: CommittedBatch) -> None:
        if office.latched_because and batch.began_ns > (writer.halt_clock.latched_ns if writer.halt_clock else 0):
            late.extend(event for _, event in batch.entries if isinstance(event, OrderAdmitted))

    writer = Writer(journal=journal, state=desk.state, clock=clock, permits=office, inbox=inbox, perform=lambda _: None)
    writer.add_follower(follow)
    running = asyncio.create_task(writer.run())
    flooding = asyncio.create_task(_flood(desk, inbox))
    enough = Event()
    working = asyncio.create_task(asyncio.to_thread(beside, enough)) if beside else None
    try:
        await asyncio.sleep(_ORDERS_BEFORE / _ORDERS_PER_SECOND)
        stale = desk.market(age_ms=_STALE_MS)
        markets = {VenueName.TESTNET: stale, VenueName.LIVE: stale}
        inbox.fact(i.Tick(markets, dict.fromkeys(VenueName, 3), desk.heard()), clock.monotonic_ns())
        while writer.halt_clock is None:  # noqa: ASYNC110 - the latch has no event to wait for
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
    finally:
        enough.set()
        for task in (flooding, running):
            task.cancel()
        await asyncio.gather(flooding, running, return_exceptions=True)
        if working is not None:
            await working
        journal.close()
    assert not writer.failed_because
    assert writer.state.position.stage is Stage.HALTED
    return (writer.halt_clock.latched_ns - writer.halt_clock.known_ns) / 1e6, len(late)


async def _flood(desk: Desk, inbox: Inbox) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in itertools.count():
        with suppress(InboxFull):
            inbox.request(desk.requested("0.00003", "59900", bot_id=f"flood-{number}"), time.monotonic_ns())
        await asyncio.sleep(max(0, began + number / _ORDERS_PER_SECOND - loop.time()))


class _Saving:
    """Writes snapshots of a long history one after another, as a running controller does."""

    def __init__(self, desk: Desk, directory: Path) -> None:
        settled = settled_line(next(iter(desk.state.orders.values())))
        names = [f"gh-0123456789-{number:010d}" for number in range(_SETTLED)]
        orders, ids = CompactMap(), CompactMap()
        for name in names:
            orders, ids = orders.put(name, settled), ids.put(name, name)
        self._state = replace(desk.state, settled=orders, by_bot_id=ids)
        history, fill = RecentHistory(), next(event for event, _ in desk.journal if isinstance(event, FillBooked))
        history.orders.restore(SavedOrders(_SETTLED, (desk.now,) * KEEP_ORDERS, (0,) * KEEP_ORDERS, (("demo-bot", SYMBOL),)))
        history.fills.extend([KeptFill.of(fill, event_codec.encode(fill), "demo-bot")] * KEEP_FILLS)
        self._saved = history.saved()
        self._tree = MerkleTree()
        for number in range(desk.state.seq):
            self._tree.append_leaf(number.to_bytes(32))
        self._snapshots = Snapshots(directory, generate_key())

    def __call__(self, enough: Event) -> None:
        head = Head(self._state.seq, genesis_hash("desk"), 1)
        while not enough.is_set():
            assert self._snapshots.save(self._state, head, self._saved, self._tree, partial(enough.wait, PAUSE_S))


@contextmanager
def opened(size: float, *, saving: bool = False) -> Iterator[Round]:
    """A deployment at LIVE_€10, halted once per round from the same state."""
    breaches = max(1, int(_BREACHES * size))
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.sweep_all()
    desk.tick()
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as directory:
        beside = _Saving(desk, Path(directory)) if saving else None

        def one_round(number: int) -> Figures:
            paths = [Path(directory) / f"{number}-{one}.sqlite" for one in range(breaches)]
            found = [loop.run_until_complete(breach(desk, path, beside)) for path in paths]
            took = [one for one, _ in found]
            return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "late": sum(late for _, late in found)}

        yield one_round
    loop.close()


CONTEST = Contest(
    "breach-to-latch",
    (
        Line("halt: from breach to latch at 500 orders/s, median", "ms", "p50"),
        Line("halt: from breach to latch, 99th percentile", "ms", "p99", goals=(Goal("≤ 10 ms", lambda ours, _: ours <= 10),)),
        Line("halt: orders admitted after the latch", "", "late", goals=(Goal("0", lambda ours, _: ours == 0),)),
    ),
    opened,
)

SAVING = Contest(
    "breach-while-saving",
    (
        Line("halt: from breach to latch while a snapshot of 100,000 orders is taken, median", "ms", "p50"),
        Line("halt: the same, 99th percentile", "ms", "p99", goals=(Goal("≤ 10 ms", lambda ours, _: ours <= 10),)),
        Line("halt: the same, admitted after the latch", "", "late", goals=(Goal("0", lambda ours, _: ours == 0),)),
    ),
    partial(opened, saving=True),
)
