"""Implements the console's port with the writer, for operators. ``runtime.assembly`` creates it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from controller.authority.command import MAX_LIFETIME_MS, Command, VerifiedCommand
from controller.authority.meaning import meaning
from controller.authority.signing import propose
from controller.authority.verify import verify
from controller.authority.wordcode import word_code
from controller.console.backup_view import BackupView
from controller.console.port import LOCAL_SOCKET, GateRefused, StreamItem
from controller.console.schema import (
    CheckpointView,
    EntryView,
    GateView,
    ProposalView,
    ProposeRequest,
    ReceiptView,
    StatusView,
)
from controller.console.signer_view import SignerBudgetView
from controller.core import event_codec
from controller.core import events as e
from controller.core.decisions import declared, evidence, landing, leaving, rebaseline
from controller.core.decisions.draft import CommandReply, Decision, SealReply
from controller.core.decisions.governance import policy_after, target_of
from controller.core.inputs import CommandSubmitted, Input, ProposalAsked, SignalsReplayed, StatisticsComputed, SubmissionInvalid
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.port import Journal, LeasedJournal
from controller.runtime.api import views
from controller.runtime.api.facts import seen_by_the_leader
from controller.runtime.api.inspector import Inspector
from controller.runtime.api.reads import Reads
from controller.runtime.api.refusals import Refusals
from controller.runtime.api.runs import with_outlooks
from controller.runtime.api.shown import ShownEvidence
from controller.runtime.followers.checkpoints import TargetStatus
from controller.runtime.followers.heartbeat import Heartbeat
from controller.runtime.followers.recent import RecentHistory, point_of
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.immediate_halt import ImmediateHalt
from controller.runtime.loop.inbox import Inbox, Undecided
from controller.runtime.loop.liveness import SUSPEND_AFTER_NS
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import Writer
from controller.runtime.venues.markets import Markets
from controller.telemetry.health import Probe, livez
from controller.telemetry.observed import Seen
from exchange.errors import GatehouseError, Refused, Unauthorised, UsageError
from exchange.model import Millis
from exchange.ports import Clock, VenueName
from policies import canonical
from policies.authority import WITH_SUBJECT, Quorum, Verb, quorum
from policies.numbers import text
from policies.ramp import cap_eur, symbols_at
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import Stage

DECIDED_WITHIN_S = 10.0
LATE_MS = SUSPEND_AFTER_NS // 1_000_000
"""A writer whose last decided tick is older than this is not armed, whatever the journal says."""
PROPOSAL_LIFETIME_MS = 15 * 60 * 1000

T = TypeVar("T")


class Operator(Reads):
    """Implements ``OperatorPort``."""

    def __init__(
        self,
        *,
        writer: Writer,
        inbox: Inbox,
        markets: Markets,
        history: RecentHistory,
        journal: Journal,
        clock: Clock,
        tracing: Tracing,
        halt: ImmediateHalt,
        permits: PermitOffice,
        key_problem: Callable[[str], str],
        target_statuses: Callable[[], tuple[TargetStatus, ...]],
        heartbeat: Heartbeat | None = None,
        token: Callable[[int], str] = secrets.token_hex,
    ) -> None:
        """``token`` makes the id of a command, of so many bytes."""
        super().__init__(lambda: writer.seen, history)
        self._writer = writer
        self._inbox = inbox
        self._markets = markets
        self._journal = journal
        self._remote = isinstance(journal, LeasedJournal)
        self._clock = clock
        self._tracing = tracing
        self._halt = halt
        self._permits = permits
        self._key_problem = key_problem
        self._target_statuses = target_statuses
        self._shown = ShownEvidence()
        self._refusals = Refusals(clock.monotonic_ns)
        self._heartbeat = heartbeat
        self._token = token
        self.inspector = Inspector(
            state=lambda: writer.seen,
            read=lambda after, limit: self._read(lambda: list(journal.read(after=after, limit=limit))),
            oldest=lambda: journal.readable_after,
            history=history,
            seen=markets.measured_now,
            now=self._now,
        )
        self.signer_budget: Callable[[], SignerBudgetView | None] = lambda: None
        self.backup: Callable[[], BackupView | None] = lambda: None
        self.before_proposal: Callable[[Verb], Awaitable[None]] = _nothing
        self.require_trusted: Callable[[VerifiedCommand], object] = lambda _: None

    def alive(self) -> Probe:
        """Alive while the writer decides ticks; one comes four times a second."""
        return livez(self._writer.last_tick_ns, self._clock.monotonic_ns(), self._writer.failed_because)

    async def status(self) -> StatusView:
        """The deployment now."""
        return self._status()

    def facts(self) -> Seen:
        """What the metrics show of this moment."""
        return seen_by_the_leader(self._writer, self._markets, self._permits, self._target_statuses())

    async def gates(self) -> Sequence[GateView]:
        """The gates of the next edges up, evaluated now."""
        state, now, seen = self._writer.seen, self._now(), self._markets.measured_now()
        policy = _deployed(state)
        shown = []
        for verb, target, gate in evidence.gated_moves(state):
            result = evidence.judge(state, policy, gate, now)
            facts = landing.facts(state, policy, verb, target, seen, now)
            view = with_outlooks(views.gate_view(result, verb, state.position, target, facts), result, state, now)
            lines = declared.lines(state, policy, gate) + self._backup_lines(gate)
            shown.append(view.model_copy(update={"declared": lines}))
        return shown

    def _backup_lines(self, gate: GateName) -> tuple[str, ...]:
        """How old the last copies are, beside the gate before real money."""
        copies = self.backup() if gate is GateName.LIVE_READY else None
        return (f"backup: {copies.line}",) if copies is not None else ()

    async def journal(self, after: int, limit: int) -> Sequence[EntryView]:
        """Entries after a sequence number, in order."""
        found = await self._read(lambda: list(self._journal.read(after=after, limit=limit)))
        return [views.entry_view(entry, event_codec.decode(entry.kind, entry.body)) for entry in found]

    async def propose(self, request: ProposeRequest, *, seal: bool) -> ProposalView:
        """Seal the evidence, or keep it until it is signed; then build the payload with its digest."""
        request = self._completed(request)
        target = self._target(request)
        await self.before_proposal(request.verb)
        decision = await self._ask(ProposalAsked(request.verb, target, request.subject or "", seal, self._markets.measured_now()))
        assert isinstance(decision.reply, SealReply)
        state = self._writer.state
        shown = self._shown.keep(request.verb, target, decision.reply, state.governance_seq, self._now())
        command = self._command(state, request, target, shown.evidence_digest)
        payload = propose(command).payload
        digest = canonical.digest(payload)
        policy = _deployed(state)
        needed = quorum(request.verb, state.position.stage, state.mode)
        return ProposalView(
            payload=payload.decode(),
            payload_digest=digest,
            word_code=word_code(digest),
            summary=_summary(state, command, needed.persons, _wait_ms(policy, needed)),
            gate=views.gate_view_of_text(shown.result, request.verb, state.position, target),
            persons_needed=needed.persons,
            cooling_off_ms=_wait_ms(policy, needed),
            leaves=leaving.left_behind(state, policy, target),
        )

    async def measured(self, report: StatisticsComputed | SignalsReplayed) -> None:
        """Let the writer take over what was measured beside it. Raises ``Undecided`` if it does not answer."""
        await self._ask(report)

    async def submit(self, envelope_text: str) -> ReceiptView:
        """Verify the signatures, then let the writer decide.

        Every refusal is journalled, but of envelopes that do not verify, and of repeated ones, only a limited number.
        """
        state = self._writer.state
        here = state.position
        trace = self._tracing.command("submit")
        try:
            with self._tracing.verifying(trace):
                verified = await self._verified(state, envelope_text)
            command = verified.command
            self._refusals.check(state, verified)
            anchored = await self._read(lambda: self._journal.hash_at(command.journal_seq)) == command.journal_head
            with self._tracing.applying(trace):
                shown, seen = self._shown.text(command.evidence_digest), self._markets.measured_now()
                reply = (await self._ask(CommandSubmitted(verified, anchored, shown, seen))).reply
        except GatehouseError as error:
            trace.finish("refused", failed=True, code=error.code)
            raise
        assert isinstance(reply, CommandReply)
        trace.finish(
            "refused" if reply.code else "waits" if reply.applies_at is not None else "applied",
            command_id=command.command_id,
            verb=command.verb.value,
            persons=len({one.person for one in verified.signatories}),
            code=reply.code,
        )
        gate = views.gate_view_of_text(reply.result, command.verb, here, Position(command.target_stage, command.target_step))
        if reply.code:
            self._refusals.remember(verified)
            raise _refusal(reply, gate)
        return self._receipt(gate, waits=reply.applies_at is not None)

    async def halt(self, reason: str, by: str = LOCAL_SOCKET) -> ReceiptView:
        """Halt without a signature. Orders are stopped and being cancelled before the writer records it."""
        try:
            await self._halt.ask(by=by, reason=reason)
        except Undecided:
            return self._receipt(None).model_copy(update={"recorded": False})
        return self._receipt(None)

    async def subscribe(self) -> AsyncIterator[StreamItem]:
        """Entries and samples as they become durable, and the status after each batch."""
        with self._history.subscribe() as batches:
            yield self._status()
            while (batch := await batches.get()) is not None:
                for entry, event in batch.entries:
                    yield views.entry_view(entry, event)
                events = [event for _, event in batch.entries] + list(batch.measured)
                samples = [event for event in events if isinstance(event, e.Sampled)]
                if samples and (point := point_of(samples[-1], batch.after)) is not None:
                    yield views.sample_view(point)
                if any(not isinstance(event, e.Reconciled) for event in events):
                    yield self._status()

    def _status(self) -> StatusView:
        head = self._journal.head.hash
        view = views.status_view(self._writer.seen, self._history, self._markets, head, self._now(), self._key_problem)
        checkpoints = tuple(
            CheckpointView(target=o.target, size=o.size, at_ms=o.at, problem=o.problem) for o in self._target_statuses()
        )
        counters = view.counters.model_copy(update={"denied": view.counters.denied + self._writer.refusals_held})
        return view.model_copy(update={"checkpoints": checkpoints, "counters": counters, **self._fresh()})

    def _fresh(self) -> dict[str, object]:
        """What is true of this process at this moment and is in no journal entry."""
        decided_ns = self._writer.last_tick_ns
        age_ms = None if decided_ns is None else max(0, self._clock.monotonic_ns() - decided_ns) // 1_000_000
        late = "" if age_ms is not None and age_ms <= LATE_MS else "the writer decides nothing now"
        because = "; ".join(one for one in (self._permits.suspended_because, late) if one)
        watchdog = self._heartbeat.view() if self._heartbeat is not None else None
        not_armed = {"armed": False, "reconciled": False, "not_armed_because": because} if because else {}
        shown = {"signer_budget": self.signer_budget(), "backup": self.backup()}
        return {"decided_ms_ago": age_ms, "watchdog": watchdog, **shown, **not_armed}

    def _now(self) -> Millis:
        return Millis(max(self._clock.now(), self._writer.state.at))

    async def _ask(self, input_: Input) -> Decision:
        return await self._inbox.ask(input_, self._clock.monotonic_ns(), DECIDED_WITHIN_S)

    async def _verified(self, state: State, envelope_text: str) -> VerifiedCommand:
        try:
            if state.roster is None:
                raise Refused("no roster is in force", code="not-deployed", remedy="Start the controller once.")
            verified = verify(envelope_text, state.roster, self._now())
            await asyncio.to_thread(self.require_trusted, verified)
        except GatehouseError as error:
            if not self._refusals.may_journal():
                raise
            await self._ask(
                SubmissionInvalid(
                    envelope=envelope_text[:4096],
                    code=error.code,
                    message=error.message[:500],
                    remedy=error.remedy,
                    exit_code=error.exit_code,
                )
            )
            raise
        return verified

    async def _read(self, read: Callable[[], T]) -> T:
        """Read from the journal; a journal across a network is read in a thread, beside the event loop."""
        return await asyncio.to_thread(read) if self._remote else read()

    def _completed(self, request: ProposeRequest) -> ProposeRequest:
        # A new baseline that names only the venue is about the reading of now; a veto without a subject about the pending command.
        if request.verb is Verb.REBASELINE and (name := request.subject or "") in rebaseline.VENUES:
            state, seen = self._writer.state, self._markets.measured_now()
            subject = rebaseline.subject_now(state, _deployed(state), name, seen, self._now())
            return request.model_copy(update={"subject": subject})
        pending = self._writer.state.pending
        if request.verb is not Verb.VETO or request.subject or pending is None:
            return request
        return request.model_copy(update={"subject": pending.command_id})

    def _target(self, request: ProposeRequest) -> Position:
        state = self._writer.state
        if request.verb in WITH_SUBJECT:
            return target_of(state, request.verb)
        if request.target is not None:
            return Position(request.target, request.step or 0)
        match request.verb:
            case Verb.HALT:
                return Position(Stage.HALTED)
            case Verb.RESET:
                return Position(Stage.MOCK)
            case verb:
                ways = [target for way, target, _ in evidence.gated_moves(state) if way is verb]
        if not ways and state.position.stage is Stage.HALTED:
            raise UsageError(
                f"{request.verb} does not lead out of HALTED without a target",
                code="no-target",
                remedy="`gatehouse status` lists the ways out: `gatehouse reset --key KEY --reason WHY` leads to MOCK, "
                "`gatehouse resume --help` says what a resume needs.",
            )
        if len(ways) != 1:
            raise UsageError(
                f"{request.verb} from {state.position} needs a target",
                code="no-target",
                remedy=f"Set the target to {' or '.join(str(way) for way in ways) or 'a lower stage'}.",
            )
        return ways[0]

    def _command(self, state: State, request: ProposeRequest, target: Position, evidence_digest: str) -> Command:
        policy, now = _deployed(state), self._now()
        head, subject = self._journal.head, request.subject or ""
        needed = quorum(request.verb, state.position.stage, state.mode)
        granted = policy_after(policy, request.verb, subject)
        return Command(
            version=2 if subject else 1,
            command_id=self._token(16),
            controller_id=state.controller_id,
            environment=state.environment,
            account_fingerprint=state.accounts[VenueName.LIVE],
            verb=request.verb,
            expected_stage=state.position.stage,
            expected_step=state.position.step,
            target_stage=target.stage,
            target_step=target.step,
            cap_eur=text(cap_eur(granted, target.stage, target.step)),
            symbols=symbols_at(granted, target.stage),
            journal_seq=head.seq,
            journal_head=head.hash,
            release_digest=state.release.digest if state.release else "",
            policy_digest=state.policy_digest,
            roster_digest=state.roster_digest,
            evidence_digest=evidence_digest,
            postmortem_digest=request.postmortem or "",
            not_before_ms=now,
            expires_ms=now + min(PROPOSAL_LIFETIME_MS + _wait_ms(policy, needed), MAX_LIFETIME_MS),
            reason=request.reason,
            subject=subject,
        )

    def _receipt(self, gate: GateView | None, *, waits: bool = False) -> ReceiptView:
        head, state = self._journal.head, self._writer.state
        pending = views.pending_view(state) if waits else None
        return ReceiptView(seq=head.seq, hash=head.hash, position=str(state.position), gate=gate, pending=pending)


async def _nothing(_: Verb) -> None:
    """What happens before a proposal where nothing computes statistics."""


def _deployed(state: State) -> Policy:
    if state.policy is None:
        raise Refused("nothing is deployed yet", code="not-deployed", remedy="Wait for the controller to start.")
    return state.policy


def _wait_ms(policy: Policy, needed: Quorum) -> int:
    return policy.authority.cooling_off_ms if needed.cooling_off else 0


def _refusal(reply: CommandReply, gate: GateView | None) -> GatehouseError:
    if gate is not None:
        return GateRefused(reply.message, code=reply.code, remedy=reply.remedy, gate=gate)
    kind = Unauthorised if reply.exit_code == Unauthorised.exit_code else Refused
    return kind(reply.message, code=reply.code, remedy=reply.remedy)


def _summary(state: State, command: Command, persons: int, wait_ms: int) -> str:
    release = state.release
    target = Position(command.target_stage, command.target_step)
    return "\n".join(
        (
            f"{command.verb} {command.controller_id} ({command.environment}): {state.position} → {target}",
            f"grants      {command.cap_eur} EUR of worst-case exposure on {', '.join(command.symbols) or 'nothing'}",
            f"release     {release.name} {release.version} {command.release_digest}" if release else "release     none",
            f"policy      {command.policy_digest}",
            f"evidence    {command.evidence_digest or 'none needed'}",
            f"journal     entry {command.journal_seq} {command.journal_head}",
            f"valid       {(command.expires_ms - command.not_before_ms) // 1000} s, once, command {command.command_id}",
            f"signatures  {persons} distinct person{'s' if persons != 1 else ''}",
            *((f"waits       {wait_ms // 1000} s; until then any key can veto it",) if wait_ms else ()),
            *((f"means       {meaning(command.verb, command.subject)}",) if command.subject else ()),
            *((f"subject     {command.subject}",) if command.subject else ()),
            f"reason      {command.reason}",
        )
    )
