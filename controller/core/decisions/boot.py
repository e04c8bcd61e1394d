"""Taking a journal over: what is new on disk, what changed, and which orders were in flight when the last process ended."""

from __future__ import annotations

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import bot_keys, drills, moves
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


def boot(state: State, given: Boot, now: Millis) -> Decision:
    """Decide what a start means.

    A changed release, policy, account or version of gatehouse takes the deployment back to MOCK by itself and voids its evidence; a
    deployment that is HALTED stays so and can then only be reset. What a signed command put in force since a file was last read
    outlives a restart: the file counts again when it says something new. The roster changes by signature alone, so its file may be
    any that was ever in force, and says nothing.

    Raises:
        IntegrityError: the journal belongs to another controller or environment.
        ConfigError: the roster on disk was never in force, or a bot's key is listed twice.
    """
    draft = Draft(state, now)
    if state.seq == 0:
        draft.emit(
            e.DeploymentCreated(
                controller_id=given.controller_id, environment=given.environment, gatehouse_version=given.gatehouse_version
            )
        )
    _same_deployment(draft.after, given)
    drills.interrupted(draft)
    changed = [*_adopt_policy(draft, given), *_adopt_release(draft, given), *_bind_accounts(draft, given)]
    if draft.after.gatehouse_version != given.gatehouse_version:
        changed.append("gatehouse")
    _adopt_roster(draft, given)
    bot_keys.found_at_start(draft, given)
    if state.seq and changed:
        moves.void_pending(draft, cause=Cause.CHANGED_DEPLOYMENT, reason=f"changed since it was signed: {', '.join(changed)}")
    if state.seq and changed and draft.after.position.stage not in {Stage.MOCK, Stage.HALTED}:
        reason = f"changed since it was proven: {', '.join(changed)}"
        moves.go(draft, Verb.DEMOTE, MOCK, cause=Cause.CHANGED_DEPLOYMENT, reason=reason)
    draft.emit(e.ControllerStarted(epoch=given.epoch, gatehouse_version=given.gatehouse_version))
    for order in sorted(draft.after.open.values(), key=lambda order: order.number):
        if order.status is OrderStatus.ADMITTED:
            draft.emit(e.OrderUnknown(client_id=order.client_id, reason="the controller ended before the outcome was recorded"))
    _finish_halt(draft)
    return draft.done()


def _same_deployment(state: State, given: Boot) -> None:
    if (state.controller_id, state.environment) != (given.controller_id, given.environment):
        raise IntegrityError(
            f"the journal belongs to {state.controller_id} ({state.environment}), "
            f"not to {given.controller_id} ({given.environment})",
            code="foreign-journal",
            remedy="Point `data` in gatehouse.toml at this deployment's own directory.",
        )


def _adopt_policy(draft: Draft, given: Boot) -> list[str]:
    digest = canonical.digest(given.policy.encode())
    if digest in {draft.after.policy_digest, draft.after.policy_file}:
        return []
    draft.emit(e.PolicyAdopted(document=given.policy, digest=digest))
    return ["policy"]


def _adopt_release(draft: Draft, given: Boot) -> list[str]:
    release = given.release
    if release in {draft.after.release, draft.after.release_file}:
        return []
    draft.emit(e.ReleaseAdopted(name=release.name, version=release.version, artifact=release.artifact, digest=release.digest))
    return ["release"]


def _bind_accounts(draft: Draft, given: Boot) -> list[str]:
    changed = []
    for venue, fingerprint in sorted(given.accounts.items()):
        if draft.after.accounts.get(venue) != fingerprint:
            if any(order.venue is venue for order in draft.after.open.values()):
                raise ConfigError(
                    f"the {venue} account changed while orders of the old one are unsettled",
                    code="account-changed",
                    remedy="Start once more with the old account and let its orders settle, then change it.",
                )
            draft.emit(e.AccountBound(venue=venue, fingerprint=fingerprint))
            changed.append(f"{venue} account")
    return changed


def _adopt_roster(draft: Draft, given: Boot) -> None:
    digest = canonical.digest(given.roster.encode())
    if not draft.after.roster_digest:
        draft.emit(e.RosterAdopted(document=given.roster, digest=digest))
    elif digest not in draft.after.rosters:
        raise ConfigError(
            "the roster on disk was never in force",
            code="roster-changed",
            remedy="Put the roster in force back, and change it with `gatehouse set-roster`.",
        )


def _finish_halt(draft: Draft) -> None:
    # A halt that was cut short is finished first: the latch is in the journal, the cancels may not have left.
    halted_from = draft.after.halted_from
    if draft.after.position.stage is not Stage.HALTED:
        return
    venues = {order.venue for order in draft.after.open.values()}
    if halted_from is not None and (venue := venue_of(halted_from.stage)) is not None:
        venues |= {venue}
    for venue in sorted(venues):
        draft.do(CancelAll(venue, moves.symbols(draft), because="the deployment is HALTED"))
