"""A journal somebody rewrote from end to end: a signed command proves one effect, its own, and that once."""

from __future__ import annotations

import pytest

from controller.audit.operators import Auditor
from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyStatus, KeyType, roster_key
from controller.core import event_codec
from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions.bot_keys import key_document
from controller.core.decisions.governance import release_document
from controller.core.effects import AlertKind
from controller.core.inputs import AlertNoticed, Release
from controller.journal.chain import Head, Record, genesis_hash, seal
from exchange.errors import IntegrityError
from policies import canonical
from policies.authority import Verb
from policies.document import canonical_bytes
from policies.stage import Stage
from tests.support.desk import D, Desk

LIVE = Stage.LIVE_EUR10


def problem(desk: Desk, *forged: e.Event) -> str:
    """What an audit says of the desk's journal with more entries, chained as they should be; empty when nothing."""
    head, found = Head(0, genesis_hash("desk"), 1), []
    for event, at in [*desk.journal, *((one, desk.now) for one in forged)]:
        entry = seal(Record(event.kind, event_codec.encode(event)), head, epoch=1, at=at)
        head = Head(entry.seq, entry.hash, 1)
        found.append(entry)
    auditor = Auditor(lambda seq: found[seq - 1].hash if 0 < seq <= len(found) else None)
    try:
        for entry in found:
            auditor.inspect(entry)
    except IntegrityError as error:
        return error.message
    return ""


def moved(before: Stage, after: Stage, cause: Cause, command_id: str = "") -> e.StageChanged:
    return e.StageChanged(from_stage=before, from_step=0, stage=after, step=0, cause=cause, reason="because", command_id=command_id)


def last_accepted(desk: Desk, verb: Verb) -> str:
    return next(
        event.command_id for event, _ in reversed(desk.journal) if isinstance(event, e.CommandAccepted) and event.verb is verb
    )


@pytest.fixture(scope="module")
def live() -> Desk:
    """At LIVE_€10, where one person acknowledged an alert."""
    desk = Desk().walk_to(LIVE)
    desk.give(AlertNoticed(AlertKind.VENUE_LOCKOUT, "locked out", "HTTP 418"))
    assert desk.ask(Verb.ACK_ALERT, desk.state.alerts[-1].id, "carol").code == ""
    return desk


def test_a_command_that_is_no_move_does_not_end_a_halt(live: Desk) -> None:
    halt = moved(LIVE, Stage.HALTED, Cause.BREACH)
    rise = moved(Stage.HALTED, LIVE, Cause.RESUME, last_accepted(live, Verb.ACK_ALERT))
    assert problem(live, halt) == ""
    assert "without a command that allows it" in problem(live, halt, rise)


def test_a_command_moves_the_deployment_up_once(live: Desk) -> None:
    fall = moved(LIVE, Stage.VALIDATED, Cause.SOFT_BREACH)
    rise = moved(Stage.VALIDATED, LIVE, Cause.ADVANCE, last_accepted(live, Verb.ADVANCE))
    assert "twice" in problem(live, fall, rise)


def test_a_command_about_something_else_changes_no_roster(live: Desk) -> None:
    mallory = roster_key(public_key(generate_key()).line, KeyType.FILE)
    persons = tuple(one.model_copy(update={"keys": (mallory,)}) for one in live.state.roster.persons[:1])
    roster = live.state.roster.model_copy(update={"version": 2, "persons": persons})
    forged = e.RosterAdopted(
        document=roster.canonical_bytes.decode(), digest=roster.digest, command_id=last_accepted(live, Verb.ACK_ALERT)
    )
    assert "is not the one that was signed" in problem(live, forged)


def test_a_revocation_removes_only_the_signed_key() -> None:
    desk = Desk().arm()
    bob, carol = desk.state.roster.persons[1:]
    assert desk.ask(Verb.REVOKE, carol.keys[0].id, "alice").code == ""
    assert problem(desk) == ""
    adopted, _ = desk.journal.pop()
    assert isinstance(adopted, e.RosterAdopted)
    revoked = bob.keys[0].model_copy(update={"status": KeyStatus.REVOKED})
    persons = (desk.roster.persons[0], bob.model_copy(update={"keys": (revoked,)}), carol)
    roster = desk.roster.model_copy(update={"version": 2, "persons": persons})
    forged = adopted.model_copy(update={"document": roster.canonical_bytes.decode(), "digest": roster.digest})
    assert "is not the one that was signed" in problem(desk, forged)


