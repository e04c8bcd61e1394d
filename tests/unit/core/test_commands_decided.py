"""Operators' commands: every binding, the quorum, the edge, the limits granted and the gate."""

import json
from dataclasses import replace

import pytest

from controller.authority.command import Command
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import CommandReply, SealReply
from controller.core.effects import Cancel, CancelAll, Latch
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused
from exchange.ports import VenueName
from gates.verdict import Verdict
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk

UP = (Verb.ADVANCE, Position(Stage.TESTNET_VALIDATING))
BOTH = ("alice", "bob")
HOUR = 3_600_000
OTHER = "sha256:" + "9" * 64


@pytest.fixture(scope="module")
def earned() -> Desk:
    """MOCK, with everything its gate asks for."""
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    return desk


@pytest.fixture(scope="module")
def validated() -> Desk:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.trade(2)
    desk.run(40_000)
    return desk


@pytest.fixture(scope="module")
def live() -> Desk:
    return Desk().walk_to(Stage.LIVE_EUR10)


def apart_from_the_record(state: State) -> State:
    return replace(state, seq=0, at=0, commands=State().commands)  # type: ignore[arg-type]


def assert_refused(desk: Desk, before: State, reply: CommandReply, code: str, exit_code: int) -> None:
    assert (reply.code, reply.exit_code) == (code, exit_code), reply
    assert reply.remedy
    assert [type(event) for event in desk.decisions[-1].events] == [e.CommandRefused]
    assert desk.decisions[-1].effects == ()
    assert apart_from_the_record(desk.state) == apart_from_the_record(before)
    record = desk.journal[-1][0]
    assert isinstance(record, e.CommandRefused)
    assert (record.code, record.message, record.exit_code) == (code, reply.message, exit_code)


def test_a_valid_command_is_applied_and_journalled_with_evidence(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP)
    reply = desk.submit(command, *BOTH)
    assert (reply.code, reply.exit_code) == ("", 0)
    accepted = desk.events(e.CommandAccepted)[-1]
    assert isinstance(accepted, e.CommandAccepted)
    assert accepted.persons == ("alice", "bob")
    assert json.loads(accepted.result)["verdict"] == Verdict.PASS.value
    assert accepted.evidence_digest == command.evidence_digest
    assert json.loads(accepted.envelope)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING


BINDINGS = [
    ("other-controller", {"controller_id": "another-desk"}),
    ("other-environment", {"environment": "production"}),
    ("other-account", {"account_fingerprint": OTHER}),
    ("other-policy", {"policy_digest": OTHER}),
    ("other-release", {"release_digest": OTHER}),
    ("other-roster", {"roster_digest": OTHER}),
    ("other-stage", {"expected_stage": "VALIDATED"}),
    ("other-stage", {"expected_step": 1}),
    ("other-limits", {"cap_eur": "11"}),
    ("other-limits", {"cap_eur": "10.0"}),
    ("other-limits", {"symbols": ("ETHUSDT",)}),
    ("other-limits", {"symbols": ()}),
    ("other-limits", {"symbols": ("BTCUSDT", "ETHUSDT")}),
    ("stale-head", {"journal_seq": 1}),
]


@pytest.mark.parametrize(("code", "change"), BINDINGS)
def test_a_command_with_a_wrong_field_changes_nothing(earned: Desk, code: str, change: dict[str, object]) -> None:
    desk = earned.fork()
    proposed = desk.command(*UP)
    command = Command.model_validate_json(json.dumps({**proposed.model_dump(mode="json"), **change}))
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *BOTH), code, 4)


TIMES = [
    ("not-yet-valid", 1, HOUR),
    ("expired", -HOUR, 0),
    ("bad-lifetime", 0, 24 * HOUR + 1),
    ("bad-lifetime", 0, 0),
    ("bad-lifetime", HOUR, -HOUR),
]


@pytest.mark.parametrize(("code", "start", "end"), TIMES)
def test_a_command_outside_its_validity_changes_nothing(earned: Desk, code: str, start: int, end: int) -> None:
    desk = earned.fork()
    command = desk.command(*UP, not_before_ms=desk.now + start, expires_ms=desk.now + end)
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *BOTH), code, 4)


