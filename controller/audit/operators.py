"""Judges every operator's command again from the journal alone: signatures, quorum, evidence (architecture.md §5).

`gatehouse journal verify` calls it for every entry. The auditor folds the entries about governance with the controller's own fold
and skips the others, so its cost depends on the number of commands. For each command it verifies the stored envelope against the
roster in force at that entry, compares its fields with the state at that entry, counts the quorum, and judges the evidence again;
the result must have the same bytes.

Three things cannot be checked from a journal alone, and are counted as unchecked: an envelope that was cut when it was stored, an
envelope that arrived while the roster changed, and a verdict of another version of gatehouse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Never

from controller.authority.command import VerifiedCommand
from controller.authority.verify import verify
from controller.core import event_codec
from controller.core import events as e
from controller.core.decisions import governance
from controller.core.decisions.archiving import archive_document
from controller.core.decisions.binding import check_authorised, check_bound, check_unspent
from controller.core.decisions.bot_keys import key_document
from controller.core.decisions.documents import RELEASE
from controller.core.decisions.drills import subject_of
from controller.core.decisions.flatten import ALL
from controller.core.decisions.governance import release_document, roster_of
from controller.core.decisions.rates import rate_document
from controller.core.decisions.rebaseline import subject_of as reading_subject
from controller.core.fold.apply import apply
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Entry
from controller.version import VERSION
from exchange.errors import GatehouseError, IntegrityError
from exchange.model import Millis
from gates.engine import evaluate, result_bytes
from gates.evidence import parse
from gates.registry import gate_for
from policies import canonical
from policies.authority import WITH_SUBJECT, Quorum, Verb
from policies.document import parse_journalled
from policies.drills import DrillKind
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import Stage
from policies.tightening import only_stricter

STORED_MOST = 4096
"""How many characters of an invalid envelope are stored (``controller.core.decisions.commands.envelope_invalid``)."""

SETTLED_MS = 60_000
"""For this long after a change of the roster, an envelope may have been verified against the old roster."""

_FOLDED = frozenset({
    e.DeploymentCreated,
    e.PolicyAdopted,
    e.PolicyApproved,
    e.DocumentProposed,
    e.ProposalWithdrawn,
    e.RosterAdopted,
    e.ReleaseAdopted,
    e.AccountBound,
    e.BotKeysAdopted,
    e.ControllerStarted,
    e.CommandAccepted,
    e.CommandRefused,
    e.CommandPending,
    e.CommandVoided,
    e.EvidenceSealed,
    e.StageChanged,
    e.EurRateSet,
})  # fmt: skip
_COMMANDS = frozenset({e.CommandAccepted, e.CommandRefused, e.CommandPending, e.CommandVoided})
_BY_COMMAND = frozenset(kind for kind in e.Event.__subclasses__() if "command_id" in kind.model_fields) - _COMMANDS
"""The events that name the command they follow from. That command must have been accepted before."""

_ABOUT: Mapping[type[e.Event], tuple[Verb, Callable[[Any], str]]] = MappingProxyType({
    e.PolicyApproved: (Verb.SET_POLICY, lambda event: event.document),
    e.BotKeyIssued: (Verb.ISSUE_BOT_KEY, lambda event: key_document(event.bot, event.key, event.secret_digest)),
    e.BotKeyRevoked: (Verb.REVOKE_BOT_KEY, lambda event: event.key),
    e.EurRateSet: (Verb.SET_RATE, lambda event: rate_document(event.quote_per_eur)),
    e.AlertAcknowledged: (Verb.ACK_ALERT, lambda event: event.alert_id),
    e.ArchiveApproved: (Verb.ARCHIVE, lambda event: archive_document(event.upto, event.hash)),
    e.Rebaselined: (Verb.REBASELINE, lambda event: reading_subject(event.venue, event.books, event.reading, event.lost_orders)),
    e.DrillStarted: (Verb.DRILL, lambda event: subject_of(event.drill)),
    e.DrillLatched: (Verb.DRILL, lambda _: subject_of(DrillKind.KILL)),
    e.DrillFinished: (Verb.DRILL, lambda event: subject_of(event.drill)),
    e.DrillFailed: (Verb.DRILL, lambda event: subject_of(event.drill)),
})  # fmt: skip
"""The events that only a command causes, with its verb and the subject that must have been signed."""

_ALSO_BY_ITSELF: Mapping[type[e.Event], tuple[Verb, Callable[[Any], str]]] = MappingProxyType({
    e.PolicyAdopted: (Verb.SET_POLICY, lambda event: event.document),
    e.ReleaseAdopted: (Verb.SET_RELEASE, lambda event: release_document(event.name, event.version, event.artifact)),
    e.FlattenStarted: (Verb.FLATTEN, lambda event: event.subject if event.subject in {ALL, *event.symbols[:1]} else ""),
    e.FlattenEnded: (Verb.FLATTEN, lambda event: event.subject),
})  # fmt: skip
"""The events caused either by a command, as above, or without one: by a start that read a changed file, or by a guard."""

_VOIDING = frozenset({e.PolicyAdopted, e.ReleaseAdopted, e.AccountBound})
"""The events after which a deployment must move to MOCK, or stay HALTED, before any other decision."""

_PROPOSALS = frozenset({e.PolicyApproved, e.DocumentProposed, e.ProposalWithdrawn})
_WITH_VOIDING = _VOIDING | _PROPOSALS | {e.RosterAdopted, e.BotKeysAdopted, e.AlertRaised, e.CommandVoided, e.StageChanged}
"""The events that the same decision may contain before that move."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How many entries of each kind were checked and are correct. ``unchecked`` counts those that a journal alone cannot prove."""

    accepted: int = 0
    waited: int = 0
    refused: int = 0
    sealed: int = 0
    rejudged: int = 0
    unchecked: int = 0


