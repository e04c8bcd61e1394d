"""Solo mode: a command that adds risk waits, can be vetoed by any key, and is judged again when its time has come."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused
from policies.authority import Verb
from policies.stage import Mode, Stage
from tests.support.desk import Desk, with_policy
from tests.support.folding import fold

LIVE = (Verb.ADVANCE, Position(Stage.LIVE_EUR10))
HOUR = 3_600_000


def solo() -> Desk:
    return Desk(with_policy(mode=Mode.SOLO))


@pytest.fixture(scope="module")
def validated() -> Desk:
    desk = solo().walk_to(Stage.VALIDATED)
    desk.trade(2)
    desk.run(40_000)
    return desk


@pytest.fixture
def waiting(validated: Desk) -> Desk:
    """An advance to real money waits."""
    desk = validated.fork()
    assert desk.move(*LIVE[:1], LIVE[1].stage, signers=("alice",)).code == ""
    return desk


def cooling_off(desk: Desk) -> int:
    return desk.policy.authority.cooling_off_ms


def pending_id(desk: Desk) -> str:
    assert desk.state.pending is not None
    return desk.state.pending.command_id


def voided(desk: Desk) -> e.CommandVoided:
    event = desk.events(e.CommandVoided)[-1]
    assert isinstance(event, e.CommandVoided)
    return event


def test_a_command_that_adds_risk_waits_and_moves_nothing(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(*LIVE)
    reply = desk.submit(command, "alice")
    assert (reply.code, reply.applies_at) == ("", desk.now + cooling_off(desk))
    assert json.loads(reply.result)["verdict"] == "PASS"
    (event,) = desk.decisions[-1].events
    assert isinstance(event, e.CommandPending)
    assert (event.command_id, event.persons, event.reason) == (command.command_id, ("alice",), "because")
    assert desk.state.position.stage is Stage.VALIDATED
    assert desk.state.governance_seq == validated.state.governance_seq


def test_a_waiting_command_is_applied_on_the_first_tick_after_its_time(waiting: Desk) -> None:
    waiting.run(cooling_off(waiting) - 1000)
    assert waiting.state.position == Position(Stage.VALIDATED)
    waiting.run(1000)
    assert waiting.state.position == Position(Stage.LIVE_EUR10)
    assert waiting.state.pending is None
    accepted = waiting.events(e.CommandAccepted)[-1]
    assert isinstance(accepted, e.CommandAccepted)
    assert accepted.persons == ("alice",)
    assert json.loads(accepted.result)["verdict"] == "PASS"


def test_a_command_that_adds_no_risk_does_not_wait() -> None:
    desk = solo().walk_to(Stage.TESTNET_VALIDATING)
    assert not desk.events(e.CommandPending)
    assert desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",)).applies_at is None
    assert desk.state.position.stage is Stage.MOCK


def test_a_resume_waits_too(validated: Desk) -> None:
    desk = validated.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    assert desk.move(Verb.RESUME, Stage.VALIDATED, signers=("alice",)).applies_at is not None
    desk.run(cooling_off(desk))
    assert desk.state.position.stage is Stage.VALIDATED


# Withdrawing it


@pytest.mark.parametrize("who", ["alice", "bob", "carol"])
def test_any_key_can_veto_a_waiting_command(waiting: Desk, who: str) -> None:
    command_id = pending_id(waiting)
    assert waiting.ask(Verb.VETO, command_id, who).code == ""
    assert waiting.state.pending is None
    assert (voided(waiting).command_id, voided(waiting).cause) == (command_id, "veto")
    waiting.run(2 * cooling_off(waiting))
    assert waiting.state.position.stage is Stage.VALIDATED


def test_a_vetoed_command_cannot_be_submitted_again(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(*LIVE)
    desk.submit(command, "alice")
    desk.ask(Verb.VETO, command.command_id, "carol")
    assert desk.submit(command, "alice").code == "command-voided"
    assert desk.state.pending is None


def _halt(desk: Desk) -> None:
    desk.give(i.HaltAsked("test", "stop"))


def _breach(desk: Desk) -> None:
    desk.price = desk.price * 2
    desk.fill(desk.placed(desk.order("0.00003")), "0.00003")
    desk.run(1_000)
    desk.price = desk.price / 8
    desk.run(1_000)


def _demote(desk: Desk) -> None:
    assert desk.move(Verb.DEMOTE, Stage.MOCK, signers=("alice",)).code == ""


def _new_release(desk: Desk) -> None:
    desk.release = replace(desk.release, version="2", digest="sha256:" + "e" * 64)
    desk.boot()


@pytest.mark.parametrize(
    ("happens", "cause"),
    [(_halt, "halt"), (_breach, "breach"), (_demote, "demote"), (_new_release, "changed-deployment")],
)
def test_a_halt_a_move_and_a_change_withdraw_a_waiting_command(waiting: Desk, happens: Callable[[Desk], None], cause: str) -> None:
    command_id = pending_id(waiting)
    happens(waiting)
    assert waiting.state.pending is None
    assert (voided(waiting).command_id, voided(waiting).cause) == (command_id, cause)
    waiting.run(2 * cooling_off(waiting))
    assert not [one for one in waiting.events(e.CommandAccepted) if one.command_id == command_id]  # type: ignore[attr-defined]


def test_a_halt_withdraws_a_resume_that_waits(validated: Desk) -> None:
    desk = validated.fork()
    _halt(desk)
    desk.run(10_000)
    desk.move(Verb.RESUME, Stage.VALIDATED, signers=("alice",))
    _halt(desk)
    assert voided(desk).cause == "halt"
    desk.run(2 * cooling_off(desk))
    assert desk.state.position.stage is Stage.HALTED


def test_commands_signed_before_a_command_waits_stay_valid(validated: Desk) -> None:
    desk = validated.fork()
    halt = desk.command(Verb.HALT, Position(Stage.HALTED))
    desk.move(*LIVE[:1], LIVE[1].stage, signers=("alice",))
    assert desk.submit(halt, "carol").code == ""


@pytest.mark.parametrize(("subject", "code"), [("0" * 32, "other-pending")])
def test_a_veto_of_something_else_is_refused_before_it_is_signed(waiting: Desk, subject: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        waiting.ask(Verb.VETO, subject, "carol")
    assert refusal.value.code == code


def test_a_veto_of_nothing_is_refused(validated: Desk) -> None:
    desk = validated.fork()
    with pytest.raises(Refused) as refusal:
        desk.ask(Verb.VETO, "0" * 32, "carol")
    assert refusal.value.code == "nothing-pending"


def test_a_veto_that_comes_too_late_is_refused(waiting: Desk) -> None:
    veto = waiting.command(Verb.VETO, waiting.state.position, subject=pending_id(waiting))
    waiting.run(cooling_off(waiting))
    assert waiting.submit(veto, "carol").code == "other-stage"


# One at a time


def test_a_second_command_cannot_wait_at_the_same_time(waiting: Desk) -> None:
    command_id = pending_id(waiting)
    assert waiting.move(*LIVE[:1], LIVE[1].stage, signers=("bob",)).code == "another-waits"
    assert pending_id(waiting) == command_id


def test_submitting_a_waiting_command_again_changes_nothing(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(*LIVE)
    applies_at = desk.submit(command, "alice").applies_at
    desk.run(2_000)
    assert desk.submit(command, "alice").code == "command-waiting"
    assert desk.state.pending is not None
    assert desk.state.pending.applies_at == applies_at


def test_a_command_that_would_expire_while_it_waits_is_refused_at_once(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(*LIVE, expires_ms=desk.now + cooling_off(desk))
    assert desk.submit(command, "alice").code == "expires-first"


# Judged again


def test_a_waiting_command_is_refused_when_its_gate_fails(waiting: Desk) -> None:
    command_id = pending_id(waiting)
    waiting.run(cooling_off(waiting) - 1000)
    tally = waiting.state.tally
    assert tally is not None
    waiting.state = replace(waiting.state, tally=tally.with_reconciliation(1))
    waiting.run(1000)
    refused = waiting.events(e.CommandRefused)[-1]
    assert isinstance(refused, e.CommandRefused)
    assert (refused.command_id, refused.code, refused.persons) == (command_id, "gate-not-passed", ("alice",))
    assert json.loads(refused.result)["verdict"] == "FAIL"
    assert (waiting.state.pending, voided(waiting).cause) == (None, "refused")
    assert waiting.state.position.stage is Stage.VALIDATED


def test_a_waiting_command_is_refused_when_its_evidence_expires(validated: Desk) -> None:
    desk = validated.fork()
    command = desk.command(*LIVE, expires_ms=desk.now + HOUR)
    desk.run(desk.policy.evidence.ttl_ms - 5_000)
    assert desk.submit(command, "alice").code == ""
    desk.run(cooling_off(desk))
    refused = desk.events(e.CommandRefused)[-1]
    assert isinstance(refused, e.CommandRefused)
    assert json.loads(refused.result)["verdict"] == "STALE"
    assert desk.state.position.stage is Stage.VALIDATED


def test_a_waiting_command_expires_during_a_long_downtime(waiting: Desk) -> None:
    waiting.give(replace(waiting.boot_input(), epoch=waiting.epoch + 1))
    waiting.pass_time(HOUR)
    waiting.sweep_all()
    waiting.tick()
    refused = waiting.events(e.CommandRefused)[-1]
    assert isinstance(refused, e.CommandRefused)
    assert refused.code == "expired"


def test_a_restart_keeps_the_waiting_command_and_its_start(waiting: Desk) -> None:
    before = waiting.state.pending
    waiting.boot()
    assert waiting.state.pending == before
    waiting.sweep_all()
    waiting.run(cooling_off(waiting))
    assert waiting.state.position.stage is Stage.LIVE_EUR10
    assert fold(State(), waiting.journal).fingerprint() == waiting.state.fingerprint()


def test_in_team_mode_no_command_waits() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    assert not desk.events(e.CommandPending)
