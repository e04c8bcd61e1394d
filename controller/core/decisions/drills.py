"""Decisions about drills: a fault practised in the running deployment, and the proof of it. ``decide``, ticks and guards call it.

A drill of a halt latches, cancels, verifies and measures like a real halt. The other drills withhold something: market data, the
heartbeat, a thread, an answer. None lets an order through that would be refused without it. A drill beside the deployment, that of
a restore, withholds nothing; when it fails, nothing halts.

A drill ends in one of four ways. It is proven before the deadline: work goes on. Its fault could not be practised: it failed, and
nothing halts. The stage moves: it ends without a result. Anything else, such as another guard that is breached, a restart that is
not part of it, or the deadline: it becomes a real halt.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from controller.authority.command import Command
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, CancelAll, Latch
from controller.core.fold.drills import PRACTISED_GUARD
from controller.core.inputs import DrillMeasured, FaultReported, HaltPractised
from controller.core.state import Drill, State
from exchange.errors import GatehouseError, Refused
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies import canonical
from policies.authority import Verb
from policies.drills import DRILLS, DrillKind
from policies.guards import Breach, GuardName, Level
from policies.stage import LIVE_STAGES, Stage

STAGES = (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED)
"""The stages without real money, where a drill of a halt is allowed."""

FAULT_STAGES = (Stage.TESTNET_VALIDATING, Stage.VALIDATED)
"""The stages where every other drill is allowed: orders go to a testnet."""

DUST_EUR = Decimal("0.5")
"""A holding below this counts as nothing held: it is half of MEXC's smallest order and cannot be sold."""

NOT_COVERED = frozenset({DrillKind.CLOCK, DrillKind.DISK, DrillKind.HANG, DrillKind.WATCHDOG})
"""The drills whose time does not count as covered although the controller is armed: they withhold orders."""


def subject_of(kind: DrillKind) -> str:
    """The subject of the command that starts a drill."""
    return canonical.encode({"drill": kind.value}).decode()


HALT_DRILL = subject_of(DrillKind.HALT)
DRILL_WITHIN_MS = DRILLS[DrillKind.HALT].within_ms

_KINDS: Mapping[str, DrillKind] = {subject_of(kind): kind for kind in DrillKind}

BECAUSE = "a halt drill is running"


def check(state: State, subject: str) -> None:
    """Check that a drill can start now. Raises ``Refused`` when it cannot."""
    kind = _kind_of(subject)
    if not _belongs_here(state, kind):
        raise Refused(
            f"no {kind} drill is possible at {state.position} now",
            code="drill-not-here",
            remedy=_where(kind),
        )
    check_idle(state)
    if DRILLS[kind].beside:
        return
    if not state.armed or state.guard_level:
        why = state.not_armed_because or f"a guard is at {state.guard_level}: {state.guard_reason}"
        raise Refused(
            f"a drill would measure nothing: {why}",
            code="drill-not-ready",
            remedy="Wait until `gatehouse status` shows that the controller is armed and no guard is breached.",
        )
    unknown = next((order for order in state.open.values() if order.status is OrderStatus.UNKNOWN), None)
    if unknown is not None:
        raise Refused(
            f"a drill could not prove its venue empty: the outcome of {unknown.client_id} on {unknown.venue} is not known",
            code="drill-not-ready",
            remedy="Wait until `gatehouse status` shows no unknown order.",
        )


def _kind_of(subject: str) -> DrillKind:
    kinds = ", ".join(DrillKind)
    remedy = f"Propose the command with `gatehouse drill KIND`; KIND is one of {kinds}."
    try:
        canonical.decode(subject.encode())
    except GatehouseError as error:
        raise Refused(error.message, code=error.code, remedy=remedy) from None
    if subject not in _KINDS:
        raise Refused(f"{subject[:80]} is not a drill", code="drill-malformed", remedy=remedy)
    return _KINDS[subject]


def _belongs_here(state: State, kind: DrillKind) -> bool:
    stage = state.position.stage
    if DRILLS[kind].beside:
        return stage is not Stage.HALTED
    if stage in LIVE_STAGES:
        return DRILLS[kind].live and _flat(state)
    live_orders = any(order.venue is VenueName.LIVE for order in state.open.values())
    return stage in (STAGES if kind is DrillKind.HALT else FAULT_STAGES) and not live_orders


