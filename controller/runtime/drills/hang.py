"""``gatehouse drill hang``: a busy callback blocks the event loop until the watching thread has stopped orders (ADR 29)."""

from __future__ import annotations

from controller.core.state import Drill
from controller.runtime.drills.practice import Bench, Measured, NotExercised, Unproven
from controller.runtime.loop.liveness import STUCK_AFTER_NS, SUSPEND_AFTER_NS
from controller.runtime.loop.liveness import WHO as LIVENESS

BLOCK_MOST_NS = STUCK_AFTER_NS - 1_000_000_000
"""The loop is free again a second before it would count as stuck."""
STAY_BLOCKED_NS = 200_000_000
"""How long the loop stays blocked after orders were stopped."""
SHORTEST_LEASE_S = 6
"""With a shorter lease the watchdog would fire meanwhile, and that would be a real halt."""


async def practise(bench: Bench, drill: Drill) -> Measured:  # noqa: ARG001 - it blocks the loop, whatever the drill is about
    """Block the loop, see the permits suspended from it, and wait until they count again."""
    if bench.heartbeat is not None and bench.heartbeat.lease_s < SHORTEST_LEASE_S:
        raise NotExercised(
            f"the watchdog's lease of {bench.heartbeat.lease_s} s is too short to block the loop",
            f"Set watchdog.lease_s to at least {SHORTEST_LEASE_S}.",
        )
    began_ns = bench.clock.monotonic_ns()
    suspended_ms = _block(bench, began_ns)
    blocked_ms, freed_ns = bench.ms_since(began_ns), bench.clock.monotonic_ns()
    await bench.until(lambda: not bench.permits.suspended_by(LIVENESS), "orders were not allowed again", 10)
    lifted_ms = bench.ms_since(freed_ns)
    await bench.until(lambda: not bench.state().guard_level, "a guard still stops entries", 10)
    return {
        "limit_ms": SUSPEND_AFTER_NS // 1_000_000,
        "suspended_ms": suspended_ms,
        "blocked_ms": blocked_ms,
        "allowed_again_ms": lifted_ms,
    }


def _block(bench: Bench, began_ns: int) -> int:
    """Keep the loop busy until its thread stops orders; return after how many milliseconds it did. Raises ``Unproven``."""
    permits, now_ns = bench.permits, bench.clock.monotonic_ns
    while not permits.suspended_by(LIVENESS):
        if now_ns() - began_ns > BLOCK_MOST_NS:
            raise Unproven(f"the watching thread did not stop orders within {BLOCK_MOST_NS // 1_000_000} ms")
    suspended_ms, until_ns = bench.ms_since(began_ns), now_ns() + STAY_BLOCKED_NS
    while now_ns() < until_ns:
        if permits.current().is_live():
            raise Unproven("a permit counted while the event loop was blocked")
    return suspended_ms
