"""What makes a command the wrong command at all, and who has to have signed it: every field against the state now."""

from __future__ import annotations

from controller.authority.command import MAX_LIFETIME_MS, Command, VerifiedCommand
from controller.authority.verify import count_quorum
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Unauthorised
from exchange.model import Millis
from exchange.ports import VenueName
from policies.authority import BY_ITSELF, Quorum, Verb, quorum
from policies.presence import touches_needed
from policies.schema import Policy

_SPENT = {
    "accepted": ("command-replayed", "has been applied already"),
    "pending": ("command-waiting", "is waiting for its cooling-off to end"),
    "voided": ("command-voided", "was withdrawn"),
}


def check_unspent(state: State, command: Command) -> None:
    """A command id counts once, for ever; one that was refused may come back with more signatures."""
    if (spent := _SPENT.get(state.commands.get(command.command_id, ""))) is not None:
        raise unauthorised(spent[0], f"command {command.command_id} {spent[1]}", "Propose a new command.")


def check_bound(state: State, command: Command, now: Millis, *, anchored: bool) -> None:
    """The command was signed for this deployment, for now, and for what the deployment still is.

    Raises:
        Unauthorised: the first field that does not fit.
    """
    for name, signed, here in (
        ("controller", command.controller_id, state.controller_id),
        ("environment", command.environment, state.environment),
        ("account", command.account_fingerprint, state.accounts.get(VenueName.LIVE, "")),
        ("policy", command.policy_digest, state.policy_digest),
        ("release", command.release_digest, state.release.digest if state.release else ""),
        ("roster", command.roster_digest, state.roster_digest),
    ):
        if signed != here:
            raise unauthorised(
                f"other-{name}", f"the command was signed for {name} {signed}, and here it is {here}", "Propose it here, now."
            )
    _check_time(command, now)
    expected = Position(command.expected_stage, command.expected_step)
    if expected != state.position:
        raise unauthorised(
            "other-stage", f"the command expects {expected}, and the deployment stands at {state.position}", "Propose it again."
        )
    if not anchored:
        raise unauthorised(
            "unknown-head", f"entry {command.journal_seq} of this journal does not have the signed hash", "Propose it here, now."
        )
    if command.journal_seq < state.governance_seq:
        raise unauthorised(
            "stale-head",
            f"the lifecycle moved at entry {state.governance_seq}, after the entry {command.journal_seq} that was signed",
            "Look at the deployment as it is now and propose again.",
        )


def _check_time(command: Command, now: Millis) -> None:
    if not command.not_before_ms < command.expires_ms <= command.not_before_ms + MAX_LIFETIME_MS:
        raise unauthorised("bad-lifetime", "the command is valid for no time, or for more than 24 hours", "Propose it again.")
    if now < command.not_before_ms:
        raise unauthorised(
            "not-yet-valid", f"the command is valid {command.not_before_ms - now} ms from now", "Wait, or check the clocks."
        )
    if now >= command.expires_ms:
        raise unauthorised("expired", f"the command expired {now - command.expires_ms} ms ago", "Propose and sign it again.")


def check_authorised(state: State, verified: VerifiedCommand, policy: Policy) -> Quorum:
    """The quorum the command needed and has. A ``set-roster`` needs it twice: of the roster in force and of the one it brings.

    Raises:
        Unauthorised: ``other-roster``, ``under-quorum``, ``under-new-quorum`` or ``not-touched``.
    """
    verb = verified.command.verb
    if verified.roster_digest != state.roster_digest:
        raise unauthorised(
            "other-roster", "the signatures were checked against a roster that is not in force any more", "Submit it again."
        )
    needed = quorum(verb, state.position.stage, policy.mode)
    if verb in BY_ITSELF and any(one.key_id == verified.command.subject for one in verified.signatories):
        return needed
    countings = [("under-quorum", "", verified.signatories)]
    if verb is Verb.SET_ROSTER:
        countings.append(("under-new-quorum", " of the new roster", verified.incoming))
    for code, whose, signatories in countings:
        counted = count_quorum(signatories, needed)
        if not counted.satisfied:
            raise unauthorised(
                code,
                f"{verb} at {state.position} needs {needed.persons} distinct persons{whose}, {len(counted.persons)} signed: "
                f"{counted.missing}",
                "Have another person on the roster sign the same payload, then submit it again.",
            )
    _check_touched(state, verified, policy, needed)
    return needed


def _check_touched(state: State, verified: VerifiedCommand, policy: Policy, needed: Quorum) -> None:
    command = verified.command
    touches = touches_needed(command.verb, command.target_stage, policy.mode, state.environment)
    touched = {one.person for one in verified.signatories if one.touched and one.role in needed.roles}
    if len(touched) < touches:
        raise unauthorised(
            "not-touched",
            f"{command.verb} to {command.target_stage} puts real money at risk, and nobody touched a security key to sign it",
            "Have one of the signers sign with a FIDO2 security key that the roster lists; `gatehouse keys import` enrols one.",
        )


def unauthorised(code: str, message: str, remedy: str) -> Unauthorised:
    """A command that does not count."""
    return Unauthorised(message, code=code, remedy=remedy)
