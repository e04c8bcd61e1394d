"""Operators' commands: every binding of the payload is checked against the state now, then the quorum, the edge and the gate.

A refusal changes nothing but the journal's record of it. Order matters only for which reason is named first: what makes a command
the wrong command at all comes before who signed it, and that before what was measured.
"""

from __future__ import annotations

from controller import events as e
from controller.authority.verify import count_quorum
from controller.commands import MAX_LIFETIME_MS, Command, VerifiedCommand
from controller.deciding import evidence, moves
from controller.deciding.draft import CommandReply, Draft, SealReply
from controller.inputs import HaltAsked, ProposalAsked, SubmissionInvalid, Submitted
from controller.lifecycle import Position, move
from controller.state import State
from exchange.errors import GatehouseError, Refused, Unauthorised
from exchange.model import Millis
from exchange.ports import VenueName
from gates.engine import GateResult, evaluate
from gates.evidence import parse
from gates.registry import gate_for
from gates.verdict import Verdict
from policies.authority import Quorum, Verb, quorum
from policies.numbers import text
from policies.ramp import cap_eur, step_count, symbols_at
from policies.schema import Policy
from policies.stage import Stage


def submitted(draft: Draft, given: Submitted) -> CommandReply:
    """Apply a command whose signatures are good, or refuse it."""
    verified = given.verified
    result: GateResult | None = None
    try:
        policy = _policy(draft.after)
        _bound(draft.after, verified.command, draft.now, anchored=given.anchored)
        _authorised(draft.after, verified, policy)
        target = _edge(draft.after, verified.command, policy)
        _granted(verified.command, policy, target)
        result = _gate(draft, verified.command)
    except GatehouseError as error:
        gate = error.result if isinstance(error, GateNotPassed) else None
        return _refuse(draft, verified, error, gate)
    _apply(draft, verified, target, result)
    return CommandReply(result=evidence.result_text(result))


def invalid(draft: Draft, given: SubmissionInvalid) -> CommandReply:
    """Remember an envelope that did not verify."""
    draft.emit(
        e.CommandRefused(
            command_id="",
            verb="",
            code=given.code,
            message=given.message,
            remedy=given.remedy,
            exit_code=given.exit_code,
            persons=(),
            envelope=given.envelope[:4096],
            result="",
        )
    )
    return CommandReply(given.code, given.message, given.remedy, given.exit_code)


def halted(draft: Draft, given: HaltAsked) -> CommandReply:
    """Halt without a signature: the local socket or the shell itself asked. Idempotent."""
    moves.halt(draft, cause="halt", reason=f"{given.by}: {given.reason}"[:500])
    return CommandReply()


def proposed(draft: Draft, given: ProposalAsked) -> SealReply:
    """Seal the evidence an operator is about to be shown.

    Raises:
        Refused: the move does not exist from here.
    """
    state = draft.after
    policy = _policy(state)
    move(state.position, given.verb, given.target, halted_from=state.halted_from, steps=step_count(policy))
    gate = gate_for(given.verb, state.position.stage)
    if gate is None:
        return SealReply("", "")
    result = evidence.judge(state, policy, gate, draft.now)
    bundle = evidence.gather(state, policy, gate)
    if bundle is None:
        return SealReply("", evidence.result_text(result))
    draft.emit(
        e.EvidenceSealed(
            gate=gate.value,
            evidence=evidence.text(bundle),
            digest=result.evidence_digest,
            verdict=result.verdict.value,
            expires_at=bundle.expires_at_ms,
        )
    )
    return SealReply(result.evidence_digest, evidence.result_text(result))


class GateNotPassed(Refused):
    """The gate said no, or not yet. Carries the whole result."""

    def __init__(self, message: str, remedy: str, result: GateResult) -> None:
        super().__init__(message, code="gate-not-passed", remedy=remedy)
        self.result = result


def _policy(state: State) -> Policy:
    if state.policy is None or state.release is None or state.roster is None:
        raise Refused("nothing is deployed yet", code="not-deployed", remedy="Start the controller once, then propose again.")
    return state.policy


def _bound(state: State, command: Command, now: Millis, *, anchored: bool) -> None:
    if state.commands.get(command.command_id) == "accepted":
        raise _unauthorised("command-replayed", f"command {command.command_id} has been applied already", "Propose a new command.")
    for name, signed, here in (
        ("controller", command.controller_id, state.controller_id),
        ("environment", command.environment, state.environment),
        ("account", command.account_fingerprint, state.accounts.get(VenueName.LIVE, "")),
        ("policy", command.policy_digest, state.policy_digest),
        ("release", command.release_digest, state.release.digest if state.release else ""),
        ("roster", command.roster_digest, state.roster_digest),
    ):
        if signed != here:
            raise _unauthorised(
                f"other-{name}", f"the command was signed for {name} {signed}, and here it is {here}", "Propose it here, now."
            )
    if not command.not_before_ms < command.expires_ms <= command.not_before_ms + MAX_LIFETIME_MS:
        raise _unauthorised("bad-lifetime", "the command is valid for no time, or for more than 24 hours", "Propose it again.")
    if now < command.not_before_ms:
        raise _unauthorised(
            "not-yet-valid", f"the command is valid {command.not_before_ms - now} ms from now", "Wait, or check the clocks."
        )
    if now >= command.expires_ms:
        raise _unauthorised("expired", f"the command expired {now - command.expires_ms} ms ago", "Propose and sign it again.")
    expected = Position(command.expected_stage, command.expected_step)
    if expected != state.position:
        raise _unauthorised(
            "other-stage", f"the command expects {expected}, and the deployment stands at {state.position}", "Propose it again."
        )
    if not anchored:
        raise _unauthorised(
            "unknown-head", f"entry {command.journal_seq} of this journal does not have the signed hash", "Propose it here, now."
        )
    if command.journal_seq < state.governance_seq:
        raise _unauthorised(
            "stale-head",
            f"the lifecycle moved at entry {state.governance_seq}, after the entry {command.journal_seq} that was signed",
            "Look at the deployment as it is now and propose again.",
        )


