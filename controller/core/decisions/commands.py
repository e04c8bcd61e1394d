"""Decisions about operators' commands: check the payload against the state, then the quorum, the edge and the gate.

``controller.core.decide`` calls it. A refusal changes nothing, except that the journal records it. The checks run in a fixed
order, so that the refusal names the first reason: the fields of the command first, then the signatures, then the measurements.

In solo mode a command that adds risk waits for a cooling-off period (architecture.md §5). Any key can veto it, and a halt or any
other move withdraws it. When the period ends, the command is judged again from its envelope on, as if it had just been submitted.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.authority.command import Command, VerifiedCommand
from controller.authority.verify import verify
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions import (
    alerts,
    declared,
    documents,
    drills,
    evidence,
    flatten,
    governance,
    guards,
    landing,
    moves,
    witnessed,
)
from controller.core.decisions.binding import check_authorised, check_bound, check_unspent, unauthorised
from controller.core.decisions.draft import CommandReply, Draft, SealReply
from controller.core.decisions.governance import Change
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import CommandSubmitted, HaltAsked, ProposalAsked, SubmissionInvalid, Tick
from controller.core.lifecycle import Position, move
from controller.core.state import State
from exchange.errors import GatehouseError, Refused
from exchange.model import Millis
from gates.engine import GateResult, evaluate
from gates.evidence import Evidence, parse
from gates.evidence import digest as evidence_digest
from gates.registry import gate_for
from gates.verdict import Verdict
from policies.authority import WITH_SUBJECT, Quorum, Verb
from policies.numbers import text
from policies.ramp import cap_eur, step_count, symbols_at
from policies.schema import Policy
from policies.stage import Stage


@dataclass(frozen=True, slots=True)
class _Judged:
    """A command that passed every check."""

    target: Position
    needed: Quorum
    result: GateResult | None
    change: Change | None


def command_submitted(draft: Draft, submission: CommandSubmitted) -> CommandReply:
    """Apply a command with valid signatures, let it wait for its cooling-off period, or refuse it."""
    verified = submission.verified
    try:
        check_unspent(draft.after, verified.command)
        judged = _judge(draft, verified, submission.seen, anchored=submission.anchored, shown=submission.shown)
        if judged.needed.cooling_off:
            return _wait(draft, verified, judged)
    except GatehouseError as error:
        return _refuse(draft, verified, error)
    _apply(draft, verified, judged)
    return CommandReply(result=evidence.result_text(judged.result))


def apply_when_due(draft: Draft, seen: Tick) -> None:
    """Apply the command whose cooling-off period has ended, or refuse it for good. While its target is not seen, it waits on."""
    pending = draft.after.pending
    if pending is None or draft.now < pending.applies_at or _is_busy(draft.after):
        return
    try:
        verified = verify(pending.envelope, governance.roster_of(draft.after), draft.now)
        if _lands_blind(draft.after, pending.verb, pending.target, seen, draft.now):
            return
        # The entry it names was found in this journal when it was submitted, and a journal only grows.
        judged = _judge(draft, verified, seen, anchored=True)
    except GatehouseError as error:
        _record(draft, pending.command_id, pending.verb.value, pending.persons, pending.envelope, error)
        moves.void_pending(draft, cause=Cause.REFUSED, reason=error.message)
        return
    _apply(draft, verified, judged)


def _lands_blind(state: State, verb: Verb, target: Position, seen: Tick, now: Millis) -> bool:
    return bool(landing.blind(landing.facts(state, _policy(state), verb, target, seen, now)))


def _is_busy(state: State) -> bool:
    return state.drill is not None or state.flatten is not None


def envelope_invalid(draft: Draft, submission: SubmissionInvalid) -> CommandReply:
    """Record an envelope that did not verify."""
    draft.emit(
        e.CommandRefused(
            command_id="",
            verb="",
            code=submission.code,
            message=submission.message,
            remedy=submission.remedy,
            exit_code=submission.exit_code,
            persons=(),
            envelope=submission.envelope[:4096],
            result="",
        )
    )
    return CommandReply(submission.code, submission.message, submission.remedy, submission.exit_code)


def halt_asked(draft: Draft, request: HaltAsked) -> CommandReply:
    """Halt without a signature, as the local socket or the shell requested. A second halt changes nothing."""
    moves.halt(draft, cause=request.cause, reason=f"{request.by}: {request.reason}"[:500])
    return CommandReply()


def proposal_asked(draft: Draft, request: ProposalAsked) -> SealReply:
    """Seal the evidence for a proposal, so that the operator's command can name it.

    Raises:
        Refused: there is no such move from the present stage, the subject cannot be adopted, or a move up would land blind.
    """
    if request.seal:
        # The evidence names an entry, and everything that was measured until now is in the journal up to it.
        draft.hold_nothing()
    state = draft.after
    policy = _policy(state)
    if request.verb in WITH_SUBJECT:
        governance.check(state, policy, request.verb, request.target, request.subject, request.seen, draft.now)
        return SealReply("", "")
    _check_move(state, policy, request.verb, request.target, draft.now)
    gate = gate_for(request.verb, state.position.stage)
    result = evidence.judge(state, policy, gate, draft.now) if gate is not None else None
    if result is None or result.passed:
        landing.check(state, policy, request.verb, request.target, request.seen, draft.now)
    if gate is None or result is None:
        return SealReply("", "")
    bundle = evidence.gather(state, policy, gate)
    if bundle is None:
        return SealReply("", evidence.result_text(result))
    if not request.seal:
        declared.check_look(state, policy, result)
        return SealReply(result.evidence_digest, evidence.result_text(result), evidence.text(bundle) if result.passed else "")
    _seal(draft, bundle, result)
    return SealReply(result.evidence_digest, evidence.result_text(result))


def _seal(draft: Draft, bundle: Evidence, result: GateResult) -> None:
    declared.check_look(draft.after, _policy(draft.after), result)
    draft.emit(
        e.EvidenceSealed(
            gate=bundle.gate.value,
            evidence=evidence.text(bundle),
            digest=result.evidence_digest,
            verdict=result.verdict.value,
            expires_at=bundle.expires_at_ms,
            look=declared.is_look(result),
        )
    )


def refusal_now(
    state: State, policy: Policy, verb: Verb, target: Position, seen: Tick | None, now: Millis
) -> GatehouseError | None:
    """What a well-signed command for this move would be refused for now; ``None`` if it would be applied."""
    try:
        if verb is Verb.FLATTEN:
            governance.check(state, policy, verb, target, flatten.ALL)
            return None
        _check_idle(state, verb)
        _check_move(state, policy, verb, target, now)
        gate = gate_for(verb, state.position.stage)
        if gate is not None:
            _check_passed(evidence.judge(state, policy, gate, now))
        landing.check(state, policy, verb, target, seen, now)
    except GatehouseError as error:
        return error
    return None


class GateNotPassed(Refused):
    """The gate failed or is inconclusive. The error carries the whole result."""

    def __init__(self, message: str, remedy: str, result: GateResult) -> None:
        super().__init__(message, code="gate-not-passed", remedy=remedy)
        self.result = result


def _policy(state: State) -> Policy:
    if state.policy is None or state.release is None or state.roster is None:
        raise Refused(
            "nothing is deployed yet", code="not-deployed", remedy="Start the controller once, then propose the command again."
        )
    return state.policy


def _judge(draft: Draft, verified: VerifiedCommand, seen: Tick | None, *, anchored: bool, shown: str = "") -> _Judged:
    state, command = draft.after, verified.command
    policy = _policy(state)
    check_bound(state, command, draft.now, anchored=anchored)
    needed = check_authorised(state, verified, policy)
    target = Position(command.target_stage, command.target_step)
    change: Change | None = None
    if command.verb in WITH_SUBJECT:
        change = governance.check(state, policy, command.verb, target, command.subject, seen, draft.now)
    else:
        _edge(state, command, policy, target, draft.now)
    _check_limits(command, change.policy if change is not None and change.policy is not None else policy, target)
    if shown:
        _seal_shown(draft, command, shown)
    result = _gate(draft, command)
    landing.check(state, policy, command.verb, target, seen, draft.now)
    return _Judged(target, needed, result, change)


def _check_move(state: State, policy: Policy, verb: Verb, target: Position, now: Millis) -> None:
    move(state.position, verb, target, halt=state.halt, steps=step_count(policy))
    guards.check_validation(state, verb)
    alerts.check_acknowledged(state, verb, target, now)
    declared.check_variant(state, policy, verb, target)
    if verb in {Verb.ADVANCE, Verb.RAMP, Verb.RESUME}:
        documents.check_release_settled(state)
        witnessed.check(state, target)
    if verb is Verb.RESUME:
        guards.check_resume(state, policy, target, now)


def _check_idle(state: State, verb: Verb) -> None:
    drills.check_move(state, verb)
    if verb in {Verb.ADVANCE, Verb.RAMP, Verb.RESUME}:
        flatten.check_idle(state)


def _edge(state: State, command: Command, policy: Policy, target: Position, now: Millis) -> None:
    _check_idle(state, command.verb)
    guards.check_move_up(state, command)
    _check_move(state, policy, command.verb, target, now)
    if command.verb is Verb.RESUME and not command.postmortem_digest:
        raise Refused(
            "a resume needs the digest of a post-mortem",
            code="no-postmortem",
            remedy="Write the post-mortem, and propose the command with --postmortem FILE.",
        )


def _check_limits(command: Command, policy: Policy, target: Position) -> None:
    cap = text(cap_eur(policy, target.stage, target.step))
    listed = symbols_at(policy, target.stage)
    if command.cap_eur != cap or command.symbols != listed:
        raise unauthorised(
            "other-limits",
            f"the command grants {command.cap_eur} EUR on {', '.join(command.symbols) or 'no symbol'}, the policy grants {cap} EUR "
            f"on {', '.join(listed) or 'no symbol'}",
            "Propose the command again under the policy in force.",
        )


def _seal_shown(draft: Draft, command: Command, shown: str) -> None:
    """Seal the evidence that the signers of an authorised command were shown, if it is still about the present run."""
    state, bundle = draft.after, parse(shown.encode())
    # Whatever evidence is about cannot change without a decision about the lifecycle.
    present = bundle.journal_seq >= state.governance_seq
    if present and evidence_digest(bundle) == command.evidence_digest not in state.seals:
        _seal(draft, bundle, evaluate(bundle.gate, _policy(state), bundle, draft.now))


def _gate(draft: Draft, command: Command) -> GateResult | None:
    """Check that the gate passes twice: on the sealed evidence that the command names, and on what is measured now."""
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
            "Propose the command again; a proposal seals the evidence.",
            now_result,
        )
    sealed_result = evaluate(gate, policy, parse(seal.evidence.encode()), draft.now)
    for result in (now_result, sealed_result):
        _check_passed(result)
    return sealed_result


def _check_passed(result: GateResult) -> None:
    if result.passed:
        return
    failing = [rule for rule in result.rules if rule.verdict is not Verdict.PASS]
    more = f" ({len(failing) - 1} more)" if len(failing) > 1 else ""
    raise GateNotPassed(
        f"gate {result.gate.value} is {result.verdict.value}: {failing[0].explanation}{more}",
        "Run `gatehouse gates`, wait until every rule passes, then propose the command again.",
        result,
    )


def _wait(draft: Draft, verified: VerifiedCommand, judged: _Judged) -> CommandReply:
    command, state = verified.command, draft.after
    applies_at = Millis(draft.now + _policy(state).authority.cooling_off_ms)
    if state.pending is not None:
        raise Refused(
            f"command {state.pending.command_id} ({state.pending.verb} to {state.pending.target}) is already waiting",
            code="another-waits",
            remedy="Veto that command with `gatehouse veto --key KEY --reason WHY`, or wait until it is applied.",
        )
    if applies_at >= command.expires_ms:
        raise unauthorised(
            "expires-first",
            f"the command expires {applies_at - command.expires_ms} ms before its cooling-off period ends",
            "Propose the command again with a longer validity.",
        )
    draft.emit(
        e.CommandPending(
            command_id=command.command_id,
            verb=command.verb,
            payload_digest=verified.payload_digest,
            persons=_persons(verified),
            envelope=verified.envelope,
            target_stage=judged.target.stage,
            target_step=judged.target.step,
            reason=command.reason,
            applies_at=applies_at,
        )
    )
    detail = f"signed by {', '.join(_persons(verified))}: {command.reason}. Any key can veto it with `gatehouse veto --key "
    "KEY --reason WHY`."
    draft.do(Alert(AlertKind.COMMAND, f"{command.verb} to {judged.target} waits for its cooling-off period", detail))
    return CommandReply(result=evidence.result_text(judged.result), applies_at=applies_at)


def _apply(draft: Draft, verified: VerifiedCommand, judged: _Judged) -> None:
    command, target = verified.command, judged.target
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
            result=evidence.result_text(judged.result),
        )
    )
    if judged.change is not None:
        governance.apply(draft, command, judged.change, _persons(verified))
    elif target.stage is Stage.HALTED:
        moves.halt(draft, cause=Cause.of(command.verb), reason=command.reason, command_id=command.command_id)
    else:
        moves.go(draft, command.verb, target, cause=Cause.of(command.verb), reason=command.reason, command_id=command.command_id)


def _refuse(draft: Draft, verified: VerifiedCommand, error: GatehouseError) -> CommandReply:
    command = verified.command
    return _record(draft, command.command_id, command.verb.value, _persons(verified), verified.envelope, error)


def _record(
    draft: Draft, command_id: str, verb: str, persons: tuple[str, ...], envelope: str, error: GatehouseError
) -> CommandReply:
    result = evidence.result_text(error.result if isinstance(error, GateNotPassed) else None)
    draft.emit(
        e.CommandRefused(
            command_id=command_id,
            verb=verb,
            code=error.code,
            message=error.message,
            remedy=error.remedy,
            exit_code=error.exit_code,
            persons=persons,
            envelope=envelope,
            result=result,
        )
    )
    return CommandReply(error.code, error.message, error.remedy, error.exit_code, result)


def _persons(verified: VerifiedCommand) -> tuple[str, ...]:
    return tuple(sorted({one.person for one in (*verified.signatories, *verified.incoming)}))
