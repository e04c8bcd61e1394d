"""Moves of the deployment: the only place that emits ``StageChanged``. Every other module of decisions calls it.

A move down is always allowed. For a move up, the caller has checked signatures and gate before.
"""

from __future__ import annotations

from decimal import Decimal

from controller.core.causes import Cause
from controller.core.decisions.draft import Draft
from controller.core.decisions.flatten_end import end as end_flatten
from controller.core.effects import Alert, AlertKind, Cancel, CancelAll, Latch
from controller.core.events import BreachDetected, CancelRequested, CommandVoided, Disarmed, StageChanged
from controller.core.lifecycle import Position, move
from controller.core.order_state import IN_FLIGHT, OrderState
from controller.core.state import State, venue_of
from exchange.ports import VenueName
from policies.authority import Verb
from policies.guards import Breach, GuardName
from policies.ramp import cap_eur, step_count
from policies.schema import Policy
from policies.stage import Stage

HALTED = Position(Stage.HALTED)


def go(draft: Draft, verb: Verb, target: Position, *, cause: Cause, reason: str, command_id: str = "") -> None:
    """Move along a declared edge. Cancel every order on the venue that is left, and every order when the cap becomes lower.

    Raises:
        Refused: the edge is not declared, or its guard refuses; nothing has been emitted then.
    """
    state = draft.after
    steps = step_count(state.policy) if state.policy else 0
    here = move(state.position, verb, target, halt=state.halt, steps=steps)
    old = state.position
    if state.flatten is not None and venue_of(here.stage) is not state.flatten.venue:
        end_flatten(draft, f"{old} → {here}: {reason}")
    void_pending(draft, cause=cause, reason=f"the deployment moved to {here}: {reason}")
    draft.emit(
        StageChanged(
            from_stage=old.stage,
            from_step=old.step,
            stage=here.stage,
            step=here.step,
            cause=cause,
            reason=reason,
            command_id=command_id,
            lost_ms=0 if here.risk > old.risk else _lost_ms(state),
        )
    )
    venue = venue_of(here.stage)
    if venue is not None and state.armed and not draft.after.ledger(venue).clean:
        draft.emit(Disarmed(reason=f"the {venue} account is not reconciled"))
    if state.policy and venue is not None and _cap(state.policy, here) < _cap(state.policy, old):
        for order in draft.after.open_on(venue):
            cancel(draft, order, by="gatehouse")
    left = {order.venue for order in draft.after.open.values()} - {venue}
    if here.stage is Stage.HALTED and (halted := venue_of(old.stage)) is not None:
        left |= {halted}
    for name in sorted(left):
        draft.do(CancelAll(name, symbols(draft), because=f"{old} → {here}: {reason}"))
    soft = AlertKind.STEP_DOWN if cause is Cause.SOFT_BREACH else AlertKind.STAGE
    kind = AlertKind.HALTED if here.stage is Stage.HALTED else soft
    draft.do(Alert(kind, f"{old} → {here}", f"{cause}: {reason}"))


def _lost_ms(state: State) -> int:
    """The covered time of the run that a move ends, or of the one that ended a moment ago with the cause of the move."""
    covered = state.tally.covered_ms if state.tally is not None else 0
    lost = state.lost_run
    return covered or (lost.covered_ms if lost is not None and lost.at == state.at else 0)


def halt(draft: Draft, *, cause: Cause, reason: str, command_id: str = "") -> None:
    """Halt the deployment, and end a flatten. The latch is the first effect.

    If it is HALTED already, only withdraw the command that waits and end a flatten.
    """
    if draft.after.position.stage is Stage.HALTED:
        void_pending(draft, cause=cause, reason=reason)
        if draft.after.flatten is not None:
            draft.do(Latch(reason))
            end_flatten(draft, f"{cause}: {reason}")
        return
    draft.do(Latch(reason))
    go(draft, Verb.HALT, HALTED, cause=cause, reason=reason, command_id=command_id)


def void_pending(draft: Draft, *, cause: Cause, reason: str) -> None:
    """Withdraw the command that waits for its cooling-off period, if there is one."""
    pending = draft.after.pending
    if pending is None:
        return
    draft.emit(CommandVoided(command_id=pending.command_id, cause=cause, reason=reason[:500]))
    draft.do(Alert(AlertKind.STAGE, f"{pending.verb} to {pending.target} was withdrawn", f"{cause}: {reason}"))


def breach(draft: Draft, venue: VenueName, found: Breach) -> None:
    """Record a breach and halt."""
    draft.emit(detected(venue, found))
    draft.do(Alert(AlertKind.BREACH, f"{found.guard.value} breached", found.message))
    halt(draft, cause=_cause(found), reason=found.message)


def detected(venue: VenueName, found: Breach) -> BreachDetected:
    """The event for a breach."""
    return BreachDetected(
        guard=found.guard.value,
        level=found.level.name,
        measured=found.measured,
        threshold=found.threshold,
        message=found.message,
        venue=venue,
    )


def _cause(found: Breach) -> Cause:
    if found.contradicted:
        return Cause.INTEGRITY
    return Cause.CLOCK if found.guard is GuardName.CLOCK_OFFSET else Cause.BREACH


def integrity(draft: Draft, reason: str) -> None:
    """Halt because a venue or a checkpoint contradicts the journal."""
    draft.do(Alert(AlertKind.RECONCILIATION, "integrity", reason))
    halt(draft, cause=Cause.INTEGRITY, reason=reason)


def cancel(draft: Draft, order: OrderState, *, by: str) -> None:
    """Cancel one order. If its outcome is not known, it is cancelled as soon as the venue reports it."""
    if not order.working:
        return
    if not order.cancel_requested:
        draft.emit(CancelRequested(client_id=order.client_id, requested_by=by))
    if order.status not in IN_FLIGHT:
        draft.do(Cancel(order.venue, order.symbol, order.client_id))


def _cap(policy: Policy, here: Position) -> Decimal:
    return cap_eur(policy, here.stage, here.step)


def symbols(draft: Draft) -> tuple[str, ...]:
    """Every symbol in which the deployment may have orders."""
    state = draft.after
    of_policy = set(state.policy.symbols) if state.policy else set()
    return tuple(sorted(of_policy | {order.symbol for order in state.open.values()}))