def _authorised(state: State, verified: VerifiedCommand, policy: Policy) -> None:
    needed: Quorum = quorum(verified.command.verb, state.position.stage, policy.mode)
    counted = count_quorum(verified.signatories, needed)
    if not counted.satisfied:
        raise _unauthorised(
            "under-quorum",
            f"{verified.command.verb} at {state.position} needs {needed.persons} distinct persons, {len(counted.persons)} signed: "
            f"{counted.missing}",
            "Have another person on the roster sign the same payload, then submit it again.",
        )
    if needed.cooling_off:
        raise Refused(
            f"{verified.command.verb} at {state.position} in solo mode needs a cooling-off period, which is not covered yet",
            code="cooling-off-not-covered",
            remedy="Use a team policy with two persons.",
        )


def _edge(state: State, command: Command, policy: Policy) -> Position:
    target = Position(command.target_stage, command.target_step)
    move(state.position, command.verb, target, halted_from=state.halted_from, steps=step_count(policy))
    if command.verb is Verb.RESUME and not command.postmortem_digest:
        raise Refused(
            "a resume needs the digest of a post-mortem",
            code="no-postmortem",
            remedy="Write it, and propose with --postmortem FILE.",
        )
    return target


def _granted(command: Command, policy: Policy, target: Position) -> None:
    cap = text(cap_eur(policy, target.stage, target.step))
    listed = symbols_at(policy, target.stage)
    if command.cap_eur != cap or command.symbols != listed:
        raise _unauthorised(
            "other-limits",
            f"the command grants {command.cap_eur} EUR on {', '.join(command.symbols) or 'nothing'}; the policy has {cap} EUR on "
            f"{', '.join(listed) or 'nothing'}",
            "Propose it again under the policy in force.",
        )


def _gate(draft: Draft, command: Command) -> GateResult | None:
    """The sealed evidence the command names must pass and be fresh, and so must what is measured now."""
    state = draft.after
    gate = gate_for(command.verb, state.position.stage)
    if gate is None:
        return None
    policy = _policy(state)
    now_result = evidence.judge(state, policy, gate, draft.now)
    seal = state.seals.get(command.evidence_digest)
    if seal is None or seal.gate != gate.value:
        raise GateNotPassed(
            f"the evidence {command.evidence_digest or '(none)'} was not sealed for gate {gate.value} since the last move",
            "Propose the command again; the proposal seals the evidence.",
            now_result,
        )
    sealed_result = evaluate(gate, policy, parse(seal.evidence.encode()), draft.now)
    for result in (now_result, sealed_result):
        if not result.passed:
            failing = [rule for rule in result.rules if rule.verdict is not Verdict.PASS]
            more = f" ({len(failing) - 1} more)" if len(failing) > 1 else ""
            raise GateNotPassed(
                f"gate {gate.value} is {result.verdict.value}: {failing[0].explanation}{more}",
                "Run `gatehouse gates`, wait until every rule passes, then propose again.",
                result,
            )
    return sealed_result


def _apply(draft: Draft, verified: VerifiedCommand, target: Position, result: GateResult | None) -> None:
    command = verified.command
    seal = draft.after.seals.get(command.evidence_digest)
    draft.emit(
        e.CommandAccepted(
            command_id=command.command_id,
            verb=command.verb,
            payload_digest=verified.payload_digest,
            persons=_persons(verified),
            envelope=verified.envelope,
            evidence=seal.evidence if seal else "",
            evidence_digest=command.evidence_digest,
            result=evidence.result_text(result),
        )
    )
    if target.stage is Stage.HALTED:
        moves.halt(draft, cause=command.verb.value, reason=command.reason, command_id=command.command_id)
    else:
        moves.go(draft, command.verb, target, cause=command.verb.value, reason=command.reason, command_id=command.command_id)


def _refuse(draft: Draft, verified: VerifiedCommand, error: GatehouseError, result: GateResult | None) -> CommandReply:
    draft.emit(
        e.CommandRefused(
            command_id=verified.command.command_id,
            verb=verified.command.verb.value,
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            exit_code=error.exit_code,
            persons=_persons(verified),
            envelope=verified.envelope,
            result=evidence.result_text(result),
        )
    )
    return CommandReply(error.code, error.message, error.remedy, error.exit_code, evidence.result_text(result))


def _persons(verified: VerifiedCommand) -> tuple[str, ...]:
    return tuple(sorted({one.person for one in verified.signatories}))


def _unauthorised(code: str, message: str, remedy: str) -> Unauthorised:
    return Unauthorised(message, code=code, remedy=remedy)
