"""Whether the process lives, and whether it is ready to trade: what ``/livez`` and ``/readyz`` answer.

Alive means that the writer has taken a turn within ``STUCK_MS`` and can still write. Ready means alive and armed, and nothing
less: a controller that is halted, reconciling or without a clock is alive and not ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def livez(turned_ns: int | None, now_ns: int, failed_because: str = "") -> Probe:
    """Alive while the writer takes turns.

    Args:
        turned_ns: when it last took one, monotonic nanoseconds; ``None`` before the first.
        now_ns: the same clock now.
        failed_because: why it will never write again; empty while it may.
    """
    if failed_because:
        return Probe(ok=False, because=f"the writer has stopped: {failed_because}")
    if turned_ns is None:
        return Probe(ok=False, because="the writer has not started")
    age_ms = (now_ns - turned_ns) // 1_000_000
    if age_ms > STUCK_MS:
        return Probe(ok=False, because=f"the writer has taken no turn for {age_ms} ms")
    return Probe(ok=True, because="")


def readyz(alive: Probe, *, armed: bool, not_armed_because: str, unwitnessed: Sequence[str] = ()) -> Probe:
    """Ready only when alive and armed. ``unwitnessed`` are the checkpoint targets that take none now; they stop nothing."""
    but = f"no checkpoint reaches {', '.join(unwitnessed)}" if unwitnessed else ""
    if not alive.ok:
        return Probe(ok=False, because=alive.because, but=but)
    return Probe(ok=True, because="", but=but) if armed else Probe(ok=False, because=not_armed_because or "not armed", but=but)
