"""Every stage, verb and target: what is declared moves, everything else is refused with a remedy."""

from itertools import product

import pytest

from controller.core.lifecycle import EDGES, Edge, Halt, Position, move
from exchange.errors import Refused
from policies.authority import Verb
from policies.stage import LIVE_STAGES, RISK_ORDER, Stage

STEPS = 3
DECLARED = {(edge.source, edge.verb, edge.target) for edge in EDGES}
TRIPLES = list(product(Stage, Verb, Stage))


def positions(stage: Stage, step: int = 2) -> Position:
    return Position(stage, step if stage is Stage.RAMPING else 0)


def aim(source: Stage, verb: Verb, target: Stage) -> Position:
    """A target whose step breaks no guard, where there is one."""
    if target is not Stage.RAMPING:
        return Position(target)
    if verb is Verb.RAMP:
        return Position(target, positions(source).step + 1)
    return Position(target, 1)


@pytest.mark.parametrize(("source", "verb", "target"), [triple for triple in TRIPLES if triple in DECLARED])
def test_a_declared_edge_moves(source: Stage, verb: Verb, target: Stage) -> None:
    wanted = aim(source, verb, target)
    assert move(positions(source), verb, wanted, halt=Halt(positions(Stage.RAMPING)), steps=STEPS) == wanted


@pytest.mark.parametrize(("source", "verb", "target"), [triple for triple in TRIPLES if triple not in DECLARED])
def test_an_undeclared_triple_is_refused_with_a_remedy(source: Stage, verb: Verb, target: Stage) -> None:
    with pytest.raises(Refused) as refusal:
        move(positions(source), verb, aim(source, verb, target), halt=Halt(positions(Stage.RAMPING)), steps=STEPS)
    assert refusal.value.code in {"no-such-edge", "edge-guard"}
    assert refusal.value.remedy.endswith(".")


def test_a_refusal_names_the_possible_targets() -> None:
    with pytest.raises(Refused, match="does not lead") as refusal:
        move(Position(Stage.MOCK), Verb.ADVANCE, Position(Stage.LIVE_EUR10))
    assert refusal.value.remedy == "From MOCK, advance leads to TESTNET_VALIDATING."


def test_no_edge_up_skips_a_stage() -> None:
    rising = [edge for edge in EDGES if edge.verb in {Verb.ADVANCE, Verb.RAMP}]
    assert all(0 <= RISK_ORDER.index(edge.target) - RISK_ORDER.index(edge.source) <= 1 for edge in rising)


def test_every_move_up_to_a_live_stage_needs_two_persons() -> None:
    into_live = {edge.verb for edge in EDGES if edge.target in LIVE_STAGES and edge.source not in LIVE_STAGES}
    assert into_live == {Verb.ADVANCE, Verb.RESUME}


def test_every_stage_but_halted_can_be_halted() -> None:
    assert {edge.source for edge in EDGES if edge.target is Stage.HALTED} == set(Stage) - {Stage.HALTED}


def test_no_edge_is_declared_twice() -> None:
    assert len(set(EDGES)) == len(EDGES)


@pytest.mark.parametrize("step", [1, 2, 4, 5])
def test_the_ramp_goes_one_step_at_a_time(step: int) -> None:
    with pytest.raises(Refused, match="one step at a time"):
        move(Position(Stage.RAMPING, 2), Verb.RAMP, Position(Stage.RAMPING, step), steps=9)


def test_the_ramp_begins_with_its_first_step() -> None:
    assert move(Position(Stage.LIVE_EUR10), Verb.RAMP, Position(Stage.RAMPING, 1), steps=1) == Position(Stage.RAMPING, 1)
    with pytest.raises(Refused):
        move(Position(Stage.LIVE_EUR10), Verb.RAMP, Position(Stage.RAMPING, 2), steps=9)


def test_the_ramp_ends_at_the_last_step_of_the_policy() -> None:
    with pytest.raises(Refused, match="2 ramp steps"):
        move(Position(Stage.RAMPING, 2), Verb.RAMP, Position(Stage.RAMPING, 3), steps=2)


@pytest.mark.parametrize("step", [2, 3])
def test_a_demotion_within_the_ramp_only_goes_down(step: int) -> None:
    with pytest.raises(Refused, match="must lead to a lower"):
        move(Position(Stage.RAMPING, 2), Verb.DEMOTE, Position(Stage.RAMPING, step), steps=STEPS)


def test_a_demotion_never_goes_up() -> None:
    pairs = [(low, high) for i, low in enumerate(RISK_ORDER) for high in RISK_ORDER[i + 1 :]]
    for low, high in pairs:
        with pytest.raises(Refused):
            move(positions(low), Verb.DEMOTE, positions(high), steps=STEPS)


@pytest.mark.parametrize("target", [Stage.VALIDATED, Stage.LIVE_EUR10])
@pytest.mark.parametrize("halted_from", RISK_ORDER)
def test_a_resume_never_goes_above_the_stage_before_the_halt(target: Stage, halted_from: Stage) -> None:
    below = RISK_ORDER.index(target) <= RISK_ORDER.index(halted_from)
    if below:
        assert move(Position(Stage.HALTED), Verb.RESUME, Position(target), halt=Halt(positions(halted_from))) == Position(target)
        return
    with pytest.raises(Refused, match="must not go above"):
        move(Position(Stage.HALTED), Verb.RESUME, Position(target), halt=Halt(positions(halted_from)))


def test_a_resume_from_an_unknown_stage_is_refused() -> None:
    with pytest.raises(Refused, match="unknown"):
        move(Position(Stage.HALTED), Verb.RESUME, Position(Stage.VALIDATED))


def test_a_resume_never_leads_into_the_ramp() -> None:
    for step in range(1, STEPS + 1):
        with pytest.raises(Refused):
            move(
                Position(Stage.HALTED),
                Verb.RESUME,
                Position(Stage.RAMPING, step),
                halt=Halt(Position(Stage.RAMPING, 3)),
                steps=STEPS,
            )


@pytest.mark.parametrize("target", [Position(Stage.MOCK, 1), Position(Stage.RAMPING, 0), Position(Stage.HALTED, 2)])
def test_only_ramping_has_a_step(target: Position) -> None:
    with pytest.raises(Refused, match="not a position"):
        move(Position(Stage.RAMPING, 2), Verb.DEMOTE, target, steps=STEPS)


def test_positions_sort_by_the_money_at_risk() -> None:
    ladder = [
        Position(Stage.HALTED),
        *(Position(stage) for stage in RISK_ORDER[:-1]),
        *(Position(Stage.RAMPING, k) for k in (1, 2, 3)),
    ]
    assert sorted(set(ladder), key=lambda place: place.risk) == ladder


def test_an_edge_is_named_by_its_verb_and_target() -> None:
    assert Edge(Stage.VALIDATED, Verb.ADVANCE, Stage.LIVE_EUR10).trigger == "advance_LIVE_EUR10"


def test_a_position_is_written_as_people_say_it() -> None:
    assert [str(Position(Stage.LIVE_EUR10)), str(Position(Stage.RAMPING, 2))] == ["LIVE_€10", "RAMPING step 2"]
