"""Hostile commands: each is refused for exactly one reason, and changes nothing but its record.

They go the whole way, from the envelope's text through the signatures to the decision. With the envelopes and signatures of
``tests/unit/authority`` these are the command vectors; the last test counts them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.authority.envelope import Envelope
from controller.authority.signing import sign_with_file_key
from controller.authority.verify import verify
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import CommandReply
from controller.core.decisions.governance import release_document
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import GatehouseError
from policies import canonical
from policies.authority import Verb
from policies.stage import Stage
from tests.support.counting import Counted
from tests.support.desk import Desk
from tests.unit.authority.test_hostile_envelopes import PAYLOADS, TEXT
from tests.unit.authority.test_hostile_signatures import RAW_VECTORS, SSH_VECTORS
from tests.unit.authority.test_hostile_tokens import TOKEN_VECTORS

UP = (Verb.ADVANCE, Position(Stage.LIVE_EUR10))
BOTH = ("alice", "bob")
HOUR = 3_600_000
OTHER = "sha256:" + "9" * 64


@pytest.fixture(scope="module")
def validated() -> Desk:
    """One step before real money, with all the evidence its gate needs."""
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.trade(2)
    desk.run(40_000)
    return desk


def signed(desk: Desk, payload: bytes, *signers: str) -> str:
    envelope = Envelope(payload)
    for name in signers:
        envelope = sign_with_file_key(envelope, desk.keys[name])
    return envelope.text


def altered(desk: Desk, *signers: str, ask: tuple[Verb, Position] = UP, **changes: Any) -> str:
    """A command that is right in everything but ``changes``, with good signatures over what it says now."""
    document = desk.command(*ask).model_dump(mode="json")
    return signed(desk, canonical.encode(document | changes), *(signers or BOTH))


def hand_in(desk: Desk, envelope: str, *, anchored: bool = True) -> CommandReply:
    """Submit an envelope as the operator API does."""
    assert desk.state.roster is not None
    try:
        input_: i.Input = i.CommandSubmitted(verify(envelope, desk.state.roster, desk.now), anchored=anchored, seen=desk.seen())
    except GatehouseError as error:
        input_ = i.SubmissionInvalid(envelope, error.code, error.message, error.remedy, error.exit_code)
    reply = desk.give(input_).reply
    assert isinstance(reply, CommandReply)
    return reply


def but_for_the_record(state: State) -> State:
    return replace(state, seq=0, at=0, commands=State().commands)  # type: ignore[arg-type]


BINDINGS: list[tuple[str, dict[str, Any], str]] = [
    ("signed for another controller", {"controller_id": "other"}, "other-controller"),
    ("signed for a controller whose name ours begins with", {"controller_id": "des"}, "other-controller"),
    ("signed for production", {"environment": "production"}, "other-environment"),
    ("signed for another exchange account", {"account_fingerprint": OTHER}, "other-account"),
    ("signed under another policy", {"policy_digest": OTHER}, "other-policy"),
    ("signed for another release", {"release_digest": OTHER}, "other-release"),
    ("signed under another roster", {"roster_digest": OTHER}, "other-roster"),
    ("signed when the deployment was at a lower stage", {"expected_stage": "TESTNET_VALIDATING"}, "other-stage"),
    ("signed when it was halted", {"expected_stage": "HALTED"}, "other-stage"),
    ("signed with a step where there is none", {"expected_step": 1}, "other-stage"),
    ("signed at the journal's first entry", {"journal_seq": 1}, "stale-head"),
    ("granting more money", {"cap_eur": "10.01"}, "other-limits"),
    ("granting the same money in other digits", {"cap_eur": "10.00"}, "other-limits"),
    ("granting less money than the stage means", {"cap_eur": "1"}, "other-limits"),
    ("granting no symbol", {"symbols": []}, "other-limits"),
    ("granting a symbol twice", {"symbols": ["BTCUSDT", "BTCUSDT"]}, "other-limits"),
    ("granting another symbol", {"symbols": ["ETHUSDT"]}, "other-limits"),
    ("skipping to the ramp", {"target_stage": "RAMPING", "target_step": 1}, "no-such-edge"),
    ("to the ramp without a step", {"target_stage": "RAMPING"}, "edge-guard"),
    ("with a step where there is none", {"target_step": 1}, "edge-guard"),
    ("advancing to the present stage", {"target_stage": "VALIDATED"}, "no-such-edge"),
    ("advancing down", {"target_stage": "MOCK"}, "no-such-edge"),
    ("advancing into HALTED", {"target_stage": "HALTED", "cap_eur": "0", "symbols": []}, "no-such-edge"),
    ("ramping from below real money", {"verb": "ramp", "target_stage": "RAMPING", "target_step": 1}, "no-such-edge"),
    ("resuming what is not halted", {"verb": "resume", "target_stage": "LIVE_€10"}, "edge-guard"),
    ("resetting what is not halted", {"verb": "reset", "target_stage": "MOCK"}, "no-such-edge"),
    ("demoting upwards", {"verb": "demote"}, "no-such-edge"),
    ("halting into another stage", {"verb": "halt"}, "no-such-edge"),
    ("without evidence", {"evidence_digest": ""}, "gate-not-passed"),
    ("with evidence that was not sealed", {"evidence_digest": OTHER}, "gate-not-passed"),
    ("a move with a subject", {"version": 2, "subject": "x"}, "malformed-command"),
    ("a move with an empty subject", {"subject": ""}, "malformed-command"),
    ("a veto without a subject", {"verb": "veto", "target_stage": "VALIDATED"}, "malformed-command"),
    ("a revocation in version 1", {"verb": "revoke", "subject": OTHER}, "malformed-command"),
    ("a veto of nothing", {"version": 2, "verb": "veto", "subject": "0" * 32, "target_stage": "VALIDATED"}, "nothing-pending"),
    ("a revocation of a stranger", {"version": 2, "verb": "revoke", "subject": OTHER, "target_stage": "VALIDATED"}, "no-such-key"),
    ("a revocation that moves up", {"version": 2, "verb": "revoke", "subject": OTHER}, "no-such-edge"),
    (
        "a roster that is none",
        {"version": 2, "verb": "set-roster", "subject": "{}", "target_stage": "VALIDATED"},
        "malformed-command",
    ),
    ("a policy that is none", {"version": 2, "verb": "set-policy", "subject": "{}", "target_stage": "MOCK"}, "policy-invalid"),
    (
        "a policy that keeps the stage",
        {"version": 2, "verb": "set-policy", "subject": "{}", "target_stage": "VALIDATED"},
        "no-such-edge",
    ),
    ("a release that is none", {"version": 2, "verb": "set-release", "subject": "[]", "target_stage": "MOCK"}, "release-malformed"),
    ("a subject that is invisible", {"version": 2, "verb": "revoke", "subject": "\u200b"}, "unreadable-text"),
    ("a subject as long as a book", {"version": 2, "verb": "revoke", "subject": "x" * 12_001}, "malformed-command"),
]

TIMES = [
    ("a command whose time has not come", 1, HOUR, "not-yet-valid"),
    ("a command that expired in this very millisecond", -HOUR, 0, "expired"),
    ("a command of last week", -7 * 24 * HOUR, -7 * 24 * HOUR + HOUR, "expired"),
    ("a command for next week", 7 * 24 * HOUR, 7 * 24 * HOUR + 1, "not-yet-valid"),
    ("a command valid for longer than a day", 0, 24 * HOUR + 1, "bad-lifetime"),
    ("a command that ends before it begins", HOUR, -HOUR, "bad-lifetime"),
    ("a command valid for no time", 0, 0, "bad-lifetime"),
]


def _by(*signers: str) -> Callable[[Desk], str]:
    return lambda desk: altered(desk, *signers)


def _replayed(desk: Desk) -> str:
    envelope = altered(desk, ask=(Verb.DEMOTE, Position(Stage.TESTNET_VALIDATING)))
    assert hand_in(desk, envelope).code == ""
    return envelope


def _replayed_with_more_signatures(desk: Desk) -> str:
    payload = canonical.encode(desk.command(Verb.HALT, Position(Stage.HALTED)).model_dump(mode="json"))
    assert hand_in(desk, signed(desk, payload, "alice")).code == ""
    return signed(desk, payload, "bob")


def _its_id_with_another_request(desk: Desk) -> str:
    first = desk.command(Verb.DEMOTE, Position(Stage.MOCK))
    assert desk.submit(first, *BOTH).code == ""
    return altered(desk, ask=(Verb.HALT, Position(Stage.HALTED)), command_id=first.command_id)


def _reordered(desk: Desk) -> str:
    first = altered(desk, ask=(Verb.DEMOTE, Position(Stage.TESTNET_VALIDATING)))
    second = altered(desk, ask=(Verb.DEMOTE, Position(Stage.MOCK)))
    assert hand_in(desk, second).code == ""
    return first


def _signed_before_it_fell_and_rose(desk: Desk) -> str:
    envelope = altered(desk)
    desk.move(Verb.DEMOTE, Stage.TESTNET_VALIDATING)
    desk.trade(6)
    desk.run(40_000)
    assert desk.move(Verb.ADVANCE, Stage.VALIDATED).code == ""
    return envelope


def _signed_before_a_release_that_came_back(desk: Desk) -> str:
    assert desk.state.release is not None
    old = desk.state.release
    envelope = altered(desk, ask=(Verb.HALT, Position(Stage.HALTED)))
    assert desk.ask(Verb.SET_RELEASE, release_document("other", "1", OTHER)).code == ""
    return envelope if old != desk.state.release else ""


def _revoked_between_signing_and_applying(desk: Desk) -> str:
    envelope = altered(desk)
    assert desk.state.roster is not None
    bob = desk.state.roster.persons[1].keys[0].id
    assert desk.ask(Verb.REVOKE, bob, "alice").code == ""
    return envelope


def _signatures_of_two_commands(desk: Desk) -> str:
    one, two = (json.loads(altered(desk, name)) for name in BOTH)
    return json.dumps(one | {"signatures": [*one["signatures"], *two["signatures"]]})


def _one_signature_under_two_names(desk: Desk) -> str:
    one = json.loads(altered(desk, "alice"))
    assert desk.state.roster is not None
    bob = desk.state.roster.persons[1].keys[0].id
    return json.dumps(one | {"signatures": [*one["signatures"], one["signatures"][0] | {"keyid": bob}]})


def _stale_evidence(desk: Desk) -> str:
    envelope = altered(desk, expires_ms=desk.now + HOUR)
    desk.run(desk.policy.evidence.ttl_ms)
    return envelope


def _lost_its_gate(desk: Desk) -> str:
    envelope = altered(desk)
    assert desk.state.tally is not None
    desk.state = replace(desk.state, tally=desk.state.tally.with_reconciliation(1))
    return envelope


def _roster_downgrade(desk: Desk) -> str:
    assert desk.state.roster is not None
    old = desk.state.roster
    assert desk.ask(Verb.REVOKE, old.persons[2].keys[0].id, "alice").code == ""
    subject = old.canonical_bytes.decode()
    here = Position(Stage.VALIDATED)
    document = desk.command(Verb.DEMOTE, Position(Stage.MOCK)).model_dump(mode="json")
    document |= {"version": 2, "verb": "set-roster", "subject": subject, "target_stage": here.stage.value}
    return signed(desk, canonical.encode(document), *BOTH)


SEQUENCES: list[tuple[str, Callable[[Desk], str], str]] = [
    ("no signature", lambda desk: signed(desk, canonical.encode(desk.command(*UP).model_dump(mode="json"))), "no-signatures"),
    ("one operator alone", _by("alice"), "under-quorum"),
    ("one approver alone", _by("bob"), "under-quorum"),
    ("a key that may only halt, alone", _by("carol"), "under-quorum"),
    ("an operator and a key that may only halt", _by("alice", "carol"), "under-quorum"),
    ("an applied command once more", _replayed, "command-replayed"),
    ("an applied command with another signature", _replayed_with_more_signatures, "command-replayed"),
    ("another request under a spent id", _its_id_with_another_request, "command-replayed"),
    ("two commands in the wrong order", _reordered, "other-stage"),
    ("a command from before the deployment fell and rose again", _signed_before_it_fell_and_rose, "stale-head"),
    ("a command from before another release", _signed_before_a_release_that_came_back, "other-release"),
    ("a key revoked between signing and applying", _revoked_between_signing_and_applying, "revoked-key"),
    ("signatures of two different commands put together", _signatures_of_two_commands, "bad-signature"),
    ("one signature listed under two keys", _one_signature_under_two_names, "bad-signature"),
    ("evidence that expired before it was applied", _stale_evidence, "gate-not-passed"),
    ("a gate that passed when it was signed and fails now", _lost_its_gate, "gate-not-passed"),
    ("the roster from before a revocation", _roster_downgrade, "roster-version"),
]


def assert_refused(desk: Desk, envelope: str, code: str, *, anchored: bool = True) -> None:
    before = desk.state
    reply = hand_in(desk, envelope, anchored=anchored)
    assert reply.code == code, reply
    assert reply.remedy
    (event,) = desk.decisions[-1].events
    assert isinstance(event, e.CommandRefused)
    assert (event.code, desk.decisions[-1].effects) == (code, ())
    assert but_for_the_record(desk.state) == but_for_the_record(before)


@pytest.mark.parametrize(("changes", "code"), [pytest.param(changes, code, id=name) for name, changes, code in BINDINGS])
def test_a_command_with_a_forged_field_changes_nothing(
    validated: Desk, changes: dict[str, Any], code: str, counted: Counted
) -> None:
    desk = validated.fork()
    assert_refused(desk, altered(desk, **changes), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("start", "end", "code"), [pytest.param(a, b, code, id=name) for name, a, b, code in TIMES])
def test_a_command_at_the_wrong_time_changes_nothing(validated: Desk, start: int, end: int, code: str, counted: Counted) -> None:
    desk = validated.fork()
    assert_refused(desk, altered(desk, not_before_ms=desk.now + start, expires_ms=desk.now + end), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("prepare", "code"), [pytest.param(prepare, code, id=name) for name, prepare, code in SEQUENCES])
def test_a_command_in_the_wrong_situation_changes_nothing(
    validated: Desk, prepare: Callable[[Desk], str], code: str, counted: Counted
) -> None:
    desk = validated.fork()
    assert_refused(desk, prepare(desk), code)
    counted("attack vectors", kind=code)


def test_a_command_of_a_forked_journal_changes_nothing(validated: Desk, counted: Counted) -> None:
    desk = validated.fork()
    assert_refused(desk, altered(desk), "unknown-head", anchored=False)
    counted("attack vectors", kind="unknown-head")


def test_the_unchanged_command_is_accepted(validated: Desk) -> None:
    desk = validated.fork()
    assert hand_in(desk, altered(desk)).code == ""
    assert desk.state.position.stage is Stage.LIVE_EUR10


VECTORS = [*BINDINGS, *TIMES, *SEQUENCES]
ALL_VECTORS = len(VECTORS) + len(TEXT) + len(PAYLOADS) + len(RAW_VECTORS) + len(SSH_VECTORS) + len(TOKEN_VECTORS) + 1


@pytest.mark.parametrize("count", [pytest.param(ALL_VECTORS, id=f"{ALL_VECTORS} hostile commands")])
def test_every_attack_vector_is_counted(count: int) -> None:
    assert count >= 275
    names = [vector[0] for vector in VECTORS]
    assert len(set(names)) == len(names)