def _flat(state: State) -> bool:
    """Whether nothing is open and nothing is held at the live venue."""
    held = state.ledger(VenueName.LIVE).exposure_eur
    return not state.open and held is not None and held < DUST_EUR


def _where(kind: DrillKind) -> str:
    if DRILLS[kind].beside:
        return "Run the drill once the deployment is not HALTED."
    stages = ", ".join(STAGES if kind is DrillKind.HALT else FAULT_STAGES)
    live = f", or with real money while nothing is open and less than {DUST_EUR} EUR is held" if DRILLS[kind].live else ""
    return f"Run the drill at {stages}, with no live order unsettled{live}."


def check_idle(state: State) -> None:
    """Check that no drill is running: no move up and no second drill starts during a drill. Raises ``Refused``."""
    if state.drill is not None:
        raise Refused(
            f"a {state.drill.kind} drill is running",
            code="drill-running",
            remedy="Wait until `gatehouse status` shows that the drill has finished.",
        )


def check_move(state: State, verb: Verb) -> None:
    """Check a move during a drill: moves down are allowed, moves up are not. Raises ``Refused``."""
    if verb in {Verb.ADVANCE, Verb.RAMP}:
        check_idle(state)


def start(draft: Draft, command: Command) -> None:
    """Start a drill. One of a halt latches and cancels every order at once; the shell practises every other fault."""
    venue, kind = draft.after.venue, _kind_of(command.subject)
    assert venue is not None, "a drill is refused at stages without a venue"
    if kind is DrillKind.HALT:
        draft.do(Latch(BECAUSE))
    draft.emit(
        e.DrillStarted(
            command_id=command.command_id,
            venue=venue,
            stage=draft.after.position.stage,
            deadline=draft.now + DRILLS[kind].within_ms,
            drill=kind,
        )
    )
    if kind is DrillKind.HALT:
        draft.do(CancelAll(venue, moves.symbols(draft), because=BECAUSE))
    draft.do(Alert(AlertKind.DRILL, f"a {kind} drill runs at {draft.after.position}", command.reason))


def halt_practised(draft: Draft, practised: HaltPractised) -> None:
    """Latch after a thread has stopped orders for a drill, and cancel what is open."""
    drill = draft.after.drill
    if drill is None or drill.command_id != practised.command_id or drill.latched:
        return
    draft.do(Latch(BECAUSE))
    draft.emit(e.DrillLatched(command_id=drill.command_id, suspended_us=practised.suspended_us))
    draft.do(CancelAll(drill.venue, moves.symbols(draft), because=BECAUSE))


def drill_measured(draft: Draft, measurement: DrillMeasured) -> None:
    """End a drill of a halt: it passed if the venue is verified empty, otherwise the deployment halts."""
    drill = draft.after.drill
    if drill is None or drill.command_id != measurement.command_id or not drill.latched:
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
            drill=drill.kind,
            measured=dict(drill.measured),
        )
    )
    summary = f"{measurement.cancelled} cancelled, empty {measurement.latch_to_cancelled_us} µs after the latch"
    draft.do(Alert(AlertKind.DRILL, f"the {drill.kind} drill has finished", summary))


def fault_reported(draft: Draft, report: FaultReported) -> None:
    """End a drill of another fault: it passed if the shell measured it and the journal shows it too."""
    drill = draft.after.drill
    if drill is None or drill.command_id != report.command_id or drill.latched:
        return
    if not report.exercised:
        _could_not(draft, drill, report.problem)
        return
    if problem := report.problem or ("" if DRILLS[drill.kind].beside else _not_shown(draft.after, drill)):
        _fail(draft, problem)
        return
    _pass(draft, drill, {**drill.measured, **report.measured})


def _could_not(draft: Draft, drill: Drill, why: str) -> None:
    """End a drill without a halt and without a green result: nothing was broken."""
    reason = why[:500]
    draft.emit(e.DrillFailed(command_id=drill.command_id, venue=drill.venue, drill=drill.kind, reason=reason))
    draft.do(Alert(AlertKind.DRILL_FAILED, f"the {drill.kind} drill could not be run", reason))


def _not_shown(state: State, drill: Drill) -> str:
    """Why the journal does not show what was practised, and that it is over; empty when it does."""
    if drill.kind is DrillKind.AMBIGUOUS:
        order = state.orders.get(drill.order) if drill.order else None
        if order is None:
            return "no order was without an outcome"
        return "the order is still without an outcome" if order.status is OrderStatus.UNKNOWN else ""
    guard = PRACTISED_GUARD.get(drill.kind)
    if guard is not None and drill.seen_at is None:
        return f"guard {guard} was not breached"
    if state.guard_level:
        return f"guard {state.guard} is still at {state.guard_level}"
    if drill.kind is DrillKind.WATCHDOG and drill.seen_at is None:
        return "the watchdog's log does not say that it fired"
    return ""


