"""The ways out of a halt: each that exists, what a command would be refused for now, and since when."""

from __future__ import annotations

import pytest

from controller.core import inputs as i
from controller.core.decisions.ways_out import WayOut, ways_out
from controller.core.lifecycle import Position
from exchange.ports import Rejected
from policies.authority import Verb
from policies.stage import Mode, Stage
from tests.support.desk import D, Desk, with_policy
from tests.support.flattening import flatten, hold, play

LIVE, VALIDATED, MOCK = Position(Stage.LIVE_EUR10), Position(Stage.VALIDATED), Position(Stage.MOCK)


@pytest.fixture(scope="module")
def trading() -> Desk:
    return hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00008")


@pytest.fixture
def desk(trading: Desk) -> Desk:
    """HALTED from LIVE_€10 a moment ago, with a holding."""
    desk = trading.fork()
    desk.give(i.HaltAsked("operator", "enough"))
    return desk


def ways(desk: Desk, *, quoted: bool = True) -> dict[tuple[Verb, Position], WayOut]:
    found = ways_out(desk.state, desk.seen(quoted=quoted), desk.now)
    return {(way.verb, way.target): way for way in found}


def test_there_is_no_way_out_where_nothing_is_halted(trading: Desk) -> None:
    assert ways(trading) == {}


def test_every_way_out_of_a_halt_at_live_is_named(desk: Desk) -> None:
    assert list(ways(desk)) == [
        (Verb.RESUME, LIVE),
        (Verb.RESUME, VALIDATED),
        (Verb.RESET, MOCK),
        (Verb.FLATTEN, desk.state.position),
    ]


def test_a_reset_is_open_since_the_halt_with_one_signature(desk: Desk) -> None:
    halted_at = desk.now
    desk.run(5_000)
    reset = ways(desk)[Verb.RESET, MOCK]
    assert (reset.refused, reset.since, reset.needed.persons) == ("", halted_at, 1)
    assert desk.move(Verb.RESET, Stage.MOCK, signers=("alice",)).code == ""


def test_a_resume_says_what_its_gate_lacks_and_opens_when_it_passes(desk: Desk) -> None:
    early = ways(desk)[Verb.RESUME, LIVE]
    assert "gate resume is" in early.refused
    assert early.remedy
    desk.run(5_000)
    later = ways(desk)[Verb.RESUME, LIVE]
    assert (later.refused, later.gate is not None) == ("", True)
    assert desk.move(Verb.RESUME, Stage.LIVE_EUR10).code == ""


def test_a_resume_says_which_guard_stands_and_since_when(desk: Desk) -> None:
    desk.run(5_000)
    desk.price = D("30000")
    desk.pass_time(1_000)
    desk.sweep_all()
    desk.tick()
    stood_since = desk.now
    desk.run(3_000)
    resume = ways(desk)[Verb.RESUME, LIVE]
    assert ("guard daily-loss is still breached" in resume.refused, resume.since) == (True, stood_since)


def test_a_void_validation_says_so_with_its_time_and_leaves_the_reset_open() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.run(3_000)
    for _ in range(20):
        desk.pass_time(100)
        desk.placed(desk.order("0.00002"), Rejected(30004, "no"))
    desk.tick()
    assert desk.state.position.stage is Stage.HALTED
    halted_at = desk.state.stage_since
    desk.run(5_000)
    found = ways(desk)
    resume = found[Verb.RESUME, VALIDATED]
    assert ("the validation is void" in resume.refused, resume.since) == (True, halted_at)
    assert (Verb.RESUME, LIVE) not in found
    assert found[Verb.RESET, MOCK].refused == ""


def test_a_resume_above_the_stage_before_is_refused_since_the_halt() -> None:
    desk = Desk().arm()
    desk.give(i.HaltAsked("operator", "enough"))
    resume = ways(desk)[Verb.RESUME, VALIDATED]
    assert ("must not go above" in resume.refused, resume.since) == (True, desk.now)


def test_a_flatten_is_open_and_says_what_it_would_wait_for(desk: Desk) -> None:
    open_ = ways(desk)[Verb.FLATTEN, desk.state.position]
    assert (open_.refused, open_.waits) == ("", "")
    assert "no quote" in ways(desk, quoted=False)[Verb.FLATTEN, desk.state.position].waits
    desk.price = D("6000")
    assert "less than the venue's minimum" in ways(desk)[Verb.FLATTEN, desk.state.position].waits


def test_a_flatten_under_way_holds_the_others_up_since_it_began(desk: Desk) -> None:
    desk.run(5_000)
    began = desk.now
    flatten(desk)
    desk.pass_time(500)
    found = ways(desk)
    for way in (found[Verb.RESUME, LIVE], found[Verb.FLATTEN, desk.state.position]):
        assert (way.refused, way.since) == ("a flatten is running", began)
    assert found[Verb.RESET, MOCK].refused == ""
    play(desk)
    sold = ways(desk)[Verb.FLATTEN, desk.state.position]
    assert "holds nothing that it bought" in sold.refused


def test_one_person_alone_waits_out_the_cooling_off_of_a_resume() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.give(i.HaltAsked("operator", "enough"))
    found = ways(desk)
    assert found[Verb.RESUME, VALIDATED].needed.cooling_off
    assert not found[Verb.RESET, MOCK].needed.cooling_off


def test_what_a_way_says_is_what_a_command_gets(desk: Desk) -> None:
    for _ in range(6):
        for (verb, target), way in ways(desk).items():
            if verb is Verb.RESUME:
                reply = desk.fork().move(verb, target.stage) if not way.refused else None
                assert reply is None or reply.code == ""
        desk.run(1_000)
