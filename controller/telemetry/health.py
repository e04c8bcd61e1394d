"""Whether the process lives, and whether it is ready to trade: what ``/livez`` and ``/readyz`` answer.

Alive means that the writer's loop has turned within ``STUCK_MS``. Ready means armed, and nothing less: a controller that is
halted, reconciling or without a clock is alive and not ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exchange.model import Millis

STUCK_MS = 10_000


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer. ``because`` is empty when ``ok``; ``but`` says what a human should look at all the same."""

    ok: bool
    because: str
    but: str = ""

    @property
    def http_status(self) -> int:
        """200, or 503 while not ok."""
        return 200 if self.ok else 503


def livez(last_turn: Millis | None, now: Millis) -> Probe:
    """Alive while the loop turns. ``last_turn`` is when it last did; ``None`` before the first time."""
    if last_turn is None:
        return Probe(ok=False, because="the loop has not started")
    if now - last_turn > STUCK_MS:
        return Probe(ok=False, because=f"the loop has not turned for {now - last_turn} ms")
    return Probe(ok=True, because="")


def readyz(*, armed: bool, not_armed_because: str, unwitnessed: Sequence[str] = ()) -> Probe:
    """Ready only when armed. ``unwitnessed`` are the checkpoint targets that take no checkpoint now; they stop nothing."""
    but = f"no checkpoint reaches {', '.join(unwitnessed)}" if unwitnessed else ""
    return Probe(ok=True, because="", but=but) if armed else Probe(ok=False, because=not_armed_because or "not armed", but=but)
