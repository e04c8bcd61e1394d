"""Decisions about commands with a subject: veto, revoke, and changes of roster, policy and release. Called by ``commands``.

Bot keys, alerts, drills, flattens, rates, new baselines and archives have files of their own.

A new roster must be signed by the quorum of the old roster and by that of
the new one, must raise the version by one, and must keep every revoked key revoked (the rules of a TUF root,
gates-authority-journal.md §2.1). Policy and release change only while no real money is at risk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Never

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.authority.command import Command
from controller.authority.roster import KeyStatus, Roster, RosterKey, parse_roster_json
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import alerts, archiving, bot_keys, drills, flatten, moves, rates, rebaseline
from controller.core.decisions.draft import Draft
from controller.core.inputs import Release, Tick
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import GatehouseError, Refused
from exchange.model import Millis
from exchange.ports import VenueName
from policies import canonical
from policies.authority import KEEPS_DOCUMENTS, KEEPS_PENDING, SIGNERS, Verb, signers_needed
from policies.document import parse_canonical
from policies.schema import Policy
from policies.stage import LIVE_STAGES, Mode, Stage

MOCK = Position(Stage.MOCK)
NEVER = Millis(0)
_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$")]


@dataclass(frozen=True, slots=True)
class Change:
    """What a command with a subject changes in roster, policy and release; most commands change none of them.

    ``too_few_signers`` says how many persons could still sign, if they are too few; otherwise it is empty. ``at_start``: only a
    start can take the policy over. ``rebaseline`` is the new baseline of an account.
    """

    roster: Roster | None = None
    policy: Policy | None = None
    at_start: bool = False
    release: Release | None = None
    too_few_signers: str = ""
    rebaseline: rebaseline.Step | None = None


class _ReleaseDocument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Word
    version: _Word
    artifact: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


def release_document(name: str, version: str, artifact: str) -> str:
    """A release as the subject of a ``set-release``. The digest of a release is the digest of this text."""
    return canonical.encode({"name": name, "version": version, "artifact": artifact}).decode()


def release_digest(name: str, version: str, artifact: str) -> str:
    """The digest of a release, which commands name."""
    return canonical.digest(release_document(name, version, artifact).encode())


def target_of(state: State, verb: Verb) -> Position:
    """Where a command with a subject leads: to MOCK after a change of policy or release, else to the present position.

    A HALTED deployment stays HALTED.
    """
    demotes = verb in {Verb.SET_POLICY, Verb.SET_RELEASE} and state.position.stage is not Stage.HALTED
    return MOCK if demotes else state.position


def policy_after(policy: Policy, verb: Verb, subject: str) -> Policy:
    """The policy whose limits a command grants: the new policy of a ``set-policy``, otherwise the policy in force.

    Raises:
        Refused: the subject is not a policy.
    """
    if verb is not Verb.SET_POLICY:
        return policy
    try:
        return parse_canonical(subject.encode())
    except GatehouseError as error:
        _refuse(error)


def check(
    state: State,
    policy: Policy,
    verb: Verb,
    target: Position,
    subject: str,
    seen: Tick | None = None,
    now: Millis = NEVER,
) -> Change:
    """Check a command with a subject, and return what it changes. ``seen`` is what is measured now, at ``now``.

    Raises:
        Refused: the command cannot be applied in the present state.
    """
    wanted = target_of(state, verb)
    if target != wanted:
        raise Refused(
            f"{verb} does not lead from {state.position} to {target}",
            code="no-such-edge",
            remedy=f"From {state.position}, {verb} leads to {wanted}.",
        )
    match verb:
        case Verb.VETO:
            return _veto(state, subject)
        case Verb.REVOKE:
            return _revoke(roster_of(state), policy, subject, state.at)
        case Verb.SET_ROSTER:
            return _set_roster(state, policy, subject)
        case Verb.SET_POLICY:
            return _set_policy(state, policy, subject)
        case Verb.SET_RELEASE:
            return _set_release(state, subject)
        case _:
            return _without_document(state, policy, verb, subject, seen, now)


def _without_document(state: State, policy: Policy, verb: Verb, subject: str, seen: Tick | None, now: Millis) -> Change:
    match verb:
        case Verb.REBASELINE:
            return Change(rebaseline=rebaseline.check(state, policy, subject, seen, now))
        case Verb.ISSUE_BOT_KEY:
            bot_keys.check_issue(state, subject)
        case Verb.REVOKE_BOT_KEY:
            bot_keys.check_revoke(state, subject)
        case Verb.ACK_ALERT:
            alerts.check_acknowledge(state, subject)
        case Verb.DRILL:
            flatten.check_idle(state)
            drills.check(state, subject)
        case Verb.SET_RATE:
            rates.check_set(state, policy, subject)
        case Verb.FLATTEN:
            drills.check_idle(state)
            flatten.check(state, policy, subject)
        case Verb.ARCHIVE:
            archiving.check(state, subject)
        case _:
            raise Refused(f"{verb} has no subject", code="no-subject", remedy="Propose the command without a subject.")
    return Change()


def apply(draft: Draft, command: Command, change: Change, persons: tuple[str, ...]) -> None:
    """Apply a command that was checked."""
    verb, by = Cause.of(command.verb), command.command_id
    if command.verb is Verb.VETO:
        moves.void_pending(draft, cause=verb, reason=command.reason)
        return
    if command.verb not in KEEPS_PENDING:
        moves.void_pending(draft, cause=verb, reason=f"{verb} changed what the command was signed for")
    if change.rebaseline is not None:
        rebaseline.apply(draft, command, change.rebaseline)
        return
    if command.verb in KEEPS_DOCUMENTS:
        _apply_without_document(draft, command, persons)
        return
    if change.roster is not None:
        document = change.roster.canonical_bytes.decode()
        draft.emit(e.RosterAdopted(document=document, digest=change.roster.digest, command_id=by))
        if change.too_few_signers:
            moves.halt(draft, cause=verb, reason=change.too_few_signers, command_id=by)
        return
    if change.policy is not None:
        digest = canonical.digest(command.subject.encode())
        kind = e.PolicyApproved if change.at_start else e.PolicyAdopted
        draft.emit(kind(document=command.subject, digest=digest, command_id=by))
    if (new := change.release) is not None:
        draft.emit(e.ReleaseAdopted(name=new.name, version=new.version, artifact=new.artifact, digest=new.digest, command_id=by))
    if draft.after.position.stage not in {Stage.MOCK, Stage.HALTED}:
        moves.go(draft, Verb.DEMOTE, MOCK, cause=verb, reason=command.reason, command_id=by)


def _apply_without_document(draft: Draft, command: Command, persons: tuple[str, ...]) -> None:
    match command.verb:
        case Verb.ISSUE_BOT_KEY:
            bot_keys.issue(draft, command)
        case Verb.REVOKE_BOT_KEY:
            bot_keys.revoke(draft, command)
        case Verb.ACK_ALERT:
            alerts.acknowledge(draft, command, persons)
        case Verb.FLATTEN:
            flatten.start(draft, command)
        case Verb.SET_RATE:
            rates.set_centre(draft, command)
        case Verb.ARCHIVE:
            archiving.approve(draft, command, persons)
        case _:
            drills.start(draft, command)


def _veto(state: State, subject: str) -> Change:
    if state.pending is None:
        raise Refused(
            "no command is waiting",
            code="nothing-pending",
            remedy="Nothing is left to do; `gatehouse status` lists a command that waits.",
        )
    if state.pending.command_id != subject:
        raise Refused(
            f"the command that waits is {state.pending.command_id}, not {subject[:64]}",
            code="other-pending",
            remedy="Check the waiting command with `gatehouse status`, then veto its id.",
        )
    return Change()


def _revoke(roster: Roster, policy: Policy, subject: str, now: Millis) -> Change:
    found = roster.find(subject)
    if found is None:
        raise Refused(
            f"no key {subject[:80]!r} is in roster version {roster.version}",
            code="no-such-key",
            remedy="Use a key id from the list of `gatehouse roster show -o json`.",
        )
    person, key = found
    if key.status is KeyStatus.REVOKED:
        raise Refused(f"{person.name}'s key {key.id} is already revoked", code="already-revoked", remedy="Nothing is left to do.")
    after = roster.revoking(key.id)
    return Change(roster=after, too_few_signers=_too_few_signers(after, after.mode_under(policy.mode), now))


def _set_roster(state: State, policy: Policy, subject: str) -> Change:
    old = roster_of(state)
    try:
        new = parse_roster_json(subject.encode())
        _same_bytes(new.canonical_bytes.decode(), subject)
    except GatehouseError as error:
        _refuse(error)
    if new.version != old.version + 1:
        raise Refused(
            f"the roster in force is version {old.version}, and the new roster is version {new.version}",
            code="roster-version",
            remedy=f"Set the version of the new roster to {old.version + 1}.",
        )
    statuses = {key.id: key.status for person in new.persons for key in person.keys}
    for key in (key for person in old.persons for key in person.keys if key.status is KeyStatus.REVOKED):
        if statuses.get(key.id) is not KeyStatus.REVOKED:
            raise Refused(
                f"the revoked key {key.id} must stay listed as revoked",
                code="revoked-key-returns",
                remedy="Keep the key in the roster as revoked, and add a new key.",
            )
    mode, before = new.mode_under(policy.mode), old.mode_under(policy.mode)
    if old.mode is not None and new.mode is None:
        raise Refused(
            "the roster in force says whether one person or a team decides, and the new one does not",
            code="roster-mode",
            remedy=f'Add mode = "{old.mode}" to the new roster, or the mode that is to be in force.',
        )
    if problem := _too_few_signers(new, mode, state.at):
        raise Refused(problem, code="roster-too-small", remedy="Add persons with an active key to the roster.")
    if state.position.stage in LIVE_STAGES and (mode is not before or not _usable(new) <= _usable(old)):
        raise Refused(
            f"at {state.position} a new roster may only remove keys, and must change neither the others nor the mode",
            code="not-while-live",
            remedy="Demote to VALIDATED, change the roster there, then advance again.",
        )
    return Change(roster=new)


def _set_policy(state: State, policy: Policy, subject: str) -> Change:
    _not_while_live(state, Verb.SET_POLICY)
    new = policy_after(policy, Verb.SET_POLICY, subject)
    if canonical.digest(subject.encode()) == state.policy_digest:
        raise Refused("this policy is already in force", code="nothing-changes", remedy="Nothing is left to do.")
    if new.environment is not state.environment:
        raise Refused(
            f"the policy is for {new.environment}, and this deployment is for {state.environment}",
            code="other-environment",
            remedy="An environment never changes; make a new deployment with `gatehouse init DIR --profile solo`, team or demo.",
        )
    if canonical.digest(subject.encode()) == state.policy_approved:
        raise Refused(
            "this policy is signed already",
            code="nothing-changes",
            remedy="Put it into the policy file and restart the controller.",
        )
    roster = roster_of(state)
    if problem := _too_few_signers(roster, roster.mode_under(new.mode), state.at):
        raise Refused(problem, code="roster-too-small", remedy="Add persons to the roster first.")
    return Change(policy=new, at_start=new.symbols != policy.symbols or new.eur_rate.asset != policy.eur_rate.asset)


def _set_release(state: State, subject: str) -> Change:
    _not_while_live(state, Verb.SET_RELEASE)
    try:
        canonical.decode(subject.encode())
        new = _ReleaseDocument.model_validate_json(subject)
    except GatehouseError as error:
        _refuse(error)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the release"
        raise Refused(
            f"{where}: {first['msg']}",
            code="release-malformed",
            remedy="`gatehouse release digest BOT` prints the digest. Propose it with `gatehouse set-release --name NAME "
            "--version VERSION --artifact DIGEST --key KEY "
            "--reason WHY`.",
        ) from None
    digest = canonical.digest(subject.encode())
    if state.release is not None and digest == state.release.digest:
        raise Refused("this release is already in force", code="nothing-changes", remedy="Nothing is left to do.")
    return Change(release=Release(new.name, new.version, new.artifact, digest))


def _not_while_live(state: State, verb: Verb) -> None:
    venues = {order.venue for order in state.open.values()}
    if state.position.stage in LIVE_STAGES or VenueName.LIVE in venues:
        raise Refused(
            f"{verb} is refused at {state.position} while real money is at risk",
            code="not-while-live",
            remedy="Demote to VALIDATED, wait until every live order is settled, then propose the command again.",
        )


def _too_few_signers(roster: Roster, mode: Mode, now: Millis) -> str:
    able = [person.name for person in roster.persons if person.role in SIGNERS and any(key.in_force(now) for key in person.keys)]
    needed = signers_needed(mode)
    if len(able) >= needed:
        return ""
    return f"a {mode} deployment needs {needed} persons with a valid key, and {len(able)} would remain"


def _usable(roster: Roster) -> set[tuple[str, str, RosterKey]]:
    keys = ((person, key) for person in roster.persons for key in person.keys)
    return {(person.name, person.role.value, key) for person, key in keys if key.status is KeyStatus.ACTIVE}


def roster_of(state: State) -> Roster:
    """Return the roster in force. Raises ``Refused`` when there is none."""
    if state.roster is None:
        raise Refused(
            "no roster is in force", code="not-deployed", remedy="Start the controller once, then propose the command again."
        )
    return state.roster


def _same_bytes(canonical_text: str, subject: str) -> None:
    if canonical_text != subject:
        raise Refused(
            "the roster is not in its canonical form",
            code="not-canonical",
            remedy="Propose it with `gatehouse set-roster FILE --key KEY --reason WHY`.",
        )


def _refuse(error: GatehouseError) -> Never:
    raise Refused(error.message, code=error.code, remedy=error.remedy) from None
