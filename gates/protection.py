"""How long a position was open while nothing could have stopped its loss (execution-safety.md §4.3, row B7).

MEXC has no stop orders, so what protects a position is gatehouse's own loss guards, which need a price, and
a seller: a guard that flattens, or else the bot. ``controller.core.fold`` adds each sample, ``gates.measure`` makes metrics of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange.model import Millis
from policies.values import replace


@dataclass(frozen=True)
class Protection:
    """One run. ``samples`` and ``held_ms`` are those with a position; ``unprotected_ms`` is the part without protection.

    ``open_ms`` is the event that lasts, 0 without one. ``longest_ms`` is the longest event, with what began it and when it ended or
    was last seen.
    """

    samples: int = 0
    held_ms: int = 0
    unprotected_ms: int = 0
    open_ms: int = 0
    open_why: str = ""
    longest_ms: int = 0
    longest_why: str = ""
    longest_at: Millis = Millis(0)

    def after(self, why: str, *, at: Millis, unseen_ms: int, seen_ms: int, count: int = 1) -> Protection:
        """One more sample with a position, at ``at``. ``why`` says why it is not protected; empty when it is.

        ``unseen_ms``: nobody looked for so long before it, because the controller was not running. ``seen_ms`` is the time that the
        sample speaks for. ``count``: so many samples in a row that differ in nothing else.
        """
        lost = unseen_ms + (seen_ms if why else 0)
        event = self.open_ms + lost
        began = self.open_why or (_ABSENT if unseen_ms else why)
        longest = event > self.longest_ms
        return replace(
            self,
            samples=self.samples + count,
            held_ms=self.held_ms + unseen_ms + seen_ms,
            unprotected_ms=self.unprotected_ms + lost,
            open_ms=event if why else 0,
            open_why=began if why else "",
            longest_ms=max(event, self.longest_ms),
            longest_why=began if longest else self.longest_why,
            longest_at=at if longest else self.longest_at,
        )

    def without_position(self) -> Protection:
        """Nothing is held, or a drill practises that nothing protects: an event that lasted ends."""
        return replace(self, open_ms=0, open_why="") if self.open_ms else self

    @property
    def detail(self) -> str:
        """What the longest event was."""
        if not self.samples:
            return "no position was open in this run"
        if not self.longest_ms:
            return f"in {self.held_ms // 1000} s with a position the loss guards saw all of it"
        return f"{self.longest_why}; in all {self.unprotected_ms} of {self.held_ms} ms with a position"


_ABSENT = "the controller was not running, or it stood still"
