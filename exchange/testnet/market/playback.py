"""Plays market data into the venue by the clock, and can be paused. ``SimulatedVenue`` runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from exchange.matching.saved import PlaybackState
from exchange.model import DataSource, Millis
from exchange.ports import Clock
from exchange.tape import TapeRecord, TapeTrade

_BATCH = 200
_FOREVER = Millis(2**62)


class Market(Protocol):
    """A venue's market: it delivers records when they are due, and can be paused. Instants are ms."""

    @property
    def source(self) -> DataSource:
        """Where the data comes from."""
        ...

    @property
    def speed(self) -> Decimal:
        """Seconds of the data's time per second."""
        ...

    @property
    def virtual(self) -> bool:
        """Whether the venue's clock is not the world's, so that its market is faster than any real one."""
        ...

    @property
    def records(self) -> int:
        """How many have been delivered."""
        ...

    @property
    def position(self) -> Millis | None:
        """When the last one was."""
        ...

    @property
    def rounds(self) -> int:
        """How many times the data has been played to its end."""
        ...

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        ...

    @property
    def ended(self) -> bool:
        """Whether there are no more records."""
        ...

    def pause(self) -> None:
        """Pause."""
        ...

    def resume(self) -> None:
        """Continue."""
        ...

    def take_due(self) -> list[TapeRecord]:
        """The records due before ``run``, such as a first book."""
        ...

    async def run(self, deliver: Callable[[TapeRecord], None]) -> None:
        """Deliver every record when it is due, until cancelled or at the end of the data."""
        ...


class Player(Protocol):
    """A source of records, each with the time at which it is due."""

    @property
    def rounds(self) -> int:
        """How many times the data has been played to its end."""
        ...

    def next_due(self) -> Millis | None:
        """When the next record is due, or ``None`` at the end."""
        ...

    def due(self, now: Millis, limit: int | None = None) -> list[TapeRecord]:
        """The next records that are due, at most ``limit``."""
        ...


class StreamPlayer:
    """Plays endless records without keeping them. Their instants begin at ``start``; ``speed`` is ms of data per ms."""

    rounds = 0

    def __init__(self, records: Iterator[TapeRecord], start: Millis, speed: Decimal) -> None:
        self._records = records
        self._start = start
        self._speed = speed
        self._next = next(records)

    def next_due(self) -> Millis:
        """When the next record is due."""
        return Millis(self._start + int((self._next.at - self._start) / self._speed))

    def due(self, now: Millis, limit: int | None = None) -> list[TapeRecord]:
        """The next records that are due, at most ``limit``."""
        ready: list[TapeRecord] = []
        while (at := self.next_due()) <= now and (limit is None or len(ready) < limit):
            ready.append(_stamped(self._next, at))
            self._next = next(self._records)
        return ready


class Playback:
    """Plays one player by the clock. After a pause it continues where it stopped, with the current time."""

    def __init__(
        self,
        player: Player,
        clock: Clock,
        *,
        source: DataSource,
        speed: Decimal,
        began: Millis | None = None,
        played_before: int = 0,
        virtual: bool = False,
    ) -> None:
        """``began`` is the player's own start. ``played_before``: how many ms of the data earlier processes have played.

        ``virtual``: ``clock`` is not the world's.
        """
        self.source = source
        self.speed = speed
        self.virtual = virtual
        self._player = player
        self._clock = clock
        self._began = clock.now() if began is None else began
        self._played_before = played_before
        self._behind = 0
        self._paused_at: Millis | None = None
        self._resumed = asyncio.Event()
        self._resumed.set()
        self.records = 0
        self.position: Millis | None = None

    @property
    def rounds(self) -> int:
        """How many times the data has been played to its end."""
        return self._player.rounds

    @property
    def paused(self) -> bool:
        """Whether the market is paused."""
        return self._paused_at is not None

    @property
    def played(self) -> int:
        """How many ms of the data have been played, earlier processes included."""
        now = self._clock.now() if self._paused_at is None else self._paused_at
        return self._played_before + int((now - self._began - self._behind) * self.speed)

    @property
    def ended(self) -> bool:
        """Whether the data has ended and will not start over."""
        return self._player.next_due() is None

    def pause(self) -> None:
        """Pause the market."""
        if self._paused_at is None:
            self._paused_at = self._clock.now()
            self._resumed.clear()

    def resume(self) -> None:
        """Continue the market."""
        if self._paused_at is not None:
            self._behind += max(0, self._clock.now() - self._paused_at)
            self._paused_at = None
            self._resumed.set()

    def state(self) -> PlaybackState:
        """The market's position, as a value."""
        due = self._player.next_due()
        now = self._clock.now() if self._paused_at is None else self._paused_at
        return PlaybackState(self.records, None if due is None else due + self._behind - now, self.position, self.paused)

    def load(self, state: PlaybackState) -> None:
        """Continue from the saved position of the same data, as after a pause; records played before are skipped."""
        while self.records < state.records:
            passed = len(self._player.due(_FOREVER, min(_BATCH, state.records - self.records)))
            if not passed:
                break
            self.records += passed
        due = self._player.next_due()
        if due is not None and state.lead is not None:
            self._behind = self._clock.now() + state.lead - due
        self.position = state.position
        if state.paused:
            self.pause()

    def take_due(self) -> list[TapeRecord]:
        """The records due now, at most a batch of them, each with its due time."""
        if self.paused:
            return []
        due = self._player.due(Millis(self._clock.now() - self._behind), _BATCH)
        records = [_stamped(record, Millis(record.at + self._behind)) for record in due] if self._behind else due
        if records:
            self.records += len(records)
            self.position = records[-1].at
        return records

    async def run(self, deliver: Callable[[TapeRecord], None]) -> None:
        """Deliver every record when it is due; returns at the end of data that does not start over."""
        while True:
            await self._resumed.wait()
            for record in self.take_due():
                deliver(record)
            due = self._player.next_due()
            if due is None:
                return
            await asyncio.sleep(max(0, due - (self._clock.now() - self._behind)) / 1000)


def _stamped(record: TapeRecord, at: Millis) -> TapeRecord:
    if isinstance(record, TapeTrade):
        return TapeTrade(replace(record.trade, at=at), at)
    return replace(record, at=at, received_at=at)
