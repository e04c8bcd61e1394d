"""The answers of ``/livez`` and ``/readyz``: whether the process is alive and ready to trade. The console asks it.

Alive means that the writer decided a tick within ``STUCK_MS`` and can still write. Ready means alive and armed: a controller that
is halted, reconciling or without a valid clock is alive and not ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STUCK_MS = 5_000


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer. ``because`` is empty when ``ok``; ``but`` names a problem that does not change the answer."""

    ok: bool
    because: str
    but: str = ""

    @property
    def http_status(self) -> int:
        """200, or 503 while not ok."""
        return 200 if self.ok else 503


def livez(decided_ns: int | None, now_ns: int, failed_because: str = "") -> Probe:
    """Alive while the writer decides ticks.

    Args:
        decided_ns: when the last tick was decided, monotonic nanoseconds; ``None`` before the first.
        now_ns: the same clock now.
        failed_because: why it will never write again; empty while it may.
    """
    if failed_because:
        return Probe(ok=False, because=f"the writer has stopped: {failed_because}")
    if decided_ns is None:
        return Probe(ok=False, because="the writer has not started")
    age_ms = (now_ns - decided_ns) // 1_000_000
    if age_ms > STUCK_MS:
        return Probe(ok=False, because=f"the writer has decided nothing for {age_ms} ms")
    return Probe(ok=True, because="")


def readyz(alive: Probe, *, armed: bool, not_armed_because: str, unwitnessed: Sequence[str] = (), signer: str = "") -> Probe:
    """Ready only when alive and armed. ``unwitnessed`` are the targets that accept no checkpoint now, and ``signer``
    is what the signer has to say of its budget; they are only named.
    """
    checkpoints = f"no checkpoint reaches {', '.join(unwitnessed)}" if unwitnessed else ""
    but = "; ".join(filter(None, (checkpoints, signer)))
    if not alive.ok:
        return Probe(ok=False, because=alive.because, but=but)
    return Probe(ok=True, because="", but=but) if armed else Probe(ok=False, because=not_armed_because or "not armed", but=but)
