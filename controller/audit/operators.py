"""Everything operators decided, decided again from the journal alone: signatures, quorum, evidence (architecture.md §5).

The auditor folds the entries about governance with the controller's own fold and leaves the others aside, so its cost is per
command and not per entry. At each command it verifies the raw envelope against the roster in force at that entry, binds it to what
the deployment then was, counts the quorum by the table, and judges the evidence again to the same bytes.

What one cannot check from the journal is counted and not claimed: an envelope that was cut short when it was stored, one that came
while the roster changed, and a verdict that another version of gatehouse gave.
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
from controller.core.decisions.binding import check_authorised, check_bound, check_unspent
from controller.core.decisions.bot_keys import key_document
from controller.core.decisions.drills import HALT_DRILL
from controller.core.decisions.governance import release_document, roster_of
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
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import Stage

STORED_MOST = 4096
"""How much of an envelope that did not verify is stored (``controller.core.decisions.commands.invalid``)."""

SETTLED_MS = 60_000
"""How long after a change of the roster an envelope may still have been verified against the one before."""

_FOLDED = frozenset({
    e.DeploymentCreated,
    e.PolicyAdopted,
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
})  # fmt: skip
_COMMANDS = frozenset({e.CommandAccepted, e.CommandRefused, e.CommandPending, e.CommandVoided})
_BY_COMMAND = frozenset(kind for kind in e.Event.__subclasses__() if "command_id" in kind.model_fields) - _COMMANDS
"""The events that name the command they come from: it has to have been accepted before."""

_ABOUT: Mapping[type[e.Event], tuple[Verb, Callable[[Any], str]]] = MappingProxyType({
    e.BotKeyIssued: (Verb.ISSUE_BOT_KEY, lambda event: key_document(event.bot, event.key, event.secret_digest)),
    e.BotKeyRevoked: (Verb.REVOKE_BOT_KEY, lambda event: event.key),
    e.AlertAcknowledged: (Verb.ACK_ALERT, lambda event: event.alert_id),
    e.DrillStarted: (Verb.DRILL, lambda _: HALT_DRILL),
    e.DrillFinished: (Verb.DRILL, lambda _: HALT_DRILL),
})  # fmt: skip
"""The events that only a command makes, its verb, and the subject it must have been signed with."""

_ALSO_AT_A_START: Mapping[type[e.Event], tuple[Verb, Callable[[Any], str]]] = MappingProxyType({
    e.PolicyAdopted: (Verb.SET_POLICY, lambda event: event.document),
    e.ReleaseAdopted: (Verb.SET_RELEASE, lambda event: release_document(event.name, event.version, event.artifact)),
})  # fmt: skip
"""The events that either a command makes, and then as above, or a start that read something new from a file."""

_VOIDING = frozenset({e.PolicyAdopted, e.ReleaseAdopted, e.AccountBound})
"""What changes under a deployment's feet: it goes on at MOCK, or stays HALTED, before anything else is decided."""

_WITH_VOIDING = _VOIDING | {e.RosterAdopted, e.BotKeysAdopted, e.AlertRaised, e.CommandVoided, e.StageChanged}
"""What the same decision may say before the deployment has gone there."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was checked and found good. ``unchecked`` are refusals and verdicts that a journal alone cannot settle."""

    accepted: int = 0
    waited: int = 0
    refused: int = 0
    sealed: int = 0
    rejudged: int = 0
    unchecked: int = 0


