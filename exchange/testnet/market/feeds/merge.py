"""Merges several players into one, for a testnet with several symbols: the earliest record first, ties in list order."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.model import Millis
from exchange.tape import TapeRecord
from exchange.testnet.market.playback import Player


class MergedPlayer:
    """A ``Player`` of several others, in one deterministic order."""

    def __init__(self, players: Sequence[Player]) -> None:
        self._players = tuple(players)

    @property
    def rounds(self) -> int:
        """How many times all of the data has been played to its end."""
        return min(player.rounds for player in self._players)

    def next_due(self) -> Millis | None:
        """When the next record of any is due, or ``None`` when all are at their end."""
        return min((due for player in self._players if (due := player.next_due()) is not None), default=None)

    def due(self, now: Millis, limit: int | None = None) -> list[TapeRecord]:
        """The next records that are due, at most ``limit``."""
        ready: list[TapeRecord] = []
        while (at := self.next_due()) is not None and at <= now and (limit is None or len(ready) < limit):
            ready.extend(next(player for player in self._players if player.next_due() == at).due(now, 1))
        return ready
