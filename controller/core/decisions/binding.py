"""Checks of a signed command: is it new, does every field match the state, did enough persons sign it.

Called by ``controller.core.decisions.commands`` and, for every command in a journal, by ``controller.audit.operators``.
"""

from __future__ import annotations

from controller.authority.attestation import attested_persons, problem
from controller.authority.command import MAX_LIFETIME_MS, Command, VerifiedCommand
from controller.authority.roster import Roster, parse_roster_json
from controller.authority.verify import count_quorum
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import ConfigError, Unauthorised
from exchange.model import Millis
from exchange.ports import VenueName
from policies.authority import BY_ITSELF, Quorum, Verb, quorum
from policies.presence import touches_needed
from policies.schema import Policy
from policies.stage import Mode

_SPENT = {
    "accepted": ("command-replayed", "is already applied"),
    "pending": ("command-waiting", "waits until its cooling-off period ends"),
    "voided": ("command-voided", "was withdrawn"),
}


def check_unspent(state: State, command: Command) -> None:
    """Check that a command id is not used already. A refused command may be submitted again with more signatures."""
    if (spent := _SPENT.get(state.commands.get(command.command_id, ""))) is not None:
        raise unauthorised(spent[0], f"command {command.command_id} {spent[1]}", "Propose a new command.")


def check_bound(state: State, command: Command, now: Millis, *, anchored: bool) -> None:
    """Check that the command was signed for this deployment, for this time, and for the present state.

    Raises:
        Unauthorised: names the first field that does not match.
    """
    for name, signed, present in (
        ("controller", command.controller_id, state.controller_id),
        ("environment", command.environment, state.environment),
        ("account", command.account_fingerprint, state.accounts.get(VenueName.LIVE, "")),
        ("policy", command.policy_digest, state.policy_digest),
        ("release", command.release_digest, state.release.digest if state.release else ""),
        ("roster", command.roster_digest, state.roster_digest),
    ):
        if signed != present:
            raise unauthorised(
                f"other-{name}",
                f"the command was signed for {name} {signed}, but here it is {present}",
                "Propose the command again.",
            )
    _check_time(command, now)
    expected = Position(command.expected_stage, command.expected_step)
    if expected != state.position:
        raise unauthorised(
            "other-stage",
            f"the command expects {expected}, but the deployment is at {state.position}",
            "Propose the command again.",
        )
    if not anchored:
        raise unauthorised(
            "unknown-head",
            f"entry {command.journal_seq} of this journal does not have the signed hash",
            "Propose the command again.",
        )
    if command.journal_seq < state.governance_seq:
        raise unauthorised(
            "stale-head",
            f"the deployment changed at entry {state.governance_seq}, after the signed entry {command.journal_seq}",
            "Check the present state with `gatehouse status`, then propose the command again.",
        )


def _check_time(command: Command, now: Millis) -> None:
    if not command.not_before_ms < command.expires_ms <= command.not_before_ms + MAX_LIFETIME_MS:
        raise unauthorised(
            "bad-lifetime", "the command is valid for no time, or for more than 24 hours", "Propose the command again."
        )
    if now < command.not_before_ms:
        raise unauthorised(
            "not-yet-valid", f"the command becomes valid in {command.not_before_ms - now} ms", "Wait, or correct the clocks."
        )
    if now >= command.expires_ms:
        raise unauthorised(
            "expired", f"the command expired {now - command.expires_ms} ms ago", "Propose and sign the command again."
        )


def check_authorised(state: State, verified: VerifiedCommand, policy: Policy) -> Quorum:
    """Return the quorum the command needs; it is reached. A ``set-roster`` needs it in the roster in force and in the new roster.

    Raises:
        Unauthorised: ``other-roster``, ``under-quorum``, ``under-new-quorum``, ``not-touched`` or ``not-attested``.
    """
    verb = verified.command.verb
    if verified.roster_digest != state.roster_digest:
        raise unauthorised(
            "other-roster", "the signatures were verified against a roster that is no longer in force", "Submit the command again."
        )
    mode = state.roster.mode_under(policy.mode) if state.roster is not None else policy.mode
    needed = quorum(verb, state.position.stage, mode)
    if verb in BY_ITSELF and any(one.key_id == verified.command.subject for one in verified.signatories):
        return needed
    counts = [("under-quorum", "", verified.signatories, needed)]
    if verb is Verb.SET_ROSTER:
        incoming = quorum(verb, state.position.stage, _mode_after(verified.command.subject, policy))
        counts.append(("under-new-quorum", " of the new roster", verified.incoming, incoming))
    for code, whose, signatories, wanted in counts:
        counted = count_quorum(signatories, wanted)
        if not counted.satisfied:
            raise unauthorised(
                code,
                f"{verb} at {state.position} needs {wanted.persons} distinct persons{whose}, but {len(counted.persons)} signed: "
                f"{counted.missing}",
                "Ask another person on the roster to sign the same payload, then submit it again.",
            )
    _check_touched(state, verified, policy, mode, needed)
    return needed


def _mode_after(subject: str, policy: Policy) -> Mode:
    """The mode that a new roster brings. A subject that is no roster brings the stricter one; it is refused for what it is."""
    try:
        return parse_roster_json(subject.encode()).mode_under(policy.mode)
    except ConfigError:
        return Mode.TEAM


def _check_touched(state: State, verified: VerifiedCommand, policy: Policy, mode: Mode, needed: Quorum) -> None:
    command = verified.command
    touches = touches_needed(command.verb, command.target_stage, mode, state.environment)
    keys = [one.key_id for one in verified.signatories if one.touched and one.role in needed.roles]
    touched = {one.person for one in verified.signatories if one.key_id in keys}
    if touches and len(touched) >= touches and policy.authority.attestation_roots and state.roster is not None:
        _check_attested(state.roster, keys, policy, touches)
    if len(touched) < touches:
        raise unauthorised(
            "not-touched",
            f"{command.verb} to {command.target_stage} puts real money at risk, but no signer touched a security key",
            "Sign with a FIDO2 security key that the roster lists; `gatehouse keys import KEY` prints the line for the roster.",
        )


def _check_attested(roster: Roster, keys: list[str], policy: Policy, touches: int) -> None:
    roots = policy.authority.attestation_roots
    if len(attested_persons(roster, keys, roots)) >= touches:
        return
    found = [roster.find(key_id) for key_id in keys]
    why = "; ".join(f"{person.name}'s key {key.id[:19]}…: {problem(key, roots)}" for person, key in filter(None, found))
    raise unauthorised(
        "not-attested",
        f"the policy believes a touch only of an attested security key; {why}",
        "Make the key with `ssh-keygen -O challenge=… -O write-attestation=…`, and list it with what that wrote: "
        "`gatehouse keys import KEY --attestation FILE --challenge FILE`.",
    )


def unauthorised(code: str, message: str, remedy: str) -> Unauthorised:
    """Make the error for a command that is not authorised."""
    return Unauthorised(message, code=code, remedy=remedy)
