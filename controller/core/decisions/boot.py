"""The decision about a start: adopt new documents, detect changes, and mark orders that were in flight. ``decide`` calls it."""

from __future__ import annotations

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import bot_keys, documents, drills, flatten, moves, witnessed
from controller.core.decisions.draft import Decision, Draft
from controller.core.effects import CancelAll
from controller.core.fold.apply import MOCK
from controller.core.inputs import Boot
from controller.core.state import State, venue_of
from exchange.errors import ConfigError, IntegrityError
from exchange.model import Millis, OrderStatus
from policies import canonical
from policies.authority import Verb
from policies.stage import Stage


def boot(state: State, input_: Boot, now: Millis) -> Decision:
    """Decide what follows from a start.

    After a change of policy, release, account or version of gatehouse the stage must be MOCK or HALTED: the deployment moves to
    MOCK and its evidence is void. A HALTED deployment stays HALTED, and can then only be reset. A document that a signed command
    put in force stays in force after a restart; a changed file is a proposal (``documents``). A roster changes only by signature,
    so the file may hold any roster that was ever in force.

    Raises:
        IntegrityError: the journal belongs to another controller or environment.
        ConfigError: the roster on disk was never in force, or a bot's key is listed twice.
    """
    draft = Draft(state, now)
    if state.seq == 0:
        draft.emit(
            e.DeploymentCreated(
                vocabulary=e.VOCABULARY,
                controller_id=input_.controller_id,
                environment=input_.environment,
                gatehouse_version=input_.gatehouse_version,
            )
        )
    _same_deployment(draft.after, input_)
    drills.interrupted(draft)
    changed = [documents.POLICY] if documents.found_policy(draft, input_) else []
    changed += [documents.RELEASE] if documents.found_release(draft, input_.release) else []
    changed += _bind_accounts(draft, input_)
    if draft.after.gatehouse_version != input_.gatehouse_version:
        changed.append("gatehouse")
    _adopt_roster(draft, input_)
    bot_keys.found_at_start(draft, input_)
    if state.seq and changed:
        moves.void_pending(draft, cause=Cause.CHANGED_DEPLOYMENT, reason=f"changed since it was signed: {', '.join(changed)}")
    if state.seq and changed and draft.after.position.stage not in {Stage.MOCK, Stage.HALTED}:
        reason = f"changed since it was proven: {', '.join(changed)}"
        moves.go(draft, Verb.DEMOTE, MOCK, cause=Cause.CHANGED_DEPLOYMENT, reason=reason)
    draft.emit(
        e.ControllerStarted(
            epoch=input_.epoch,
            gatehouse_version=input_.gatehouse_version,
            high_water=True,
            unmarked=input_.unmarked,
            witnesses=input_.witnesses,
        )
    )
    witnessed.halt_without(draft)
    for order in sorted(draft.after.open.values(), key=lambda order: order.number):
        if order.status is OrderStatus.ADMITTED:
            draft.emit(e.OrderUnknown(client_id=order.client_id, reason="the controller stopped before it recorded the outcome"))
    _finish_halt(draft)
    flatten.restarted(draft)
    return draft.done()


def _same_deployment(state: State, input_: Boot) -> None:
    if (state.controller_id, state.environment) != (input_.controller_id, input_.environment):
        raise IntegrityError(
            f"the journal belongs to {state.controller_id} ({state.environment}), "
            f"not to {input_.controller_id} ({input_.environment})",
            code="foreign-journal",
            remedy="Set `data` in gatehouse.toml to the directory of this deployment.",
        )


def _bind_accounts(draft: Draft, input_: Boot) -> list[str]:
    changed = []
    for venue, fingerprint in sorted(input_.accounts.items()):
        if draft.after.accounts.get(venue) != fingerprint:
            if any(order.venue is venue for order in draft.after.open.values()):
                raise ConfigError(
                    f"the {venue} account changed while orders of the old account are unsettled",
                    code="account-changed",
                    remedy="Start with the old account, wait until its orders are settled, then change the account.",
                )
            draft.emit(e.AccountBound(venue=venue, fingerprint=fingerprint))
            changed.append(f"{venue} account")
    return changed


def _adopt_roster(draft: Draft, input_: Boot) -> None:
    digest = canonical.digest(input_.roster.encode())
    if not draft.after.roster_digest:
        draft.emit(e.RosterAdopted(document=input_.roster, digest=digest))
    elif digest not in draft.after.rosters:
        raise ConfigError(
            "the roster on disk was never in force",
            code="roster-changed",
            remedy="Put back the roster that is in force, start, and sign the new one: `gatehouse set-roster FILE --key KEY "
            "--reason WHY`.",
        )


def _finish_halt(draft: Draft) -> None:
    # The last process may have stopped after it journalled a halt and before it sent the cancels, so they are sent again.
    halted_from = draft.after.halted_from
    if draft.after.position.stage is not Stage.HALTED:
        return
    venues = {order.venue for order in draft.after.open.values()}
    if halted_from is not None and (venue := venue_of(halted_from.stage)) is not None:
        venues |= {venue}
    for venue in sorted(venues):
        draft.do(CancelAll(venue, moves.symbols(draft), because="the deployment is HALTED"))
