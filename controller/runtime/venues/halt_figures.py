"""What becomes of a venue that was emptied: the figures of the halt, or of the drill, that asked for it."""

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
    effect: CancelAll, result: CancelAllResult, state: State, times: HaltClock | None, inbox: Inbox, clock: Clock
) -> None:
    """Tell the writer how long a halt took, if this was the venue it left."""
    if state.position.stage is not Stage.HALTED or effect.venue is not state.watched or times is None:
        return
    empty = result.empty_ns >= 0
    inbox.fact(
        HaltCompleted(
            cause=state.halt_cause or "",
            breach_to_latch_us=(times.latched_ns - times.known_ns) // 1000,
            latch_to_cancelled_us=max(0, result.empty_ns - times.latched_ns) // 1000 if empty else -1,
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
    again: Callable[[CancelAll], None],
) -> None:
    """Tell the writer how long a practised halt took, if one is going on here.

    An emptying that began before the latch fell proves nothing about what was open then: ``again`` is asked for another.
    """
    drill = state.drill
    if drill is None or effect.venue is not drill.venue or times is None:
        return
    empty = result.empty_ns >= 0
    if empty and result.empty_ns < times.latched_ns:
        again(effect)
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
