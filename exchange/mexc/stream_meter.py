"""Notes what happens to one stream, as ``exchange.stream_life`` describes it. The market feed and the private stream each call it.

Instants are of the wall clock, durations of the monotonic one, so that a clock that is set makes no gap.
"""

from __future__ import annotations

from collections import deque

from exchange.model import Millis
from exchange.ports import Clock
from exchange.stream_life import REMEMBERED, Happening, Kind, StreamLife

_MILLISECOND = 1_000_000


class StreamMeter:
    """The life of one stream. It begins down, because nothing is subscribed yet."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._happened: deque[Happening] = deque(maxlen=REMEMBERED)
        self._number = 0
        self._down_at: tuple[Millis, int] | None = (clock.now(), clock.monotonic_ns())
        self._why = "it was not subscribed yet"
        self._message_at: Millis | None = None
        self._rotation_ms: int | None = None
        self._life: StreamLife | None = None

    @property
    def life(self) -> StreamLife:
        """Its life until now."""
        if self._life is None:
            since, why = (None, "") if self._down_at is None else (self._down_at[0], self._why)
            self._life = StreamLife(self._name, tuple(self._happened), since, why, self._message_at)
        return self._life

    def up(self) -> None:
        """It is of use again."""
        if self._down_at is None:
            return
        lasted = self._since_ns(self._down_at[1])
        if self._rotation_ms is not None:
            self._rotation_ms = max(self._rotation_ms, lasted)
        self._note(Kind.GAP, lasted, self._why)
        self._down_at = None

    def down(self, why: str, heard_ns: int | None = None) -> None:
        """It is of no use, and why. ``heard_ns``: when something last came of it, monotonic; without it the gap begins now."""
        if self._down_at is not None:
            return
        now_ns = self._clock.monotonic_ns()
        since_ns = now_ns if heard_ns is None else min(heard_ns, now_ns)
        self._down_at = (Millis(self._clock.now() - (now_ns - since_ns) // _MILLISECOND), since_ns)
        self._why, self._life = why, None

    def renewed(self) -> None:
        """Its listen key was renewed."""
        self._note(Kind.RENEWED)

    def replaced(self) -> None:
        """Another connection took over. It counts as a rotation once a message shows that the stream survived it."""
        self._rotation_ms = 0 if self._down_at is None else self._since_ns(self._down_at[1])

    def message(self, at: Millis) -> None:
        """A message came that counts."""
        self._message_at, self._life = at, None
        self.settled()

    def settled(self) -> None:
        """It works, so that it has survived its rotation if there was one."""
        if self._rotation_ms is not None and self._down_at is None:
            self._note(Kind.ROTATED, self._rotation_ms)
            self._rotation_ms = None

    def _note(self, kind: Kind, ms: int = 0, why: str = "") -> None:
        self._number += 1
        self._happened.append(Happening(self._number, self._clock.now(), kind, ms, why))
        self._life = None

    def _since_ns(self, ns: int) -> int:
        return max(0, self._clock.monotonic_ns() - ns) // _MILLISECOND