def finish_crash(draft: Draft) -> None:
    """End a crash drill once the next start has reconciled: it is armed, and every order has an outcome."""
    drill, state = draft.after.drill, draft.after
    if drill is None or drill.kind is not DrillKind.CRASH or drill.seen_at is None or not state.armed or state.guard_level:
        return
    if not any(order.status is OrderStatus.UNKNOWN for order in state.open.values()):
        _pass(draft, drill, {**drill.measured, "recovered_ms": draft.now - drill.since})


def _pass(draft: Draft, drill: Drill, measured: Mapping[str, int]) -> None:
    draft.emit(
        e.DrillFinished(
            command_id=drill.command_id,
            venue=drill.venue,
            breach_to_latch_us=-1,
            latch_to_cancelled_us=-1,
            cancelled=0,
            denied=drill.denied,
            verified_empty=False,
            drill=drill.kind,
            measured=dict(sorted(measured.items())),
        )
    )
    figures = ", ".join(f"{name} {value}" for name, value in sorted(measured.items()))
    draft.do(Alert(AlertKind.DRILL, f"the {drill.kind} drill has finished", figures))


def halt_when_overdue(draft: Draft) -> None:
    """Halt if the drill has passed its deadline."""
    drill = draft.after.drill
    if drill is None or draft.now < drill.deadline:
        return
    within_s = DRILLS[drill.kind].within_ms // 1000
    empty = f"{drill.venue} was not verified empty" if drill.latched else "it was not proven"
    _fail(draft, f"{empty} within {within_s} s")


def breaking(state: State) -> Drill | None:
    """The drill that breaks something of the deployment now; a breach beside any other one is an ordinary breach."""
    return state.drill if state.drill is not None and not DRILLS[state.drill.kind].beside else None


def unexpected(drill: Drill, breaches: tuple[Breach, ...], *, armed: bool) -> tuple[Breach, ...]:
    """The breaches that the drill does not practise. Only a breach that stops entries and nothing more can be practised."""
    return tuple(breach for breach in breaches if breach.level > Level.NO_ENTRY or not _practises(drill, breach, armed=armed))


def _practises(drill: Drill, breach: Breach, *, armed: bool) -> bool:
    match drill.kind:
        case DrillKind.CRASH:
            # Before the first measurements of a new process every guard stops entries, as at every start.
            return drill.seen_at is not None and (breach.blind or not armed or breach.guard is GuardName.QUOTE_STALE)
        case DrillKind.HANG:
            # A loop that was blocked has old quotes for a moment.
            return breach.guard is GuardName.QUOTE_STALE
        case _:
            return breach.guard is PRACTISED_GUARD.get(drill.kind)


def withholds_orders(state: State) -> str:
    """Why orders are withheld by a drill although the controller is armed; empty when they are not."""
    drill = state.drill
    return f"a {drill.kind} drill withholds orders" if drill is not None and drill.kind in NOT_COVERED else ""


def practises_silence(state: State) -> bool:
    """Whether the watchdog was made to fire by a drill, and has not fired before in it."""
    drill = state.drill
    return drill is not None and drill.kind is DrillKind.WATCHDOG and drill.seen_at is None


def breached(draft: Draft, found: Breach) -> None:
    """Halt because a guard was breached during a drill, whatever its level."""
    _fail(draft, found.message)


def interrupted(draft: Draft) -> None:
    """Halt because the process ended during a drill. The first end of the process in a crash drill is what it practises."""
    drill = draft.after.drill
    if drill is not None and not (drill.kind is DrillKind.CRASH and drill.seen_at is None):
        _fail(draft, "the controller stopped during the drill")


def _fail(draft: Draft, why: str) -> None:
    """Halt; a drill beside the deployment only ends, because nothing was broken."""
    drill = draft.after.drill
    if drill is not None and DRILLS[drill.kind].beside:
        _could_not(draft, drill, why)
        return
    kind = drill.kind if drill is not None else DrillKind.HALT
    moves.halt(draft, cause=Cause.DRILL, reason=f"the {kind} drill failed: {why}"[:500])
