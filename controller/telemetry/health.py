"""Whether the controller is ready to trade: what ``/readyz`` answers.

Ready means armed, and nothing less: a controller that is halted, reconciling or without a clock is alive and not ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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


def readyz(*, armed: bool, not_armed_because: str, unwitnessed: Sequence[str] = ()) -> Probe:
    """Ready only when armed. ``unwitnessed`` are the checkpoint targets that take no checkpoint now; they stop nothing."""
    but = f"no checkpoint reaches {', '.join(unwitnessed)}" if unwitnessed else ""
    return Probe(ok=True, because="", but=but) if armed else Probe(ok=False, because=not_armed_because or "not armed", but=but)