class Auditor:
    """Takes the entries of one journal in order. ``hash_at`` gives the hash of an entry of it."""

    def __init__(self, hash_at: Callable[[int], str | None]) -> None:
        self._hash_at = hash_at
        self._state = State()
        self._targets: dict[str, VerifiedCommand] = {}
        self._done: set[tuple[str, type[e.Event]]] = set()
        self._changed = False
        self._roster_since = Millis(0)
        self.found = Audit()

    def inspect(self, entry: Entry) -> None:
        """Check one entry whose place in the chain was verified.

        Raises:
            IntegrityError: what it says cannot have been decided by this controller.
        """
        event = event_codec.decode(entry.kind, entry.body)
        try:
            self._settled(event)
            by = getattr(event, "command_id", "") if type(event) in _BY_COMMAND else ""
            if by:
                self._once(event, by)
            if (about := _ABOUT.get(type(event)) or (_ALSO_AT_A_START.get(type(event)) if by else None)) is not None:
                self._as_signed(event, *about)
            if type(event) in _FOLDED:
                self._state = replace(self._state, seq=entry.seq - 1, at=entry.at)
                self._check(event, entry.at)
                self._state = apply(self._state, event, entry.at)
        except IntegrityError:
            raise
        except GatehouseError as error:
            raise IntegrityError(error.message, code=error.code, remedy=error.remedy) from error

    def _settled(self, event: e.Event) -> None:
        """What was proven under another policy, release, account or version of gatehouse is not gone on with."""
        if type(event) in _WITH_VOIDING:
            self._changed = self._changed or type(event) in _VOIDING
            return
        other = isinstance(event, e.ControllerStarted) and event.gatehouse_version != self._state.gatehouse_version
        if (self._changed or other) and self._state.position.stage not in {Stage.MOCK, Stage.HALTED}:
            _wrong(f"the deployment changed since it was proven, and goes on at {self._state.position}")
        self._changed = False

    def _once(self, event: e.Event, by: str) -> None:
        if by not in self._targets:
            _wrong(f"it names command {by}, which was never accepted")
        if (by, type(event)) in self._done:
            _wrong(f"command {by} has done this already, and does it once")
        self._done.add((by, type(event)))

    def _as_signed(self, event: e.Event, verb: Verb, subject: Callable[[Any], str]) -> None:
        verified = self._targets.get(getattr(event, "command_id", ""))
        if verified is None or (verified.command.verb, verified.command.subject) != (verb, subject(event)):
            _wrong(f"it is not what a {verb} command was signed for")

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
            case e.BotKeysAdopted() if self._state.bot_keys_since is not None:
                _wrong("gateway keys are adopted twice; after the first time they are issued by signature")

    def _verified(self, event: e.CommandAccepted | e.CommandPending, at: Millis) -> tuple[VerifiedCommand, Quorum, Policy]:
        """The command in an entry, its signatures and its quorum proven at that entry."""
        state = self._state
        if state.policy is None:
            _wrong("a command before there was a policy")
        verified = verify(event.envelope, roster_of(state), at)
        command = verified.command
        said = (event.command_id, event.verb, event.payload_digest, event.persons)
        if said != (command.command_id, command.verb, verified.payload_digest, _persons(verified)):
            _wrong("the entry says something else than the envelope in it")
        anchored = self._hash_at(command.journal_seq) == command.journal_head
        check_bound(state, command, at, anchored=anchored)
        return verified, check_authorised(state, verified, state.policy), state.policy

    def _accepted(self, event: e.CommandAccepted, at: Millis) -> None:
        verified, needed, policy = self._verified(event, at)
        pending = self._state.pending
        waited = pending is not None and pending.command_id == event.command_id
        if needed.cooling_off:
            if not waited or pending is None or at < pending.applies_at or pending.envelope != event.envelope:
                _wrong("it was applied without its cooling-off")
        elif not waited:
            check_unspent(self._state, verified.command)
        self._judged(event, verified, policy, at)
        self._targets[event.command_id] = verified
        self.found = replace(self.found, accepted=self.found.accepted + 1)

    def _judged(self, event: e.CommandAccepted, verified: VerifiedCommand, policy: Policy, at: Millis) -> None:
        command = verified.command
        gate = gate_for(command.verb, self._state.position.stage)
        if event.evidence_digest != command.evidence_digest:
            _wrong("the entry names other evidence than was signed")
        if gate is None:
            if event.result:
                _wrong("it has a gate's result and no gate to pass")
            return
        seal = self._state.seals.get(command.evidence_digest)
        if seal is None or (seal.gate, seal.evidence) != (gate.value, event.evidence):
            _wrong(f"its evidence was not sealed for gate {gate.value} since the last move")
        _digest("its evidence", event.evidence, command.evidence_digest)
        if not self._ours():
            return
        result = evaluate(gate, policy, parse(event.evidence.encode()), at)
        if result_bytes(result) != event.result.encode():
            _wrong(f"the verdict of gate {gate.value} does not come out again")
        if not result.passed:
            _wrong(f"it was applied although gate {gate.value} is {result.verdict.value}")
        self.found = replace(self.found, rejudged=self.found.rejudged + 1)

    def _pending(self, event: e.CommandPending, at: Millis) -> None:
        verified, needed, policy = self._verified(event, at)
        check_unspent(self._state, verified.command)
        if not needed.cooling_off or event.applies_at != at + policy.authority.cooling_off_ms:
            _wrong("it waits otherwise than the policy says")
        target = Position(verified.command.target_stage, verified.command.target_step)
        if target != Position(event.target_stage, event.target_step):
            _wrong("it waits for another move than was signed")
        self.found = replace(self.found, waited=self.found.waited + 1)

    def _refused(self, event: e.CommandRefused, at: Millis) -> None:
        """A refusal's envelope either holds, and was refused for what it asked, or fails for the reason that was given."""
        cut = not event.command_id and len(event.envelope) >= STORED_MOST
        if self._state.roster is None or cut or at - self._roster_since < SETTLED_MS:
            self.found = replace(self.found, unchecked=self.found.unchecked + 1)
            return
        try:
            verified = verify(event.envelope, self._state.roster, at)
        except GatehouseError as error:
            if error.code != event.code:
                _wrong(f"it was refused as {event.code}, and its envelope fails as {error.code}")
        else:
            if not event.command_id:
                _wrong(f"it was refused as {event.code}, and its envelope verifies")
            if (event.command_id, event.persons) != (verified.command.command_id, _persons(verified)):
                _wrong("the entry says something else than the envelope in it")
        self.found = replace(self.found, refused=self.found.refused + 1)

    def _sealed(self, event: e.EvidenceSealed, at: Millis) -> None:
        _digest("the evidence", event.evidence, event.digest)
        if self._state.policy is not None and self._ours():
            verdict = evaluate(GateName(event.gate), self._state.policy, parse(event.evidence.encode()), at).verdict.value
            if verdict != event.verdict:
                _wrong(f"the evidence was shown as {event.verdict}, and gate {event.gate} makes {verdict} of it")
        self.found = replace(self.found, sealed=self.found.sealed + 1)

    def _moved(self, event: e.StageChanged) -> None:
        here, target = self._state.position, Position(event.stage, event.step)
        if Position(event.from_stage, event.from_step) != here:
            _wrong(f"it moves from {event.from_stage}, and the deployment stood at {here}")
        if target.risk > here.risk and not self._allowed(event.command_id, here, target):
            _wrong(f"it rises from {here} to {target} without a command that allows it")

    def _allowed(self, command_id: str, here: Position, target: Position) -> bool:
        verified = self._targets.get(command_id)
        if verified is None or verified.command.verb in WITH_SUBJECT:
            return False
        command = verified.command
        signed = Position(command.expected_stage, command.expected_step), Position(command.target_stage, command.target_step)
        return signed == (here, target)

    def _roster(self, event: e.RosterAdopted, at: Millis) -> None:
        _digest("the roster", event.document, event.digest)
        if self._state.roster is not None:
            verified = self._targets.get(event.command_id)
            if verified is None:
                _wrong("the roster changed without a command")
            if self._signed_roster(verified) != event.document:
                _wrong("another roster came into force than was signed")
        self._roster_since = at if self._state.roster is not None else Millis(0)

    def _signed_roster(self, verified: VerifiedCommand) -> str:
        """What the command makes of the roster; empty when it is about something else."""
        verb, subject, state = verified.command.verb, verified.command.subject, self._state
        if verb is Verb.SET_ROSTER:
            return subject
        if verb is not Verb.REVOKE or state.policy is None:
            return ""
        change = governance.check(state, state.policy, verb, governance.target_of(state, verb), subject)
        return change.roster.canonical_bytes.decode() if change.roster is not None else ""

    def _ours(self) -> bool:
        """Whether the verdicts here were given by this version; what another one gave need not come out again."""
        if self._state.gatehouse_version == VERSION:
            return True
        self.found = replace(self.found, unchecked=self.found.unchecked + 1)
        return False


def _persons(verified: VerifiedCommand) -> tuple[str, ...]:
    return tuple(sorted({one.person for one in (*verified.signatories, *verified.incoming)}))


def _digest(what: str, document: str, digest: str) -> None:
    if canonical.digest(document.encode()) != digest:
        _wrong(f"{what} does not have the digest it goes by")


def _wrong(why: str) -> Never:
    raise IntegrityError(why, code="audit-failed", remedy="Halt, keep the journal as it is for inquiry, and find out who wrote it.")