def test_a_command_is_valid_up_to_its_last_millisecond(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP)
    desk.pass_time(command.expires_ms - desk.now - 1)
    desk.sweep_all()
    assert desk.submit(command, *BOTH).code == ""


def test_a_command_for_an_unknown_entry_changes_nothing(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP)
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *BOTH, anchored=False), "unknown-head", 4)


def test_a_command_signed_before_the_last_move_is_stale(earned: Desk) -> None:
    desk = earned.fork()
    up = desk.command(*UP)
    assert desk.move(Verb.ADVANCE, Stage.TESTNET_VALIDATING).code == ""
    assert desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",)).code == ""
    before = desk.state
    assert_refused(desk, before, desk.submit(up, *BOTH), "stale-head", 4)


def test_an_accepted_command_cannot_be_replayed(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP)
    assert desk.submit(command, *BOTH).code == ""
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *BOTH), "command-replayed", 4)


def test_a_refused_command_may_be_submitted_again_with_more_signatures(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10))
    assert desk.submit(command, "alice").code == "under-quorum"
    assert desk.submit(command, "alice", "bob").code == ""


# Quorum


@pytest.mark.parametrize("signers", [("alice",), ("bob",), ("carol",), ("alice", "carol")])
def test_one_person_cannot_reach_live_money(validated: Desk, signers: tuple[str, ...]) -> None:
    desk = validated.fork()
    command = desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10))
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *signers), "under-quorum", 4)


def test_one_person_with_two_signatures_is_one_person(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10))
    verified = desk.verified(command, "alice")
    (first,) = verified.signatories
    twice = replace(verified, signatories=(first, replace(first, key_id="another", fingerprint="sha256:other")))
    before = desk.state
    reply = desk.give(i.CommandSubmitted(twice, anchored=True, seen=desk.seen())).reply
    assert isinstance(reply, CommandReply)
    assert_refused(desk, before, reply, "under-quorum", 4)


def test_two_persons_with_one_key_count_for_neither(validated: Desk) -> None:
    desk = validated.fork()
    verified = desk.verified(desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10)), "alice")
    (first,) = verified.signatories
    shared = replace(verified, signatories=(first, replace(first, person="bob")))
    reply = desk.give(i.CommandSubmitted(shared, anchored=True, seen=desk.seen())).reply
    assert isinstance(reply, CommandReply)
    assert reply.code == "under-quorum"


def test_anyone_may_halt_with_one_signature(live: Desk) -> None:
    desk = live.fork()
    assert desk.move(Verb.HALT, Stage.HALTED, signers=("carol",)).code == ""
    kinds = [type(effect) for effect in desk.decisions[-1].effects]
    assert kinds[0] is Latch
    assert CancelAll in kinds


# Edge and gate


def test_a_command_along_an_undeclared_edge_is_refused(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP)
    skipping = command.model_copy(update={"target_stage": Stage.LIVE_EUR10})
    before = desk.state
    assert_refused(desk, before, desk.submit(skipping, *BOTH), "no-such-edge", 3)


def test_a_proposal_for_an_undeclared_move_seals_nothing(earned: Desk) -> None:
    desk = earned.fork()
    with pytest.raises(Refused):
        desk.give(i.ProposalAsked(Verb.ADVANCE, Position(Stage.LIVE_EUR10)))


def test_a_gate_that_does_not_pass_refuses_with_its_whole_result() -> None:
    desk = Desk().arm()
    command = desk.command(*UP)
    before = desk.state
    reply = desk.submit(command, *BOTH)
    assert_refused(desk, before, reply, "gate-not-passed", 3)
    rules = {rule["rule"]: rule["verdict"] for rule in json.loads(reply.result)["rules"]}
    assert rules["orders"] == Verdict.INCONCLUSIVE.value
    record = desk.journal[-1][0]
    assert isinstance(record, e.CommandRefused)
    assert record.result == reply.result


@pytest.mark.parametrize("digest", ["", OTHER])
def test_unsealed_evidence_opens_no_gate(earned: Desk, digest: str) -> None:
    desk = earned.fork()
    command = desk.command(*UP, evidence_digest=digest)
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *BOTH), "gate-not-passed", 3)


