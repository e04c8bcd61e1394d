"""The newest fills, orders, samples and entries in memory, for the ports of bots and operators (``controller.runtime.api``).

The writer's batches fill it while the controller runs; a start fills it while it folds the journal.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from immutables import Map

from controller.core import events as e
from controller.core.state import State
from controller.journal.chain import Entry
from controller.runtime.followers.kept import KeptFill, KeptOrders, Sample, SavedOrders
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from policies.ramp import cap_eur

KEEP_FILLS = 20_000
KEEP_ORDERS = 20_000
KEEP_SAMPLES = 20_000
KEEP_ENTRIES = 2_000


@dataclass(frozen=True, slots=True)
class Counters:
    """How many of each kind there were since the journal began."""

    orders: int = 0
    fills: int = 0
    denied: int = 0
    rejected: int = 0
    unknown: int = 0
    cancels: int = 0
    commands: int = 0
    refusals: int = 0
    breaches: int = 0


@dataclass(frozen=True, slots=True)
class SavedHistory:
    """The part of the recent history that a snapshot holds, because the journal cannot give it back quickly."""

    counts: Map[str, int]
    last_order: int
    order_times: tuple[int, ...]
    order_owners: tuple[int, ...]
    owners: tuple[tuple[str, str], ...]
    other_ids: tuple[tuple[int, str], ...]
    fills: tuple[KeptFill, ...]
    samples: tuple[str, ...]


_COUNTER_OF: dict[type[e.Event], str] = {
    e.OrderAdmitted: "orders",
    e.FillBooked: "fills",
    e.OrderDenied: "denied",
    e.OrdersDeniedAgain: "denied",
    e.OrderRejected: "rejected",
    e.OrderUnknown: "unknown",
    e.CancelRequested: "cancels",
    e.CommandAccepted: "commands",
    e.CommandRefused: "refusals",
    e.BreachDetected: "breaches",
}


def point_of(event: e.Sampled, after: State) -> Sample | None:
    """The point that a sample makes, journalled or held back; ``None`` before a policy is in force."""
    if after.policy is None:
        return None
    here, at = after.position, after.at if event.taken_at is None else Millis(event.taken_at)
    cap = cap_eur(after.policy, here.stage, here.step)
    return Sample(at, event.equity_eur, event.exposure_eur, cap, event.covered, here.stage)


class RecentHistory:
    """The newest part of the journal, bounded. A subscriber that falls behind is dropped; it never delays the writer."""

    def __init__(self) -> None:
        self.fills: deque[KeptFill] = deque(maxlen=KEEP_FILLS)
        self.orders = KeptOrders(KEEP_ORDERS)
        self._samples: deque[str] = deque(maxlen=KEEP_SAMPLES)
        self.entries: deque[tuple[Entry, e.Event]] = deque(maxlen=KEEP_ENTRIES)
        self._counts = dict.fromkeys(_COUNTER_OF.values(), 0)
        self._subscribers: set[asyncio.Queue[CommittedBatch | None]] = set()

    @property
    def counters(self) -> Counters:
        """The counts so far."""
        return Counters(**self._counts)

    def record(self, entry: Entry, event: e.Event, after: State) -> None:
        """Add one journal entry: of a batch, or while a start folds the journal."""
        self.entries.append((entry, event))
        if (name := _COUNTER_OF.get(type(event))) is not None:
            self._counts[name] += event.count if isinstance(event, e.OrdersDeniedAgain) else 1
        if isinstance(event, e.OrderAdmitted):
            self.orders.add(after.orders[event.client_id], after)
        elif isinstance(event, e.FillBooked):
            order = after.orders.get(event.client_id)
            self.fills.append(KeptFill.of(event, entry.body, order.bot if order is not None else ""))
        elif isinstance(event, e.Sampled) and (point := point_of(event, after)) is not None:
            self._samples.append(point.line)

    @property
    def sample_lines(self) -> list[str]:
        """Every kept sample as its line (``controller.runtime.followers.kept``), oldest first."""
        return list(self._samples)

    def saved(self) -> SavedHistory:
        """A copy of what a snapshot holds."""
        orders = self.orders.saved()
        kept = (orders.last, orders.at, orders.owners, orders.whose, orders.other_ids)
        return SavedHistory(Map(self._counts), *kept, tuple(self.fills), tuple(self._samples))

    def restore(self, saved: SavedHistory, entries: Iterable[tuple[Entry, e.Event]]) -> None:
        """Fill an empty history from a snapshot and the journal entries before it."""
        self._counts.update(saved.counts)
        self.orders.restore(SavedOrders(saved.last_order, saved.order_times, saved.order_owners, saved.owners, saved.other_ids))
        self.fills.extend(saved.fills)
        self._samples.extend(saved.samples)
        self.entries.extend(entries)

    def on_batch(self, batch: CommittedBatch) -> None:
        """Add a durable batch and pass it on to every subscriber."""
        for entry, event in batch.entries:
            self.record(entry, event, batch.after)
        for subscriber in tuple(self._subscribers):
            if subscriber.full():
                self._subscribers.discard(subscriber)
                while not subscriber.empty():
                    subscriber.get_nowait()
                subscriber.put_nowait(None)
            else:
                subscriber.put_nowait(batch)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[CommittedBatch | None]]:
        """A queue of every batch from now on; ``None`` means that the subscriber was too slow and must subscribe again."""
        queue: asyncio.Queue[CommittedBatch | None] = asyncio.Queue(maxsize=256)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)
