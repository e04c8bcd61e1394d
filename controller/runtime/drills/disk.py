"""``gatehouse drill disk``: the journal's file may not grow, so SQLite itself refuses an append as on a full disk (ADR 22).

The append frees the disk reserve and is made durable, the permits are latched, and nothing is placed until the reserve is there
again. A real full disk also halts; the drill takes only that last step away.
"""

from __future__ import annotations

import asyncio

from controller.core.state import Drill
from controller.runtime.drills.practice import POLL_S, Bench, Measured, NotExercised, Unproven
from controller.runtime.halt_threads import PRACTICE

FULL_WITHIN_S = 60.0
HOLD_S = 1.0
"""How long orders stay refused: several batches of the writer."""


async def practise(bench: Bench, drill: Drill) -> Measured:  # noqa: ARG001 - there is one journal, whatever the drill is about
    """Let the next append that needs room be refused, and see that no permit counts until the reserve is set aside again."""
    disk, forbid_growth = bench.disk, bench.forbid_growth
    if disk is None or forbid_growth is None:
        raise NotExercised("the journal is in a database, whose disk is not ours", "Practise a full disk on the database's host.")
    began_ns = bench.clock.monotonic_ns()
    try:
        disk.begin_practice()
        forbid_growth(True)  # noqa: FBT003
        await bench.until(lambda: bool(disk.reserve_used), "the journal did not need room", FULL_WITHIN_S)
        full_ms, full_ns = bench.ms_since(began_ns), bench.clock.monotonic_ns()
        bench.permits.suspend(PRACTICE, disk.reserve_used)
        await _stay_refused(bench)
        if not await asyncio.to_thread(disk.restore):
            raise Unproven("the disk reserve could not be set aside again")
        disk.end_practice()
        refused_ms = bench.ms_since(full_ns)
    finally:
        forbid_growth(False)  # noqa: FBT003
        disk.end_practice()
        bench.permits.lift(PRACTICE)
    await bench.until(lambda: bench.permits.current().is_live(), "orders were not allowed again", 10)
    return {"full_after_ms": full_ms, "refused_for_ms": refused_ms, "allowed_again_ms": bench.ms_since(full_ns)}


async def _stay_refused(bench: Bench) -> None:
    end_ns = bench.clock.monotonic_ns() + int(HOLD_S * 1e9)
    while bench.clock.monotonic_ns() < end_ns:
        if not bench.permits.latched_because or bench.permits.current().is_live():
            raise Unproven("a permit counted after the disk was full")
        await asyncio.sleep(POLL_S)
