"""Proposals that journal nothing: their evidence is sealed when the signed command brings it, and only then (ADR 25)."""

from __future__ import annotations

import pytest

from controller.audit.operators import Auditor
from controller.authority.command import Command
from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import CommandReply, SealReply
from controller.core.lifecycle import Position
from controller.journal.chain import Entry, Head, Record, genesis_hash, seal
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk

MOVE = (Verb.ADVANCE, Position(Stage.TESTNET_VALIDATING))
BOTH = ("alice", "bob")


@pytest.fixture(scope="module")
def earned() -> Desk:
    """MOCK, with everything its gate asks for."""
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    return desk


def shown(desk: Desk, target: Position = MOVE[1]) -> SealReply:
    reply = desk.give(i.ProposalAsked(MOVE[0], target, seal=False, seen=desk.seen())).reply
    assert isinstance(reply, SealReply)
    return reply


def signed_later(desk: Desk, reply: SealReply) -> Command:
    """A command about evidence that was shown earlier."""
    desk.run(1_000)
    return desk.command(*MOVE, evidence_digest=reply.evidence_digest)


def submit(desk: Desk, command: Command, text: str, *signers: str) -> CommandReply:
    reply = desk.give(i.CommandSubmitted(desk.verified(command, *signers), anchored=True, seen=desk.seen(), shown=text)).reply
    assert isinstance(reply, CommandReply)
    return reply


def test_a_proposal_that_does_not_seal_journals_nothing(earned: Desk) -> None:
    desk = earned.fork()
    before = len(desk.journal)
    reply = shown(desk)
    assert reply.evidence_digest
    assert reply.unsealed
    assert len(desk.journal) == before


def test_evidence_that_does_not_pass_is_not_handed_out() -> None:
    reply = shown(Desk().arm())
    assert not reply.unsealed


def test_the_signed_command_seals_what_was_shown_and_is_applied(earned: Desk) -> None:
    desk = earned.fork()
    reply = shown(desk)
    command = signed_later(desk, reply)
    assert reply.evidence_digest not in desk.state.seals
    assert not submit(desk, command, reply.unsealed, *BOTH).code
    assert desk.state.position == MOVE[1]
    kinds = [type(event) for event in desk.decisions[-1].events]
    assert kinds[:2] == [e.EvidenceSealed, e.CommandAccepted]


def test_an_audit_accepts_the_journal(earned: Desk) -> None:
    desk = earned.fork()
    reply = shown(desk)
    assert not submit(desk, signed_later(desk, reply), reply.unsealed, *BOTH).code
    entries: list[Entry] = []
    head = Head(0, genesis_hash("desk"), 1)
    auditor = Auditor(lambda seq: entries[seq - 1].hash if 0 < seq <= len(entries) else None)
    for event, at in desk.journal:
        entries.append(seal(Record(event.kind, event_codec.encode(event)), head, epoch=1, at=at))
        head = Head(entries[-1].seq, entries[-1].hash, 1)
        auditor.inspect(entries[-1])
    assert auditor.found.accepted == 1
    assert auditor.found.rejudged == 1


def test_a_command_that_lacks_a_signature_seals_nothing() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.trade(6)
    desk.run(40_000)
    live = Position(Stage.LIVE_EUR10)
    reply = shown(desk, live)
    desk.run(1_000)
    command = desk.command(Verb.ADVANCE, live, evidence_digest=reply.evidence_digest)
    assert reply.unsealed
    assert submit(desk, command, reply.unsealed, "alice").code == "under-quorum"
    assert [type(event) for event in desk.decisions[-1].events] == [e.CommandRefused]


def test_a_command_without_the_text_of_its_evidence_is_refused(earned: Desk) -> None:
    desk = earned.fork()
    assert submit(desk, signed_later(desk, shown(desk)), "", *BOTH).code == "gate-not-passed"


def test_other_evidence_than_the_signed_one_is_not_sealed(earned: Desk) -> None:
    desk = earned.fork()
    first = shown(desk)
    desk.run(1_000)
    other = shown(desk)
    assert submit(desk, signed_later(desk, first), other.unsealed, *BOTH).code == "gate-not-passed"
    assert [type(event) for event in desk.decisions[-1].events] == [e.CommandRefused]


def test_evidence_of_an_earlier_run_at_the_same_stage_is_not_sealed(earned: Desk) -> None:
    desk = earned.fork()
    reply = shown(desk)
    assert not desk.move(*MOVE[:1], MOVE[1].stage).code
    assert not desk.move(Verb.DEMOTE, Stage.MOCK).code
    desk.trade(6)
    desk.run(40_000)
    assert submit(desk, signed_later(desk, reply), reply.unsealed, *BOTH).code == "gate-not-passed"
    assert [type(event) for event in desk.decisions[-1].events] == [e.CommandRefused]


def test_evidence_that_has_expired_by_then_is_refused(earned: Desk) -> None:
    desk = earned.fork()
    reply = shown(desk)
    desk.run(desk.policy.evidence.ttl_ms)
    assert submit(desk, signed_later(desk, reply), reply.unsealed, *BOTH).code == "gate-not-passed"
