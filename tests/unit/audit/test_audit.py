"""A journal somebody rewrote from end to end, chain and all: what its commands prove remains, and nothing else passes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from controller.audit.operators import Auditor
from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyType, roster_key
from controller.core import event_codec
from controller.core import events as e
from controller.core.decisions.bot_keys import key_document
from controller.core.decisions.drills import HALT_DRILL
from controller.core.decisions.governance import release_document
from controller.core.effects import AlertKind
from controller.core.inputs import AlertNoticed, DrillMeasured, SubmissionInvalid
from controller.journal.chain import Entry, Head, Record, genesis_hash, seal
from exchange.errors import IntegrityError
from exchange.model import Millis
from exchange.ports import VenueName
from policies import canonical
from policies.authority import Verb
from policies.document import canonical_bytes
from policies.stage import Mode, Stage
from tests.support.baselines import differ, shown
from tests.support.desk import BOT_KEYS, D, Desk, with_policy

Events = list[tuple[e.Event, Millis]]


def entries_of(events: Events) -> list[Entry]:
    head, found = Head(0, genesis_hash("desk"), 1), []
    for event, at in events:
        entry = seal(Record(event.kind, event_codec.encode(event)), head, epoch=1, at=at)
        head = Head(entry.seq, entry.hash, 1)
        found.append(entry)
    return found


def audited(events: Events) -> dict[str, int]:
    entries = entries_of(events)
    auditor = Auditor(lambda seq: entries[seq - 1].hash if 0 < seq <= len(entries) else None)
    for entry in entries:
        auditor.inspect(entry)
    return asdict(auditor.found)


def refused(events: Events) -> str:
    with pytest.raises(IntegrityError) as found:
        audited(events)
    return f"{found.value.code}: {found.value.message}"


@pytest.fixture(scope="module")
def desk() -> Desk:
    """At LIVE_€10, after an envelope that did not verify, a command that lacked a signature, and a revoked key."""
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.give(SubmissionInvalid("{}", "malformed-envelope", "no", "resend", 4))
    desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    desk.walk_to(Stage.LIVE_EUR10)
    carol = next(person for person in desk.state.roster.persons if person.name == "carol")
    desk.ask(Verb.REVOKE, carol.keys[0].id, "alice")
    return desk


def last(events: Events, kind: type[e.Event]) -> int:
    return max(number for number, (event, _) in enumerate(events) if isinstance(event, kind))


def changed(desk: Desk, kind: type[e.Event], **changes: Any) -> Events:
    """The journal with the last event of a kind changed, and every hash after it made to fit."""
    events = list(desk.journal)
    number = last(events, kind)
    event, at = events[number]
    events[number] = (type(event).model_validate({**event.model_dump(), **changes}), at)
    return events


def accepted(desk: Desk) -> e.CommandAccepted:
    """The command that led to LIVE_€10."""
    return next(event for event, _ in reversed(desk.journal) if isinstance(event, e.CommandAccepted) and event.verb is Verb.ADVANCE)


def swapped(desk: Desk, old: e.Event, new: e.Event) -> Events:
    return [(new if event is old else event, at) for event, at in desk.journal]


def test_a_correct_journal_passes_the_audit(desk: Desk) -> None:
    found = audited(desk.journal)
    assert found["accepted"] == len(desk.events(e.CommandAccepted)) == 4
    assert found["rejudged"] == 3
    assert found["refused"] == len(desk.events(e.CommandRefused)) == 2
    assert found["sealed"] == len(desk.events(e.EvidenceSealed))
    assert found["unchecked"] == 0


def test_an_applied_command_needs_its_quorum_in_its_own_envelope(desk: Desk) -> None:
    command = accepted(desk)
    envelope = json.loads(command.envelope)
    envelope["signatures"] = envelope["signatures"][:1]
    signer = ("alice",) if "alice" in command.persons else command.persons[:1]
    lesser = command.model_copy(update={"envelope": json.dumps(envelope), "persons": signer})
    assert refused(swapped(desk, command, lesser)).startswith("under-quorum")


def test_an_invalid_signature_is_found(desk: Desk) -> None:
    command = accepted(desk)
    envelope = json.loads(command.envelope)
    first, second = envelope["signatures"]
    first["sig"], second["sig"] = second["sig"], first["sig"]
    forged = command.model_copy(update={"envelope": json.dumps(envelope)})
    assert refused(swapped(desk, command, forged)).startswith("bad-signature")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"persons": ("alice", "carol")}, "does not match the envelope"),
        ({"command_id": "f" * 32}, "does not match the envelope"),
        ({"payload_digest": "sha256:" + "0" * 64}, "does not match the envelope"),
        ({"verb": Verb.RAMP}, "does not match the envelope"),
        ({"evidence_digest": "sha256:" + "0" * 64}, "evidence that was not signed"),
        ({"evidence": "{}"}, "was not sealed for gate live-ready"),
        ({"result": ""}, "again gives another result"),
    ],
)
def test_a_changed_field_of_an_applied_command_is_found(desk: Desk, changes: dict[str, Any], words: str) -> None:
    command = accepted(desk)
    assert words in refused(swapped(desk, command, command.model_copy(update=changes)))


def test_a_changed_verdict_is_found(desk: Desk) -> None:
    command = accepted(desk)
    result = json.loads(command.result)
    result["rules"][0]["measured"] = "999"
    better = command.model_copy(update={"result": canonical.encode(result).decode()})
    assert "again gives another result" in refused(swapped(desk, command, better))


def test_a_command_applied_twice_is_found(desk: Desk) -> None:
    command = accepted(desk)
    number = next(place for place, (event, _) in enumerate(desk.journal) if event is command)
    again = [*desk.journal[: number + 1], desk.journal[number], *desk.journal[number + 1 :]]
    assert refused(again).startswith(("command-replayed", "stale-head"))


def test_a_command_for_another_journal_is_found(desk: Desk) -> None:
    started = next(number for number, (event, _) in enumerate(desk.journal) if isinstance(event, e.ControllerStarted))
    shifted = [*desk.journal[: started + 1], desk.journal[started], *desk.journal[started + 1 :]]
    assert refused(shifted).startswith(("unknown-head", "stale-head"))


def test_a_move_up_without_a_command_is_found(desk: Desk) -> None:
    rise = e.StageChanged(
        from_stage=Stage.LIVE_EUR10, from_step=0, stage=Stage.RAMPING, step=1, cause="ramp", reason="because", command_id=""
    )
    assert "without a command that allows it" in refused([*desk.journal, (rise, desk.now)])


def test_a_move_up_further_than_signed_is_found(desk: Desk) -> None:
    assert "without a command that allows it" in refused(changed(desk, e.StageChanged, stage=Stage.RAMPING, step=3))


def test_a_move_from_another_stage_than_the_present_one_is_found(desk: Desk) -> None:
    assert "the deployment was at VALIDATED" in refused(changed(desk, e.StageChanged, from_stage=Stage.TESTNET_VALIDATING))


def test_a_move_down_needs_no_command(desk: Desk) -> None:
    fall = e.StageChanged(
        from_stage=Stage.LIVE_EUR10, from_step=0, stage=Stage.HALTED, step=0, cause="breach", reason="loss", command_id=""
    )
    assert audited([*desk.journal, (fall, desk.now)])["accepted"] == 4


def usurped(desk: Desk, command_id: str) -> e.RosterAdopted:
    mallory = roster_key(public_key(generate_key()).line, KeyType.FILE)
    persons = tuple(one.model_copy(update={"keys": (mallory,)}) if one.name == "bob" else one for one in desk.state.roster.persons)
    roster = desk.state.roster.model_copy(update={"version": 3, "persons": persons})
    return e.RosterAdopted(document=roster.canonical_bytes.decode(), digest=roster.digest, command_id=command_id)


@pytest.mark.parametrize(("command_id", "words"), [("", "without a command"), ("f" * 32, "was not accepted")])
def test_an_unsigned_roster_is_found(desk: Desk, command_id: str, words: str) -> None:
    assert words in refused([*desk.journal, (usurped(desk, command_id), desk.now)])


def test_a_document_with_a_wrong_digest_is_found(desk: Desk) -> None:
    policy = desk.events(e.PolicyAdopted)[-1].document.replace('"name":"demo"', '"name":"dem0"')
    assert "the policy does not have the digest" in refused(changed(desk, e.PolicyAdopted, document=policy))
    assert "the evidence does not have the digest" in refused(changed(desk, e.EvidenceSealed, digest="sha256:" + "0" * 64))


def test_evidence_shown_with_a_wrong_verdict_is_found(desk: Desk) -> None:
    assert "was shown as FAIL" in refused(changed(desk, e.EvidenceSealed, verdict="FAIL"))


def test_a_refusal_with_a_wrong_reason_is_found(desk: Desk) -> None:
    events = list(desk.journal)
    number = next(place for place, (event, _) in enumerate(events) if isinstance(event, e.CommandRefused) and not event.command_id)
    event, at = events[number]
    assert isinstance(event, e.CommandRefused)
    events[number] = (event.model_copy(update={"code": "unknown-key"}), at)
    assert "but its envelope fails as malformed-envelope" in refused(events)


def test_a_valid_command_recorded_as_an_invalid_envelope_is_found(desk: Desk) -> None:
    assert "but its envelope verifies" in refused(changed(desk, e.CommandRefused, command_id="", code="bad-signature"))


def test_verdicts_of_another_version_are_counted_as_unchecked() -> None:
    older = Desk()
    older.version = "0.0.9"
    older.walk_to(Stage.VALIDATED)
    found = audited(older.journal)
    assert (found["accepted"], found["rejudged"]) == (2, 0)
    assert found["unchecked"] == 2 + found["sealed"]


def test_an_envelope_cut_in_storage_is_counted_as_unchecked() -> None:
    desk = Desk().arm()
    desk.give(SubmissionInvalid("x" * 5000, "envelope-too-large", "no", "resend", 4))
    assert audited(desk.journal)["unchecked"] == 1


def test_a_command_that_waited_is_applied_only_after_its_cooling_off() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.LIVE_EUR10)
    assert audited(desk.journal)["waited"] == 1
    events = [(event, at) for event, at in desk.journal if not isinstance(event, e.CommandPending)]
    assert refused(events).startswith(("audit-failed: it was applied without its cooling-off", "unknown-head"))
    shortened = changed(desk, e.CommandPending, applies_at=desk.events(e.CommandPending)[-1].applies_at - 1)
    assert "does not wait for the cooling-off period of the policy" in refused(shortened)
    elsewhere = changed(desk, e.CommandPending, target_stage=Stage.RAMPING, target_step=1)
    assert "a move that was not signed" in refused(elsewhere)


def test_every_applied_verb_is_checked() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.ask(Verb.SET_RELEASE, release_document("bot", "2", "sha256:" + "e" * 64))
    desk.ask(Verb.SET_POLICY, canonical_bytes(desk.state.policy.model_copy(update={"name": "other"})).decode())
    desk.ask(Verb.SET_ROSTER, desk.state.roster.model_copy(update={"version": 2}).canonical_bytes.decode())
    desk.move(Verb.HALT, Stage.HALTED, signers=("carol",))
    desk.ask(Verb.ACK_ALERT, desk.state.alerts[-1].id, "alice")
    desk.move(Verb.RESET, Stage.MOCK, signers=("bob",))
    desk.walk_to(Stage.TESTNET_VALIDATING)
    desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",))
    verbs = [event.verb for event in desk.events(e.CommandAccepted)]
    assert len(verbs) == len(set(verbs)) + 2 == 10
    assert audited(desk.journal)["accepted"] == len(verbs)


def test_a_restart_does_not_change_the_audit() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.boot()
    desk.run(5000)
    assert audited(desk.journal)["accepted"] == 2


@pytest.fixture(scope="module")
def overseen() -> Desk:
    """A key issued and revoked, an alert acknowledged, a withdrawal accepted, a halt practised."""
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    differ(desk, VenueName.LIVE)
    desk.give(AlertNoticed(AlertKind.VENUE_LOCKOUT, "locked out", "HTTP 418"))
    for verb, subject in (
        (Verb.ISSUE_BOT_KEY, key_document("new-bot", "newbotkey", "sha256:" + "7" * 64)),
        (Verb.REVOKE_BOT_KEY, BOT_KEYS["demo-bot"]),
        (Verb.ACK_ALERT, desk.state.alerts[0].id),
        (Verb.REBASELINE, shown(desk, VenueName.LIVE)),
        (Verb.DRILL, HALT_DRILL),
    ):
        assert desk.ask(verb, subject, "alice").code == ""
    assert desk.state.drill is not None
    desk.give(DrillMeasured(desk.state.drill.command_id, 1, 2, 0, verified_empty=True))
    return desk


def test_bot_keys_acknowledgements_and_drills_are_checked_too(overseen: Desk) -> None:
    assert audited(overseen.journal)["accepted"] == len(overseen.events(e.CommandAccepted))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (e.BotKeyIssued, {"key": "otherbotkey"}),
        (e.BotKeyIssued, {"secret_digest": "sha256:" + "8" * 64}),
        (e.BotKeyIssued, {"command_id": ""}),
        (e.BotKeyRevoked, {"key": "otherbotkey"}),
        (e.AlertAcknowledged, {"alert_id": "A-1"}),
        (e.DrillStarted, {"command_id": ""}),
        (e.Rebaselined, {"reading": {"USDT": D("79")}}),
        (e.Rebaselined, {"books": {"USDT": D("99")}}),
        (e.Rebaselined, {"venue": VenueName.TESTNET}),
        (e.Rebaselined, {"command_id": ""}),
    ],
)
def test_an_event_without_a_signed_command_is_found(overseen: Desk, kind: type[e.Event], changes: dict[str, Any]) -> None:
    assert "was signed for" in refused(changed(overseen, kind, **changes))
