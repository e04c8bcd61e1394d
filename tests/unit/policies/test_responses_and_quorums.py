"""The tables of responses, quorums and touches, entry by entry, and the windows around breaches."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.model import Millis
from policies.authority import SIGNERS, Role, Verb, quorum, signers_needed
from policies.guards import GuardName, Level
from policies.presence import touches_needed
from policies.response import (
    BREACH_CALM_MS,
    BREACH_WINDOW_MAX_MS,
    DAY_MS,
    RESPONSES,
    Response,
    demotion_target,
    in_same_breach_window,
    passes_when,
    response_to,
)
from policies.rules import Op
from policies.stage import WITHOUT_REAL_MONEY, Environment, Mode, Stage

AT = 1_800_000_000_000


@pytest.mark.parametrize(
    ("stage", "mild", "soft", "hard"),
    [
        (Stage.MOCK, Response.RESTRAIN, Response.CANCEL, Response.HALT),
        (Stage.TESTNET_VALIDATING, Response.RESTRAIN, Response.CANCEL, Response.HALT),
        (Stage.VALIDATED, Response.RESTRAIN, Response.STEP_DOWN, Response.HALT_AND_VOID),
        (Stage.LIVE_EUR10, Response.RESTRAIN, Response.LEAVE_EMPTY, Response.HALT),
        (Stage.RAMPING, Response.RESTRAIN, Response.STEP_DOWN, Response.HALT),
        (Stage.HALTED, Response.RECORD, Response.BAR, Response.BAR),
    ],
)
def test_each_stage_answers_each_level(stage: Stage, mild: Response, soft: Response, hard: Response) -> None:
    assert [RESPONSES[stage][level] for level in Level] == [mild, mild, soft, hard, hard]


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("unseen", [True, False])
def test_only_blindness_without_real_money_cancels_and_moves_nowhere(stage: Stage, level: Level, unseen: bool) -> None:
    pauses = (unseen, level) == (True, Level.CANCEL_ALL) and stage in WITHOUT_REAL_MONEY
    assert response_to(stage, level, unseen=unseen) is (Response.CANCEL if pauses else RESPONSES[stage][level])


@pytest.mark.parametrize(
    ("here", "again", "there"),
    [
        ((Stage.RAMPING, 3), False, (Stage.RAMPING, 2)),
        ((Stage.RAMPING, 2), False, (Stage.RAMPING, 1)),
        ((Stage.RAMPING, 1), False, (Stage.LIVE_EUR10, 0)),
        ((Stage.RAMPING, 3), True, (Stage.LIVE_EUR10, 0)),
        ((Stage.LIVE_EUR10, 0), False, (Stage.VALIDATED, 0)),
        ((Stage.VALIDATED, 0), True, (Stage.TESTNET_VALIDATING, 0)),
        ((Stage.TESTNET_VALIDATING, 0), False, (Stage.MOCK, 0)),
        ((Stage.MOCK, 0), False, (Stage.MOCK, 0)),
    ],
)
def test_a_demotion_goes_one_down(here: tuple[Stage, int], *, again: bool, there: tuple[Stage, int]) -> None:
    assert demotion_target(*here, again=again) == there


def window(age: int, calm: int | None) -> bool:
    return in_same_breach_window(Millis(AT - age), None if calm is None else Millis(AT - calm), Millis(AT))


def test_a_breach_window_closes_when_it_is_old() -> None:
    assert [window(age, None) for age in (0, BREACH_WINDOW_MAX_MS - 1, BREACH_WINDOW_MAX_MS)] == [True, True, False]


def test_a_breach_window_closes_when_it_was_calm_for_long() -> None:
    assert [window(BREACH_CALM_MS, calm) for calm in (0, BREACH_CALM_MS - 1, BREACH_CALM_MS)] == [True, True, False]


def test_the_daily_loss_passes_at_the_next_midnight() -> None:
    assert "2027-01-16 00:00 UTC" in passes_when(GuardName.DAILY_LOSS, Millis(AT))
    midnight = Millis(AT // DAY_MS * DAY_MS)
    assert "2027-01-16 00:00 UTC" in passes_when(GuardName.DAILY_LOSS, midnight)
    assert "2027-01-15 00:00 UTC" in passes_when(GuardName.DAILY_LOSS, Millis(midnight - 1))


@pytest.mark.parametrize("guard", GuardName)
def test_every_guard_says_when_it_passes(guard: GuardName) -> None:
    assert passes_when(guard, Millis(AT)).startswith("It passes ")


# Signatures

ANYONE = {Verb.HALT, Verb.VETO, Verb.REVOKE_BOT_KEY, Verb.ACK_ALERT}
ONE = {Verb.DEMOTE, Verb.RESET, Verb.REVOKE, Verb.SET_RELEASE, Verb.DRILL, Verb.FLATTEN, Verb.REBASELINE, Verb.ARCHIVE}
BY_MODE = {Verb.RAMP, Verb.RESUME, Verb.SET_ROSTER, Verb.SET_POLICY, Verb.SET_RATE}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("verb", sorted(Verb))
def test_each_verb_needs_its_persons(verb: Verb, mode: Mode, stage: Stage) -> None:
    risky = verb in BY_MODE or (verb is Verb.ADVANCE and stage is Stage.VALIDATED)
    risky = risky or (verb is Verb.ISSUE_BOT_KEY and stage in {Stage.LIVE_EUR10, Stage.RAMPING})
    found = quorum(verb, stage, mode)
    assert found.persons == (2 if risky and mode is Mode.TEAM else 1)
    assert found.cooling_off is (risky and mode is Mode.SOLO)
    assert found.roles == (SIGNERS | {Role.HALT_ONLY} if verb in ANYONE else SIGNERS)


def test_a_team_needs_two_persons_and_a_solo_operator_is_one() -> None:
    assert (signers_needed(Mode.TEAM), signers_needed(Mode.SOLO)) == (2, 1)


TOUCHED = {Verb.ADVANCE, Verb.RAMP, Verb.RESUME, Verb.ISSUE_BOT_KEY}


@pytest.mark.parametrize("target", Stage)
@pytest.mark.parametrize("verb", sorted(Verb))
def test_real_money_needs_a_touch_of_a_team_in_production(verb: Verb, target: Stage) -> None:
    needed = verb in TOUCHED and target in {Stage.LIVE_EUR10, Stage.RAMPING}
    assert touches_needed(verb, target, Mode.TEAM, Environment.PRODUCTION) == int(needed)


@pytest.mark.parametrize(
    ("mode", "environment"),
    [(Mode.SOLO, Environment.PRODUCTION), (Mode.TEAM, Environment.REHEARSAL), (Mode.SOLO, Environment.REHEARSAL)],
)
def test_no_touch_is_needed_elsewhere(mode: Mode, environment: Environment) -> None:
    assert touches_needed(Verb.ADVANCE, Stage.LIVE_EUR10, mode, environment) == 0


# Small terms


@pytest.mark.parametrize(
    ("op", "below", "equal", "above"),
    [
        (Op.AT_LEAST, False, True, True),
        (Op.AT_MOST, True, True, False),
        (Op.EQUAL, False, True, False),
        (Op.BELOW, True, False, False),
        (Op.ABOVE, False, False, True),
    ],
)
def test_a_comparison_holds(op: Op, *, below: bool, equal: bool, above: bool) -> None:
    assert [op.holds(Decimal(value), Decimal(5)) for value in (4, 5, 6)] == [below, equal, above]


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_is_read_by_its_name(stage: Stage) -> None:
    assert Stage.parse(stage.value) is stage


def test_a_stage_is_read_without_its_euro_sign() -> None:
    assert Stage.parse("LIVE_EUR10") is Stage.LIVE_EUR10


def test_a_stage_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="LIVE_EUR11"):
        Stage.parse("LIVE_EUR11")
