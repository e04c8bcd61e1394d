"""When each bot was last heard by this process, and by what. The gateway reports it, and every tick carries it to the decisions.

Nothing of it is journalled: after a start every bot is unheard until it says something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from exchange.model import Millis
from exchange.ports import Clock
from policies.silence import Heard, HeardBy


class BotsHeard:
    """What the gateway hears of the bots. Only proven bots are reported, so there are as many entries as bots with keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, tuple[Millis, HeardBy]] = {}
        self._streams: dict[str, int] = {}

    def heard(self, bot: str, by: HeardBy) -> None:
        """The bot said something now."""
        self._last[bot] = (self._clock.now(), by)

    @contextmanager
    def connected(self, bot: str) -> Iterator[None]:
        """The bot has an open stream for as long as the context lasts."""
        self.heard(bot, HeardBy.STREAM)
        self._streams[bot] = self._streams.get(bot, 0) + 1
        try:
            yield
        finally:
            self._streams[bot] -= 1
            self.heard(bot, HeardBy.STREAM)

    def heard_of(self) -> Mapping[str, Heard]:
        """Every bot that was heard, by name."""
        return {bot: Heard(at, by, self._streams.get(bot, 0)) for bot, (at, by) in self._last.items()}
