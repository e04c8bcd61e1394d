"""Reports how long a halt or a drill took, once its cancel-all has ended; the assembly calls it with each result."""

from __future__ import annotations

from collections.abc import Callable

from controller.core.effects import CancelAll
from controller.core.inputs import DrillMeasured, HaltCompleted
from controller.core.state import State
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import HaltClock
from controller.runtime.venues.cancel_all import CancelAllResult
from exchange.ports import Clock
from policies.stage import Stage


def report_halt(
    effect: CancelAll,
    result: CancelAllResult,
    state: State,
    times: HaltClock | None,
    inbox: Inbox,
    clock: Clock,
    cancel_again: Callable[[CancelAll, int], None],
    measured: set[int],
) -> None:
    """Report to the writer how long a halt took, if the result is of the venue that the halt left.

    A venue that was empty before the latch proves nothing about the orders open at the latch: ``cancel_again`` then repeats it.
    ``measured`` are the latches whose venue was proven empty: what is cancelled later, as by a flatten, is not of that halt.
    """
    if state.position.stage is not Stage.HALTED or effect.venue is not state.watched or times is None:
        return
    if times.latched_ns in measured:
        return
    empty = result.empty_ns >= 0
    if empty and result.empty_ns < times.latched_ns:
        cancel_again(effect, result.orders)
        return
    if empty:
        measured.add(times.latched_ns)
    inbox.fact(
        HaltCompleted(
            cause=state.halt_cause or "",
            breach_to_latch_us=(times.latched_ns - times.known_ns) // 1000,
            latch_to_cancelled_us=(result.empty_ns - times.latched_ns) // 1000 if empty else -1,
            cancelled=result.orders,
            verified_empty=empty,
        ),
        clock.monotonic_ns(),
    )


def report_drill(
    effect: CancelAll,
    result: CancelAllResult,
    state: State,
    times: HaltClock | None,
    inbox: Inbox,
    clock: Clock,
    cancel_again: Callable[[CancelAll, int], None],
) -> None:
    """Report to the writer how long a drill took, if one is running at this venue. ``cancel_again`` is as in ``report_halt``."""
    drill = state.drill
    if drill is None or not drill.latched or effect.venue is not drill.venue or times is None:
        return
    empty = result.empty_ns >= 0
    if empty and result.empty_ns < times.latched_ns:
        cancel_again(effect, result.orders)
        return
    inbox.fact(
        DrillMeasured(
            command_id=drill.command_id,
            breach_to_latch_us=(times.latched_ns - times.known_ns) // 1000,
            latch_to_cancelled_us=(result.empty_ns - times.latched_ns) // 1000 if empty else -1,
            cancelled=result.orders,
            verified_empty=empty,
        ),
        clock.monotonic_ns(),
    )
