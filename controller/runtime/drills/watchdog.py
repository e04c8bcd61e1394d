"""``gatehouse drill watchdog``: the controller sends no heartbeat until the watchdog has cancelled everything (ADR 27)."""

from __future__ import annotations

from controller.core.state import Drill
from controller.runtime.drills.practice import Bench, Measured, NotExercised, Unproven

LONGEST_LEASE_S = 120
SLACK_S = 30.0


async def practise(bench: Bench, drill: Drill) -> Measured:
    """Be silent until the watchdog's own log says that it fired and found nothing left, then let its log be absorbed."""
    heartbeat, symbols = bench.heartbeat, bench.policy.symbols
    if heartbeat is None:
        raise NotExercised("the settings have no watchdog", "Set watchdog.enabled in gatehouse.toml, then start again.")
    if heartbeat.problem():
        raise NotExercised(heartbeat.problem(), "Wait until `gatehouse status` shows that the watchdog answers.")
    if heartbeat.lease_s > LONGEST_LEASE_S:
        raise NotExercised(
            f"the lease of {heartbeat.lease_s} s is too long for a drill", f"Set watchdog.lease_s to at most {LONGEST_LEASE_S}."
        )
    venue = bench.venues[drill.venue]
    open_before, began_ms = len(await venue.remaining(symbols)), bench.clock.now()
    try:
        heartbeat.fall_silent()
        await bench.until(lambda: heartbeat.heard.emptied_at is not None, "the watchdog did not fire", heartbeat.lease_s + SLACK_S)
        fired_at, emptied_at = heartbeat.heard.fired_at, heartbeat.heard.emptied_at
        left = await venue.remaining(symbols)
    finally:
        heartbeat.speak()
    if left or fired_at is None or emptied_at is None:
        raise Unproven(f"{len(left)} orders were open after the watchdog had fired")
    await bench.until(
        lambda: bench.drill(drill).seen_at is not None and not heartbeat.problem(), "the watchdog's log was not absorbed", SLACK_S
    )
    return {
        "lease_ms": heartbeat.lease_s * 1000,
        "silent_to_fired_ms": fired_at - began_ms,
        "fired_to_empty_ms": emptied_at - fired_at,
        "open_before": open_before,
        "open_left": len(left),
    }