def test_evidence_of_another_gate_opens_nothing(validated: Desk) -> None:
    desk = validated.fork()
    digest = desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10)).evidence_digest
    foreign = replace(desk.state.seals[digest], gate="validation")
    desk.state = replace(desk.state, seals=desk.state.seals.set(digest, foreign))
    command = desk.command(Verb.ADVANCE, Position(Stage.LIVE_EUR10), evidence_digest=OTHER)
    desk.state = replace(desk.state, seals=desk.state.seals.set(OTHER, foreign))
    assert desk.submit(command, *BOTH).code == "gate-not-passed"


def test_evidence_that_expired_since_it_was_sealed_opens_nothing(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP, expires_ms=desk.now + HOUR)
    desk.run(desk.policy.evidence.ttl_ms)
    reply = desk.submit(command, *BOTH)
    assert (reply.code, json.loads(reply.result)["verdict"]) == ("gate-not-passed", Verdict.STALE.value)


def test_evidence_that_passed_when_sealed_must_still_pass_now(earned: Desk) -> None:
    desk = earned.fork()
    command = desk.command(*UP)
    tally = desk.state.tally
    assert tally is not None
    desk.state = replace(desk.state, tally=tally.with_reconciliation(1))
    reply = desk.submit(command, *BOTH)
    assert (reply.code, json.loads(reply.result)["verdict"]) == ("gate-not-passed", Verdict.FAIL.value)


def test_a_move_removes_every_seal(earned: Desk) -> None:
    desk = earned.fork()
    desk.move(*UP[:1], UP[1].stage)
    assert dict(desk.state.seals) == {}


def test_a_proposal_without_a_gate_seals_nothing(live: Desk) -> None:
    desk = live.fork()
    decision = desk.give(i.ProposalAsked(Verb.DEMOTE, Position(Stage.MOCK)))
    assert (decision.reply, decision.events) == (SealReply("", ""), ())


def test_an_invalid_envelope_is_journalled_and_changes_nothing(earned: Desk) -> None:
    desk = earned.fork()
    before = desk.state
    reply = desk.give(i.SubmissionInvalid("x" * 9_000, "bad-signature", "no", "Sign it.", 4)).reply
    assert isinstance(reply, CommandReply)
    assert_refused(desk, before, reply, "bad-signature", 4)
    record = desk.journal[-1][0]
    assert isinstance(record, e.CommandRefused)
    assert len(record.envelope) == 4096


# Down and back


def test_a_resume_needs_a_post_mortem(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    command = desk.command(Verb.RESUME, Position(Stage.LIVE_EUR10), postmortem_digest="")
    before = desk.state
    assert_refused(desk, before, desk.submit(command, *BOTH), "no-postmortem", 3)


def test_a_resume_measures_the_drawdown_from_a_new_peak(live: Desk) -> None:
    desk = live.fork()
    desk.run(2_000)
    peak = desk.state.ledger(VenueName.LIVE).peak_eur
    assert peak is not None
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    assert desk.state.ledger(VenueName.LIVE).peak_eur is None
    desk.run(2_000)
    assert desk.state.ledger(VenueName.LIVE).peak_eur is not None
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_a_reset_needs_one_signature_and_no_gate(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    assert desk.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == ""
    assert desk.state.position == Position(Stage.MOCK)


def test_a_demotion_cancels_the_orders_on_the_venue_it_leaves(live: Desk) -> None:
    desk = live.fork()
    desk.tick()
    desk.placed(desk.order("0.00003"))
    assert desk.move(Verb.DEMOTE, Stage.VALIDATED, signers=("alice",)).code == ""
    left = [effect.venue for effect in desk.decisions[-1].effects if isinstance(effect, CancelAll)]
    assert left == [VenueName.LIVE]


def test_a_lower_ramp_step_cancels_every_order() -> None:
    desk = Desk().walk_to(Stage.RAMPING, 1)
    desk.run(2_000)
    client_id = desk.placed(desk.order("0.00003"))
    assert desk.move(Verb.DEMOTE, Stage.LIVE_EUR10, signers=("alice",)).code == ""
    assert Cancel(VenueName.LIVE, "BTCUSDT", client_id) in desk.decisions[-1].effects


def test_a_halt_when_halted_does_nothing(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    before = desk.state
    again = desk.give(i.HaltAsked("test", "again"))
    assert (again.events, again.effects, desk.state) == ((), (), before)
