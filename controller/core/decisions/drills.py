"""Decisions about halt drills. A drill does everything a halt does, and then work goes on. ``decide``, ticks and guards call it.

A drill latches, cancels, verifies and measures like a real halt. It ends in one of three ways. The venue is verified empty before
the deadline: the controller reconciles and arms again. The stage moves: the drill ends without a result. A guard is breached, the
process restarts or the deadline passes: the drill becomes a real halt.
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
"""If the venue is not verified empty within this time, the drill fails and the deployment halts."""

STAGES = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED)
"""The stages without real money, where a drill is allowed."""

HALT_DRILL = canonical.encode({"drill": "halt"}).decode()
"""The subject of a ``drill`` command. There is one kind of drill."""

BECAUSE = "a halt drill is running"


def check(state: State, subject: str) -> None:
    """Check that a drill can start now. Raises ``Refused`` when it cannot."""
    try:
        canonical.decode(subject.encode())
    except GatehouseError as error:
        raise Refused(error.message, code=error.code, remedy="Propose the command with `gatehouse drill halt`.") from None
    if subject != HALT_DRILL:
        raise Refused(
            f"{subject[:80]} is not a drill", code="drill-malformed", remedy="Propose the command with `gatehouse drill halt`."
        )
    if state.position.stage not in STAGES or any(order.venue is VenueName.LIVE for order in state.open.values()):
        raise Refused(
            f"no halt drill is possible at {state.position} or while a live order is unsettled",
            code="drill-not-here",
            remedy=f"Run the drill at {', '.join(STAGES)}.",
        )
    check_idle(state)
    if not state.armed or state.guard_level:
        why = state.not_armed_because or f"a guard is at {state.guard_level}: {state.guard_reason}"
        raise Refused(
            f"a drill would measure nothing: {why}",
            code="drill-not-ready",
            remedy="Wait until `gatehouse status` shows that the controller is armed and no guard is breached.",
        )


def check_idle(state: State) -> None:
    """Check that no drill is running: no move up and no second drill starts during a drill. Raises ``Refused``."""
    if state.drill is not None:
        raise Refused(BECAUSE, code="drill-running", remedy="Wait until `gatehouse status` shows that the drill has finished.")


def check_move(state: State, verb: Verb) -> None:
    """Check a move during a drill: moves down are allowed, moves up are not. Raises ``Refused``."""
    if verb in {Verb.ADVANCE, Verb.RAMP}:
        check_idle(state)


def start(draft: Draft, command: Command) -> None:
    """Start a drill: latch, cancel every order, and start the deadline."""
    venue = draft.after.venue
    assert venue is not None, "a drill is refused at stages without a venue"
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
    draft.do(Alert(AlertKind.DRILL, f"a halt drill runs at {draft.after.position}", command.reason))


def drill_measured(draft: Draft, measurement: DrillMeasured) -> None:
    """End the drill: it succeeded if the venue is verified empty, otherwise the deployment halts."""
    drill = draft.after.drill
    if drill is None or drill.command_id != measurement.command_id:
        return
    if not measurement.verified_empty:
        _fail(draft, f"{drill.venue} was not verified empty")
        return
    draft.emit(
        e.DrillFinished(
            command_id=drill.command_id,
            venue=drill.venue,
            breach_to_latch_us=measurement.breach_to_latch_us,
            latch_to_cancelled_us=measurement.latch_to_cancelled_us,
            cancelled=measurement.cancelled,
            denied=drill.denied,
            verified_empty=measurement.verified_empty,
        )
    )
    summary = f"{measurement.cancelled} cancelled, empty {measurement.latch_to_cancelled_us} µs after the latch"
    draft.do(Alert(AlertKind.DRILL, "the halt drill has finished", summary))


def halt_when_overdue(draft: Draft) -> None:
    """Halt if the drill has passed its deadline."""
    drill = draft.after.drill
    if drill is not None and draft.now >= drill.deadline:
        _fail(draft, f"{drill.venue} was not verified empty within {(drill.deadline - drill.since) // 1000} s")


def breached(draft: Draft, found: Breach) -> None:
    """Halt because a guard was breached during a drill, whatever its level."""
    _fail(draft, found.message)


def interrupted(draft: Draft) -> None:
    """Halt because the process ended during a drill, before the venue was verified empty."""
    if draft.after.drill is not None:
        _fail(draft, "the controller stopped during the drill")


def _fail(draft: Draft, why: str) -> None:
    moves.halt(draft, cause=Cause.DRILL, reason=f"the halt drill failed: {why}"[:500])