def test_gateway_keys_are_adopted_unsigned_only_once(live: Desk) -> None:
    adopted = live.events(e.BotKeysAdopted)[0]
    assert "adopted a second time" in problem(live, adopted)


def test_an_old_issue_command_does_not_restore_a_revoked_key() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    assert desk.ask(Verb.ISSUE_BOT_KEY, key_document("new-bot", "newbotkey", "sha256:" + "7" * 64), "alice").code == ""
    issued = desk.events(e.BotKeyIssued)[-1]
    assert desk.ask(Verb.REVOKE_BOT_KEY, "newbotkey", "alice").code == ""
    assert problem(desk) == ""
    assert "twice" in problem(desk, issued)


def test_the_policy_does_not_change_at_a_live_stage(live: Desk) -> None:
    caps = live.policy.caps.model_copy(update={"live": D(5)})
    document = canonical_bytes(live.policy.model_copy(update={"caps": caps})).decode()
    forged = e.PolicyAdopted(document=document, digest=policy_digest(document))
    assert "is still at" in problem(live, forged, live.events(e.ControllerStarted)[-1])


def test_a_policy_that_nobody_signed_is_only_stricter(live: Desk) -> None:
    document = canonical_bytes(live.policy.model_copy(update={"name": "other"})).decode()
    forged = e.PolicyAdopted(document=document, digest=policy_digest(document))
    assert "a policy that is not only stricter came into force without a command" in problem(live, forged)


def test_a_release_that_nobody_signed_does_not_come_into_force(live: Desk) -> None:
    forged = e.ReleaseAdopted(name="bot", version="2", artifact="sha256:" + "e" * 64, digest="sha256:" + "f" * 64)
    assert "another release came into force without a command" in problem(live, forged)


def test_an_approval_of_a_policy_is_signed(live: Desk) -> None:
    document = canonical_bytes(live.policy.model_copy(update={"name": "other"})).decode()
    forged = e.PolicyApproved(document=document, digest=policy_digest(document), command_id=last_accepted(live, Verb.ACK_ALERT))
    assert "was signed for" in problem(live, forged)


def test_a_proposed_release_leaves_no_live_stage(live: Desk) -> None:
    forged = e.DocumentProposed(document="release", digest="sha256:" + "f" * 64, changes=())
    assert "is still at" in problem(live, forged, live.events(e.ControllerStarted)[-1])


def policy_digest(document: str) -> str:
    return canonical.digest(document.encode())


def test_a_policy_comes_into_force_with_the_command_it_was_signed_for(live: Desk) -> None:
    document = canonical_bytes(live.policy.model_copy(update={"name": "other"})).decode()
    forged = e.PolicyAdopted(document=document, digest=policy_digest(document), command_id=last_accepted(live, Verb.ACK_ALERT))
    assert "was signed for" in problem(live, forged)


def test_a_release_comes_into_force_with_the_command_it_was_signed_for() -> None:
    desk = Desk().arm()
    assert desk.ask(Verb.SET_RELEASE, release_document("bot", "2", "sha256:" + "e" * 64), "alice").code == ""
    assert problem(desk) == ""
    adopted, _ = desk.journal.pop()
    assert isinstance(adopted, e.ReleaseAdopted)
    assert "was signed for" in problem(desk, adopted.model_copy(update={"version": "3"}))


def test_a_changed_file_moves_to_mock_and_passes_the_audit(live: Desk) -> None:
    desk = live.fork()
    desk.policy = desk.policy.model_copy(update={"name": "other"})
    desk.release = Release("bot", "2", "sha256:" + "a" * 64, "sha256:" + "e" * 64)
    desk.boot()
    assert desk.state.position.stage is Stage.MOCK
    assert problem(desk) == ""
    halted = halted_from(live)
    halted.policy = desk.policy
    halted.boot()
    assert halted.state.position.stage is Stage.HALTED
    assert problem(halted) == ""


def halted_from(live: Desk) -> Desk:
    desk = live.fork()
    assert desk.move(Verb.HALT, Stage.HALTED, signers=("carol",)).code == ""
    return desk