class Auditor:
    """Checks the entries of one journal in order. ``hash_at`` returns the hash of an entry of that journal."""

    def __init__(self, hash_at: Callable[[int], str | None]) -> None:
        self._hash_at = hash_at
        self._state = State()
        self._targets: dict[str, VerifiedCommand] = {}
        self._done: set[tuple[str, type[e.Event]]] = set()
        self._changed = False
        self._proposes = False
        self._roster_since = Millis(0)
        self.found = Audit()

    def inspect(self, entry: Entry) -> None:
        """Check one entry. The caller has verified its place in the hash chain.

        Raises:
            IntegrityError: this controller cannot have made this decision.
        """
        event = event_codec.decode(entry.kind, entry.body)
        try:
            self._check_voided_evidence(event)
            command_id = getattr(event, "command_id", "") if type(event) in _BY_COMMAND else ""
            if command_id:
                self._check_once(event, command_id)
            if (about := _ABOUT.get(type(event)) or (_ALSO_BY_ITSELF.get(type(event)) if command_id else None)) is not None:
                self._check_subject(event, *about)
            if type(event) in _FOLDED:
                self._state = replace(self._state, seq=entry.seq - 1, at=entry.at)
                self._check(event, entry.at)
                self._state = apply(self._state, event, entry.at)
        except IntegrityError:
            raise
        except GatehouseError as error:
            raise IntegrityError(error.message, code=error.code, remedy=error.remedy) from error

    def _check_voided_evidence(self, event: e.Event) -> None:
        """After a change of policy, release, account or version the stage must be MOCK or HALTED."""
        if type(event) in _WITH_VOIDING:
            proposed = isinstance(event, e.DocumentProposed) and event.document == RELEASE
            self._changed = self._changed or proposed or type(event) in _VOIDING
            return
        other = isinstance(event, e.ControllerStarted) and event.gatehouse_version != self._state.gatehouse_version
        if (self._changed or other) and self._state.position.stage not in {Stage.MOCK, Stage.HALTED}:
            _wrong(f"the deployment changed, so its evidence is void, but it is still at {self._state.position}")
        self._changed = False

    def _check_once(self, event: e.Event, command_id: str) -> None:
        if command_id not in self._targets:
            _wrong(f"it names command {command_id}, which was not accepted")
        if (command_id, type(event)) in self._done:
            _wrong(f"command {command_id} has this effect twice")
        self._done.add((command_id, type(event)))

    def _check_subject(self, event: e.Event, verb: Verb, subject: Callable[[Any], str]) -> None:
        verified = self._targets.get(getattr(event, "command_id", ""))
        if verified is None or (verified.command.verb, verified.command.subject) != (verb, subject(event)):
            _wrong(f"no {verb} command was signed for it")

    def _check(self, event: e.Event, at: Millis) -> None:
        match event:
            case e.CommandAccepted():
                self._accepted(event, at)
            case e.CommandPending():
                self._pending(event, at)
            case e.CommandRefused():
                self._refused(event, at)
            case e.EvidenceSealed():
                self._sealed(event, at)
            case e.StageChanged():
                self._moved(event)
            case e.RosterAdopted():
                self._roster(event, at)
            case e.PolicyAdopted():
                _digest("the policy", event.document, event.digest)
                self._policy(event)
            case e.ReleaseAdopted() if self._proposes and self._state.release is not None and not event.command_id:
                _wrong("another release came into force without a command")
            case e.ControllerStarted():
                self._proposes = self._proposes or event.high_water
            case e.BotKeysAdopted() if self._state.bot_keys_since is not None:
                _wrong("gateway keys are adopted a second time; after the first start they must be issued by signature")

    def _verified(self, event: e.CommandAccepted | e.CommandPending, at: Millis) -> tuple[VerifiedCommand, Quorum, Policy]:
        """Return the command of an entry with its quorum, after verifying its signatures at that entry."""
        state = self._state
        if state.policy is None:
            _wrong("it is a command, but no policy is in force yet")
        verified = verify(event.envelope, roster_of(state), at)
        command = verified.command
        recorded = (event.command_id, event.verb, event.payload_digest, event.persons)
        if recorded != (command.command_id, command.verb, verified.payload_digest, _persons(verified)):
            _wrong("the entry does not match the envelope in it")
        anchored = self._hash_at(command.journal_seq) == command.journal_head
        check_bound(state, command, at, anchored=anchored)
        return verified, check_authorised(state, verified, state.policy), state.policy

    def _accepted(self, event: e.CommandAccepted, at: Millis) -> None:
        verified, needed, policy = self._verified(event, at)
        pending = self._state.pending
        waited = pending is not None and pending.command_id == event.command_id
        if needed.cooling_off:
            if not waited or pending is None or at < pending.applies_at or pending.envelope != event.envelope:
                _wrong("it was applied without its cooling-off period")
        elif not waited:
            check_unspent(self._state, verified.command)
        self._judged(event, verified, policy, at)
        self._targets[event.command_id] = verified
        self.found = replace(self.found, accepted=self.found.accepted + 1)

    def _judged(self, event: e.CommandAccepted, verified: VerifiedCommand, policy: Policy, at: Millis) -> None:
        command = verified.command
        gate = gate_for(command.verb, self._state.position.stage)
        if event.evidence_digest != command.evidence_digest:
            _wrong("the entry names evidence that was not signed")
        if gate is None:
            if event.result:
                _wrong("it has the result of a gate, but no gate guards it")
            return
        seal = self._state.seals.get(command.evidence_digest)
        if seal is None or (seal.gate, seal.evidence) != (gate.value, event.evidence):
            _wrong(f"its evidence was not sealed for gate {gate.value} since the last move")
        _digest("its evidence", event.evidence, command.evidence_digest)
        if not self._ours():
            return
        result = evaluate(gate, policy, parse(event.evidence.encode()), at)
        if result_bytes(result) != event.result.encode():
            _wrong(f"judging gate {gate.value} again gives another result")
        if not result.passed:
            _wrong(f"it was applied although gate {gate.value} is {result.verdict.value}")
        self.found = replace(self.found, rejudged=self.found.rejudged + 1)

    def _pending(self, event: e.CommandPending, at: Millis) -> None:
        verified, needed, policy = self._verified(event, at)
        check_unspent(self._state, verified.command)
        if not needed.cooling_off or event.applies_at != at + policy.authority.cooling_off_ms:
            _wrong("it does not wait for the cooling-off period of the policy")
        target = Position(verified.command.target_stage, verified.command.target_step)
        if target != Position(event.target_stage, event.target_step):
            _wrong("it waits for a move that was not signed")
        self.found = replace(self.found, waited=self.found.waited + 1)

    def _refused(self, event: e.CommandRefused, at: Millis) -> None:
        """Check a refusal: its envelope verifies and the command itself was refused, or it fails for the recorded reason."""
        cut = not event.command_id and len(event.envelope) >= STORED_MOST
        if self._state.roster is None or cut or at - self._roster_since < SETTLED_MS:
            self.found = replace(self.found, unchecked=self.found.unchecked + 1)
            return
        try:
            verified = verify(event.envelope, self._state.roster, at)
        except GatehouseError as error:
            if error.code != event.code:
                _wrong(f"it was refused as {event.code}, but its envelope fails as {error.code}")
        else:
            if not event.command_id:
                _wrong(f"it was refused as {event.code}, but its envelope verifies")
            if (event.command_id, event.persons) != (verified.command.command_id, _persons(verified)):
                _wrong("the entry does not match the envelope in it")
        self.found = replace(self.found, refused=self.found.refused + 1)

    def _sealed(self, event: e.EvidenceSealed, at: Millis) -> None:
        _digest("the evidence", event.evidence, event.digest)
        if self._state.policy is not None and self._ours():
            verdict = evaluate(GateName(event.gate), self._state.policy, parse(event.evidence.encode()), at).verdict.value
            if verdict != event.verdict:
                _wrong(f"the evidence was shown as {event.verdict}, but gate {event.gate} judges it as {verdict}")
        self.found = replace(self.found, sealed=self.found.sealed + 1)

    def _moved(self, event: e.StageChanged) -> None:
        here, target = self._state.position, Position(event.stage, event.step)
        if Position(event.from_stage, event.from_step) != here:
            _wrong(f"it moves from {event.from_stage}, but the deployment was at {here}")
        if target.risk > here.risk and not self._allowed(event.command_id, here, target):
            _wrong(f"it moves up from {here} to {target} without a command that allows it")

    def _allowed(self, command_id: str, here: Position, target: Position) -> bool:
        verified = self._targets.get(command_id)
        if verified is None or verified.command.verb in WITH_SUBJECT:
            return False
        command = verified.command
        signed = Position(command.expected_stage, command.expected_step), Position(command.target_stage, command.target_step)
        return signed == (here, target)

    def _policy(self, event: e.PolicyAdopted) -> None:
        """A start adopts a file only if it is stricter or was signed for. Versions before the marks of entries adopted any file."""
        before = self._state.policy
        if not self._proposes or before is None or event.command_id or event.digest == self._state.policy_approved:
            return
        if not only_stricter(before, parse_journalled(event.document.encode())):
            _wrong("a policy that is not only stricter came into force without a command")

    def _roster(self, event: e.RosterAdopted, at: Millis) -> None:
        _digest("the roster", event.document, event.digest)
        if self._state.roster is not None:
            verified = self._targets.get(event.command_id)
            if verified is None:
                _wrong("the roster changed without a command")
            if self._signed_roster(verified) != event.document:
                _wrong("the roster that came into force is not the one that was signed")
        self._roster_since = at if self._state.roster is not None else Millis(0)

    def _signed_roster(self, verified: VerifiedCommand) -> str:
        """Return the roster after the command; empty when the command is not about the roster."""
        verb, subject, state = verified.command.verb, verified.command.subject, self._state
        if verb is Verb.SET_ROSTER:
            return subject
        if verb is not Verb.REVOKE or state.policy is None:
            return ""
        change = governance.check(state, state.policy, verb, governance.target_of(state, verb), subject)
        return change.roster.canonical_bytes.decode() if change.roster is not None else ""

    def _ours(self) -> bool:
        """Whether this version of gatehouse gave the verdict.

        Another version may judge differently, so its verdicts are unchecked.
        """
        if self._state.gatehouse_version == VERSION:
            return True
        self.found = replace(self.found, unchecked=self.found.unchecked + 1)
        return False


def _persons(verified: VerifiedCommand) -> tuple[str, ...]:
    return tuple(sorted({one.person for one in (*verified.signatories, *verified.incoming)}))


def _digest(what: str, document: str, digest: str) -> None:
    if canonical.digest(document.encode()) != digest:
        _wrong(f"{what} does not have the digest in the entry")


def _wrong(why: str) -> Never:
    raise IntegrityError(why, code="audit-failed", remedy="Halt, keep a copy of the journal unchanged, and find out who wrote it.")
