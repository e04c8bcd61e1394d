"""What was proven dies with time, with every move, and with what it was proven of: at every edge that a gate guards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause
from controller.core.decisions.governance import release_document
from controller.core.lifecycle import EDGES, Position
from gates.registry import GATES
from policies.authority import Verb, quorum
from policies.stage import Mode, Stage
from tests.support.desk import Desk, with_policy

MOCK, TESTNET, VALIDATED, LIVE, HALTED = map(
    Position, (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.HALTED)
)
FIRST, SECOND = Position(Stage.RAMPING, 1), Position(Stage.RAMPING, 2)
GUARDED = [
    (MOCK, Verb.ADVANCE, TESTNET),
    (TESTNET, Verb.ADVANCE, VALIDATED),
    (VALIDATED, Verb.ADVANCE, LIVE),
    (LIVE, Verb.RAMP, FIRST),
    (FIRST, Verb.RAMP, SECOND),
    (HALTED, Verb.RESUME, LIVE),
]
SLOW = [edge for edge in GUARDED if quorum(edge[1], edge[0].stage, Mode.SOLO).cooling_off]
HOUR = 3_600_000
each = pytest.mark.parametrize(("here", "verb", "target"), GUARDED, ids=lambda one: str(one).replace("€", "EUR"))
each_slow = pytest.mark.parametrize(("here", "verb", "target"), SLOW, ids=lambda one: str(one).replace("€", "EUR"))


@cache
def desk_at(mode: Mode, here: Position) -> Desk:
    desk = Desk(with_policy(mode=mode))
    walked = LIVE if here == HALTED else here
    desk.walk_to(walked.stage, walked.step)
    desk.trade(6)
    if here == HALTED:
        desk.give(i.HaltAsked("test", "stop"))
    desk.run(40_000)
    return desk


def last_refusal(desk: Desk) -> e.CommandRefused:
    event = desk.events(e.CommandRefused)[-1]
    assert isinstance(event, e.CommandRefused)
    return event


def withdrawn(desk: Desk) -> e.CommandVoided:
    event = desk.events(e.CommandVoided)[-1]
    assert isinstance(event, e.CommandVoided)
    return event


def test_every_edge_with_a_gate_is_tested() -> None:
    assert {(verb, here.stage) for here, verb, _ in GUARDED} == set(GATES)
    assert {edge.verb for edge in EDGES if (edge.verb, edge.source) in GATES} == {Verb.ADVANCE, Verb.RAMP, Verb.RESUME}


# Time


@each
def test_evidence_that_expires_before_submission_opens_no_gate(here: Position, verb: Verb, target: Position) -> None:
    desk = desk_at(Mode.TEAM, here).fork()
    command = desk.command(verb, target, expires_ms=desk.now + HOUR)
    desk.run(desk.policy.evidence.ttl_ms)
    reply = desk.submit(command, "alice", "bob")
    assert (reply.code, json.loads(reply.result)["verdict"]) == ("gate-not-passed", "STALE")
    assert desk.state.position == here


@each_slow
def test_evidence_that_expires_during_cooling_off_opens_no_gate(here: Position, verb: Verb, target: Position) -> None:
    desk = desk_at(Mode.SOLO, here).fork()
    command = desk.command(verb, target, expires_ms=desk.now + HOUR)
    desk.run(desk.policy.evidence.ttl_ms - 5_000)
    assert desk.submit(command, "alice").applies_at is not None
    desk.run(desk.policy.authority.cooling_off_ms)
    assert json.loads(last_refusal(desk).result)["verdict"] == "STALE"
    assert withdrawn(desk).cause is Cause.REFUSED
    assert desk.state.position == here


@each
def test_evidence_in_its_last_millisecond_opens_its_gate(here: Position, verb: Verb, target: Position) -> None:
    desk = desk_at(Mode.TEAM, here).fork()
    command = desk.command(verb, target, expires_ms=desk.now + HOUR)
    desk.run(desk.policy.evidence.ttl_ms - 2_000)
    assert desk.submit(command, "alice", "bob").code == ""
    assert desk.state.position == target


# Moves


@each
def test_every_move_removes_earlier_seals(here: Position, verb: Verb, target: Position) -> None:
    desk = desk_at(Mode.TEAM, here).fork()
    unused = desk.command(verb, target)
    assert desk.submit(desk.command(verb, target), "alice", "bob").code == ""
    assert dict(desk.state.seals) == {}
    assert desk.submit(unused, "alice", "bob").code == "other-stage"


@pytest.mark.parametrize(("here", "verb", "target"), GUARDED[:-1], ids=lambda one: str(one).replace("€", "EUR"))
def test_a_halt_removes_earlier_seals(here: Position, verb: Verb, target: Position) -> None:
    desk = desk_at(Mode.TEAM, here).fork()
    sealed = desk.command(verb, target)
    desk.give(i.HaltAsked("test", "stop"))
    assert dict(desk.state.seals) == {}
    assert desk.submit(sealed, "alice", "bob").code == "other-stage"


def test_evidence_from_before_a_halt_opens_no_gate_after_it() -> None:
    desk = desk_at(Mode.TEAM, LIVE).fork()
    old = desk.command(Verb.RAMP, FIRST)
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(10_000)
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""
    desk.trade(6)
    desk.run(40_000)
    ramp = desk.command(Verb.RAMP, FIRST, evidence_digest=old.evidence_digest)
    reply = desk.submit(ramp, "alice", "bob")
    assert reply.code == "gate-not-passed"
    assert "was not sealed for gate ramp-step since the last move" in reply.message


def test_evidence_of_a_resume_opens_no_second_resume() -> None:
    desk = desk_at(Mode.TEAM, HALTED).fork()
    first, second = desk.command(Verb.RESUME, LIVE), desk.command(Verb.RESUME, LIVE)
    assert desk.submit(first, "alice", "bob").code == ""
    desk.give(i.HaltAsked("test", "stop again"))
    desk.run(10_000)
    resume = desk.command(Verb.RESUME, LIVE, evidence_digest=second.evidence_digest)
    assert desk.submit(resume, "alice", "bob").code == "gate-not-passed"


# What it was proven of, while a command waits


def _release_file(desk: Desk) -> None:
    desk.release = replace(desk.release, version="2", digest="sha256:" + "e" * 64)
    desk.boot()


def _policy_file(desk: Desk) -> None:
    desk.policy = with_policy(mode=Mode.SOLO, evidence={"ttl_ms": 500_000})
    desk.boot()


def _gatehouse(desk: Desk) -> None:
    desk.version = "0.2.0"
    desk.boot()


def _account(desk: Desk) -> None:
    desk.accounts = {**desk.accounts, next(iter(desk.accounts)): "sha256:" + "7" * 64}
    desk.boot()


def _revocation(desk: Desk) -> None:
    roster = desk.state.roster
    assert roster is not None
    assert desk.ask(Verb.REVOKE, roster.persons[2].keys[0].id, "bob").code == ""


def _signed_release(desk: Desk) -> None:
    assert desk.ask(Verb.SET_RELEASE, release_document("bot", "3", "sha256:" + "3" * 64), "bob").code == ""


@pytest.mark.parametrize("change", [_release_file, _policy_file, _gatehouse, _account, _revocation])
@each_slow
def test_a_change_withdraws_a_command_signed_under_the_old_state(
    here: Position, verb: Verb, target: Position, change: Callable[[Desk], None]
) -> None:
    desk = desk_at(Mode.SOLO, here).fork()
    assert desk.submit(desk.command(verb, target), "alice").applies_at is not None
    waiting = desk.state.pending
    assert waiting is not None
    change(desk)
    assert desk.state.pending is None
    assert withdrawn(desk).command_id == waiting.command_id
    desk.run(2 * desk.policy.authority.cooling_off_ms)
    assert desk.state.position != target
    assert waiting.command_id not in {one.command_id for one in desk.events(e.CommandAccepted)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("here", [VALIDATED, HALTED], ids=str)
def test_a_release_signed_while_a_command_waits_withdraws_it(here: Position) -> None:
    desk = desk_at(Mode.SOLO, here).fork()
    verb, target = (Verb.ADVANCE, LIVE) if here == VALIDATED else (Verb.RESUME, VALIDATED)
    assert desk.submit(desk.command(verb, target), "alice").applies_at is not None
    _signed_release(desk)
    assert desk.state.pending is None
    assert withdrawn(desk).cause is Cause.SET_RELEASE
