"""A practised halt: the same latch, the same cancelling, the same proof and the same clocks as a real one, and then back to work.

A drill ends in one of two ways. Either its venue is verified empty before its deadline, and the controller arms again as after any
start; or anything else happens, a breach, a restart, the deadline, and it is a real halt. A move of the stage ends it as well.
"""

from __future__ import annotations

from controller.authority.command import Command
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, CancelAll, Latch
from controller.core.inputs import DrillMeasured
from controller.core.state import State
from exchange.errors import GatehouseError, Refused
from exchange.ports import VenueName
from policies import canonical
from policies.authority import Verb
from policies.guards import Breach
from policies.stage import Stage

DRILL_WITHIN_MS = 30_000
"""A venue that is not verified empty by then has failed the drill: it halts."""

STAGES = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED)
"""Where no real money is at work."""

HALT_DRILL = canonical.encode({"drill": "halt"}).decode()
"""The subject of a ``drill``: there is one kind."""

BECAUSE = "a halt is being practised"


def check(state: State, subject: str) -> None:
    """Whether a halt can be practised here and now. Raises ``Refused`` when not."""
    try:
        canonical.decode(subject.encode())
    except GatehouseError as error:
        raise Refused(error.message, code=error.code, remedy="Propose it with `gatehouse drill halt`.") from None
    if subject != HALT_DRILL:
        raise Refused(f"{subject[:80]} is not a drill", code="drill-malformed", remedy="Propose it with `gatehouse drill halt`.")
    if state.position.stage not in STAGES or any(order.venue is VenueName.LIVE for order in state.open.values()):
        raise Refused(
            f"a halt is not practised at {state.position} or while a live order is unsettled",
            code="drill-not-here",
            remedy=f"Practise it at {', '.join(STAGES)}.",
        )
    check_idle(state)
    if not state.armed or state.guard_level:
        why = state.not_armed_because or f"guards stand at {state.guard_level}: {state.guard_reason}"
        raise Refused(
            f"there is nothing to measure: {why}",
            code="drill-not-ready",
            remedy="Wait until `gatehouse status` shows it armed with no guard standing.",
        )


def check_idle(state: State) -> None:
    """Nothing goes up, and no second drill begins, while a halt is practised. Raises ``Refused``."""
    if state.drill is not None:
        raise Refused(
            "a halt is being practised", code="drill-running", remedy="Wait until `gatehouse status` shows that it has finished."
        )


def check_move(state: State, verb: Verb) -> None:
    """Down is free, even in the middle of a drill; up waits. Raises ``Refused``."""
    if verb in {Verb.ADVANCE, Verb.RAMP}:
        check_idle(state)


def start(draft: Draft, command: Command) -> None:
    """Latch, cancel everything, and let the clock run."""
    venue = draft.after.venue
    assert venue is not None, "a drill is refused where orders go nowhere"
    draft.do(Latch(BECAUSE))
    draft.emit(
        e.DrillStarted(
            command_id=command.command_id,
            venue=venue,
            stage=draft.after.position.stage,
            deadline=draft.now + DRILL_WITHIN_MS,
        )
    )
    draft.do(CancelAll(venue, moves.symbols(draft), because=BECAUSE))
    draft.do(Alert(AlertKind.DRILL, f"a halt is practised at {draft.after.position}", command.reason))


def measured(draft: Draft, given: DrillMeasured) -> None:
    """The venue was emptied, or could not be."""
    drill = draft.after.drill
    if drill is None or drill.command_id != given.command_id:
        return
    if not given.verified_empty:
        _fail(draft, f"{drill.venue} was not verified empty")
        return
    draft.emit(
        e.DrillFinished(
            command_id=drill.command_id,
            venue=drill.venue,
            breach_to_latch_us=given.breach_to_latch_us,
            latch_to_cancelled_us=given.latch_to_cancelled_us,
            cancelled=given.cancelled,
            denied=drill.denied,
            verified_empty=given.verified_empty,
        )
    )
    took = f"{given.cancelled} cancelled, empty {given.latch_to_cancelled_us} µs after the latch"
    draft.do(Alert(AlertKind.DRILL, "the practised halt has finished", took))


def due(draft: Draft) -> None:
    """A drill that goes on for too long is a halt."""
    drill = draft.after.drill
    if drill is not None and draft.now >= drill.deadline:
        _fail(draft, f"{drill.venue} was not verified empty within {(drill.deadline - drill.since) // 1000} s")


def broken(draft: Draft, found: Breach) -> None:
    """A guard was broken during a drill: whatever it would have asked for, it is a halt now."""
    _fail(draft, found.message)


def interrupted(draft: Draft) -> None:
    """The process ended during a drill: nobody saw the venue empty."""
    if draft.after.drill is not None:
        _fail(draft, "the controller ended in the middle of it")


def _fail(draft: Draft, why: str) -> None:
    moves.halt(draft, cause=Cause.DRILL, reason=f"the halt drill failed: {why}"[:500])
