"""``gatehouse drill kill``: a halt by the route that needs nobody, from the watching thread (ADR 29).

The thread stops every permit and hands the halt to the event loop, which starts the cancels before the writer knows. From the latch
on it is the drill of a halt: the venue has to be verified empty.
"""

from __future__ import annotations

from controller.core.state import Drill
from controller.runtime.drills.practice import Bench
from controller.runtime.halt_threads import PRACTICE


async def practise(bench: Bench, drill: Drill) -> None:
    """Ask the thread for a practised halt, and wait for the writer's own latch."""
    try:
        bench.threads.practise_halt(drill.command_id)
        await bench.until(lambda: bench.drill(drill).latched, "the halt was not recorded", 10)
    finally:
        bench.permits.lift(PRACTICE)
