"""The latest of everything, to be read without asking the writer: fills, samples, entries, and who follows them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from immutables import Map

from controller.core import events as e
from controller.core.state import State
from controller.journal.chain import Entry
from controller.runtime.loop.writer import CommittedBatch
from exchange.model import Millis
from policies.ramp import cap_eur
from policies.stage import Stage

KEEP_FILLS = 20_000
KEEP_ORDERS = 20_000
KEEP_SAMPLES = 20_000
KEEP_ENTRIES = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the charts."""

    at: Millis
    equity: Decimal | None
    exposure: Decimal | None
    cap: Decimal
    covered: bool
    stage: Stage


@dataclass(frozen=True, slots=True)
class Counters:
    """How often each kind of thing has happened since the journal began."""

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
class Kept:
    """What a memory holds that cannot quickly be read from the journal again."""

    counts: Map[str, int]
    order_ids: tuple[str, ...]
    fills: tuple[tuple[e.FillBooked, Millis], ...]
    samples: tuple[Sample, ...]


_COUNTED: dict[type[e.Event], str] = {
    e.OrderAdmitted: "orders",
    e.FillBooked: "fills",
    e.OrderDenied: "denied",
    e.OrderRejected: "rejected",
    e.OrderUnknown: "unknown",
    e.CancelRequested: "cancels",
    e.CommandAccepted: "commands",
    e.CommandRefused: "refusals",
    e.BreachDetected: "breaches",
}


class RecentHistory:
    """Bounded memories of the journal. A follower that falls behind loses its place, never the writer's time."""

    def __init__(self) -> None:
        self.fills: deque[tuple[e.FillBooked, Millis]] = deque(maxlen=KEEP_FILLS)
        self.order_ids: deque[str] = deque(maxlen=KEEP_ORDERS)
        self.samples: deque[Sample] = deque(maxlen=KEEP_SAMPLES)
        self.entries: deque[tuple[Entry, e.Event]] = deque(maxlen=KEEP_ENTRIES)
        self._counts = dict.fromkeys(_COUNTED.values(), 0)
        self._followers: set[asyncio.Queue[CommittedBatch | None]] = set()

    @property
    def counters(self) -> Counters:
        """The counts so far."""
        return Counters(**self._counts)

    def remember(self, entry: Entry, event: e.Event, after: State) -> None:
        """One journal entry, live or while the journal is folded at the start."""
        self.entries.append((entry, event))
        if (name := _COUNTED.get(type(event))) is not None:
            self._counts[name] += 1
        if isinstance(event, e.OrderAdmitted):
            self.order_ids.append(event.client_id)
        elif isinstance(event, e.FillBooked):
            self.fills.append((event, entry.at))
        elif isinstance(event, e.Sampled) and after.policy is not None:
            here = after.position
            self.samples.append(
                Sample(
                    entry.at,
                    event.equity_eur,
                    event.exposure_eur,
                    cap_eur(after.policy, here.stage, here.step),
                    event.covered,
                    here.stage,
                )
            )

    def kept(self) -> Kept:
        """What a snapshot takes along."""
        return Kept(Map(self._counts), tuple(self.order_ids), tuple(self.fills), tuple(self.samples))

    def restore(self, kept: Kept, entries: Iterable[tuple[Entry, e.Event]]) -> None:
        """Take over what an earlier memory kept, with the last entries it saw."""
        self._counts.update(kept.counts)
        self.order_ids.extend(kept.order_ids)
        self.fills.extend(kept.fills)
        self.samples.extend(kept.samples)
        self.entries.extend(entries)

    def carried(self, batch: CommittedBatch) -> None:
        """One durable batch."""
        for entry, event in batch.entries:
            self.remember(entry, event, batch.after)
        for follower in tuple(self._followers):
            if follower.full():
                self._followers.discard(follower)
                while not follower.empty():
                    follower.get_nowait()
                follower.put_nowait(None)
            else:
                follower.put_nowait(batch)

    @contextmanager
    def following(self) -> Iterator[asyncio.Queue[CommittedBatch | None]]:
        """Every batch from this moment on; ``None`` when the follower could not keep up and must read again from the start."""
        queue: asyncio.Queue[CommittedBatch | None] = asyncio.Queue(maxsize=256)
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)
