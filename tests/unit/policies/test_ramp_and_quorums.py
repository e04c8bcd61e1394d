"""The ramp goes one existing step at a time, and each verb has its quorum."""

from __future__ import annotations

import pytest

from policies.authority import Role, Verb, quorum
from policies.ramp import cap_of_step, next_step, step_count, symbols_at
from policies.stage import Mode, Stage
from tests.unit.policies.policy_kit import REHEARSAL, changed

TWO_SYMBOLS = changed(REHEARSAL, "symbols", ["BTCUSDT", "ETHUSDT"])


def test_the_ramp_has_the_steps_of_the_policy() -> None:
    assert step_count(REHEARSAL) == 2
    assert [cap_of_step(REHEARSAL, step) for step in (-1, 0, 1, 2, 3)] == [None, None, 15, 25, None]


@pytest.mark.parametrize(
    ("stage", "step", "following"),
    [
        (Stage.LIVE_EUR10, 0, 1),
        (Stage.RAMPING, 1, 2),
        (Stage.RAMPING, 2, None),
        (Stage.RAMPING, 7, None),
        (Stage.RAMPING, 0, None),
        (Stage.VALIDATED, 0, None),
        (Stage.HALTED, 0, None),
        (Stage.MOCK, 0, None),
    ],
)
def test_the_next_step_is_the_one_above_if_it_exists(stage: Stage, step: int, following: int | None) -> None:
    assert next_step(REHEARSAL, stage, step) == following


def test_a_policy_without_steps_never_ramps() -> None:
    assert next_step(changed(REHEARSAL, "ramp.steps", []), Stage.LIVE_EUR10, 0) is None


def test_live_eur10_has_one_symbol_and_halted_none() -> None:
    assert symbols_at(TWO_SYMBOLS, Stage.LIVE_EUR10) == ("BTCUSDT",)
    assert symbols_at(TWO_SYMBOLS, Stage.RAMPING) == ("BTCUSDT", "ETHUSDT")
    assert symbols_at(TWO_SYMBOLS, Stage.HALTED) == ()


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("mode", Mode)
def test_halting_never_needs_more_than_one_person_of_any_signing_role(stage: Stage, mode: Mode) -> None:
    needed = quorum(Verb.HALT, stage, mode)
    assert needed.persons == 1
    assert Role.HALT_ONLY in needed.roles
    assert not needed.cooling_off


@pytest.mark.parametrize(
    ("verb", "stage"),
    [
        (Verb.ADVANCE, Stage.VALIDATED),
        (Verb.RAMP, Stage.LIVE_EUR10),
        (Verb.RAMP, Stage.RAMPING),
        (Verb.RESUME, Stage.HALTED),
    ],
)
def test_reaching_more_money_needs_two_persons_or_a_cooling_off(verb: Verb, stage: Stage) -> None:
    assert quorum(verb, stage, Mode.TEAM).persons == 2
    assert quorum(verb, stage, Mode.SOLO).cooling_off


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("mode", Mode)
def test_an_observer_never_counts(verb: Verb, stage: Stage, mode: Mode) -> None:
    assert Role.OBSERVER not in quorum(verb, stage, mode).roles
