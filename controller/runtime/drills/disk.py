"""``gatehouse drill disk``: the journal cannot write for a moment, and no order leaves meanwhile.

A journal in a file: it may not grow, so SQLite itself refuses an append as on a full disk (ADR 22). The append frees the disk
reserve and is made durable, the permits are latched, and nothing is placed until the reserve is there again. A real full disk also
halts; the drill takes only that last step away.

A journal in a database: the disk is the server's. There the row that every append locks is held for a second, as by a server that
is slow. The append waits, nothing is decided before it is durable, and the lease is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from controller.core.state import Drill
from controller.journal.port import JournalError, JournalHold
from controller.runtime.drills.practice import POLL_S, Bench, Measured, NotExercised, Unproven
from controller.runtime.followers.disk_space import DiskReserve
from controller.runtime.halt_threads import PRACTICE

FULL_WITHIN_S = 60.0
HOLD_S = 1.0
"""How long orders stay refused: several batches of the writer."""
WAITS_WITHIN_MS = 2_500
"""A writer with nothing to append renews its lease every second, and that waits too."""
WAIT_S = 1.0
"""How long an append is kept waiting: half of what it waits at most before it counts as failed."""


async def practise(bench: Bench, drill: Drill) -> Measured:  # noqa: ARG001 - there is one journal, whatever the drill is about
    """Keep the journal from writing, and see that no order can leave until it writes again."""
    if bench.means.journal_hold is not None:
        return await _slow_database(bench, bench.means.journal_hold())
    disk, forbid_growth = bench.disk, bench.means.forbid_growth
    if disk is None or forbid_growth is None:
        raise NotExercised("the journal has no disk reserve", "Give the data directory 64 MiB of free space, then start again.")
    return await _full_disk(bench, disk, forbid_growth)


async def _full_disk(bench: Bench, disk: DiskReserve, forbid_growth: Callable[[bool], None]) -> Measured:
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


async def _slow_database(bench: Bench, hold: JournalHold) -> Measured:
    try:
        await asyncio.to_thread(hold.take)
    except JournalError as error:
        raise NotExercised(error.message, error.remedy) from None
    try:
        held_ns = bench.clock.monotonic_ns()
        while not await asyncio.to_thread(hold.makes_wait):
            if bench.ms_since(held_ns) > WAITS_WITHIN_MS:
                raise Unproven(f"the server showed no append that waits within {WAITS_WITHIN_MS} ms")
            await asyncio.sleep(POLL_S)
        waited_ms, waits_ns = bench.ms_since(held_ns), bench.clock.monotonic_ns()
        # What was durable before may still be on its way to the state.
        await asyncio.sleep(WAIT_S / 5)
        seq = bench.state().seq
        await asyncio.sleep(WAIT_S)
        if bench.state().seq != seq:
            raise Unproven("something was decided although the journal could not write")
        refused_ms = bench.ms_since(waits_ns)
    finally:
        await asyncio.to_thread(hold.release)
    await bench.until(lambda: bench.state().seq > seq and bench.permits.current().is_live(), "the journal did not write again", 10)
    return {"append_waits_after_ms": waited_ms, "appends_waited_ms": refused_ms, "allowed_again_ms": bench.ms_since(waits_ns)}


async def _stay_refused(bench: Bench) -> None:
    end_ns = bench.clock.monotonic_ns() + int(HOLD_S * 1e9)
    while bench.clock.monotonic_ns() < end_ns:
        if not bench.permits.latched_because or bench.permits.current().is_live():
            raise Unproven("a permit counted after the disk was full")
        await asyncio.sleep(POLL_S)
