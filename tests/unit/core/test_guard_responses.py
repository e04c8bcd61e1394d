"""The response to every guard level at every stage, the first time and while it lasts, compared with the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import RULES, Cause, HaltClass
from controller.core.decisions import guards as guarding
from controller.core.effects import Alert, AlertKind, CancelAll, Latch
from controller.core.lifecycle import Position
from controller.core.state import State
from policies.authority import Verb
from policies.guards import Breach, GuardName, Level
from policies.response import BREACH_CALM_MS, BREACH_WINDOW_MAX_MS, DEMOTION_MEMORY_MS, RESPONSES, Response, demotion_target
from policies.stage import LIVE_STAGES, RISK_ORDER, Stage
from tests.support.desk import D, Desk, with_policy
from tests.support.folding import fold

MOCK, TESTNET, VALIDATED, LIVE, HALTED = map(
    Position, (Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.HALTED)
)
FIRST, SECOND, THIRD = (Position(Stage.RAMPING, step) for step in (1, 2, 3))
PLACES = (MOCK, TESTNET, VALIDATED, LIVE, FIRST, SECOND, THIRD, HALTED)
SOFT_LEADS = {MOCK: MOCK, TESTNET: TESTNET, VALIDATED: TESTNET, LIVE: VALIDATED, FIRST: LIVE, SECOND: FIRST, THIRD: SECOND}
"""Where a soft breach leads from everywhere."""

Say = Callable[[Level | None], None]


def leads(here: Position, level: Level | None) -> Position:
    if here == HALTED or level is None or level < Level.CANCEL_ALL:
        return here
    return SOFT_LEADS[here] if level is Level.CANCEL_ALL else HALTED


@cache
def desk_at(here: Position) -> Desk:
    policy = with_policy(ramp={"steps": (D(15), D(20), D(25))})
    walked = LIVE if here == HALTED else here
    desk = Desk(policy).walk_to(walked.stage, walked.step)
    if here == HALTED:
        desk.give(i.HaltAsked("test", "stop"))
    desk.run(3_000)
    return desk


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Makes the guards report one level."""

    def speak(level: Level | None) -> None:
        found = () if level is None else (Breach(GuardName.QUOTE_STALE, level, "1", "0", "it is broken"),)
        monkeypatch.setattr(guarding, "breached_guards", lambda *_: found)

    speak(None)
    return speak


def again(desk: Desk, ms: int = 1_000) -> None:
    """One more look, some time later."""
    desk.pass_time(ms)
    desk.sweep_all()
    desk.tick()


def demotions(desk: Desk) -> list[e.StageChanged]:
    return [
        event for event in desk.events(e.StageChanged) if isinstance(event, e.StageChanged) and event.cause is Cause.SOFT_BREACH
    ]


# The table


@pytest.mark.parametrize(("here", "level"), list(product(PLACES, Level)), ids=lambda one: getattr(one, "name", str(one)))
def test_every_level_at_every_stage_has_its_response_once(here: Position, level: Level, say: Say) -> None:
    desk = desk_at(here).fork()
    say(level)
    again(desk)
    assert desk.state.position == leads(here, level)
    for _ in range(5):
        again(desk)
    assert desk.state.position == leads(here, level)
    assert desk.state.guard_level == level.name or desk.state.position == HALTED
    assert fold(State(), desk.journal).fingerprint() == desk.state.fingerprint()


@pytest.mark.parametrize(("here", "level"), list(product(PLACES, Level)), ids=lambda one: getattr(one, "name", str(one)))
def test_only_breaches_with_a_response_are_journalled_as_breaches(here: Position, level: Level, say: Say) -> None:
    desk = desk_at(here).fork()
    before = len(desk.events(e.BreachDetected))
    say(level)
    again(desk)
    assert len(desk.events(e.BreachDetected)) - before == (desk.state.position != here)


@pytest.mark.parametrize("level", [Level.CANCEL_ALL, Level.FLATTEN, Level.HALT])
@pytest.mark.parametrize("here", PLACES[:-1], ids=str)
def test_from_cancel_all_on_the_orders_of_the_venue_are_cancelled(here: Position, level: Level, say: Say) -> None:
    desk = desk_at(here).fork()
    venue = desk.state.venue
    say(level)
    again(desk)
    effects = desk.decisions[-1].effects
    assert venue in {effect.venue for effect in effects if isinstance(effect, CancelAll)}
    assert isinstance(effects[0], Latch) == (level > Level.CANCEL_ALL)


def test_the_table_names_every_stage_and_every_level() -> None:
    assert set(RESPONSES) == set(Stage)
    assert all(set(row) == set(Level) for row in RESPONSES.values())


def test_responses_and_halt_rules_agree_on_voiding() -> None:
    assert {stage for stage, row in RESPONSES.items() if Response.HALT_AND_VOID in row.values()} == {Stage.VALIDATED}
    assert {kind for kind, rule in RULES.items() if rule.voids} == {HaltClass.BREACH, HaltClass.CLOCK, HaltClass.INTEGRITY}


@pytest.mark.parametrize("again_", [False, True])
@pytest.mark.parametrize(("stage", "step"), [*((stage, 0) for stage in RISK_ORDER[:-1]), *((Stage.RAMPING, n) for n in (1, 2, 9))])
def test_a_demotion_target_is_never_higher(stage: Stage, step: int, again_: bool) -> None:
    target = Position(*demotion_target(stage, step, again=again_))
    assert target.risk < Position(stage, step).risk or stage is Stage.MOCK


# Breach windows


def test_one_breach_demotes_once_however_long_it_lasts(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    for _ in range(BREACH_WINDOW_MAX_MS // 60_000 - 1):
        again(desk, 60_000)
    assert [event.step for event in demotions(desk)] == [2]


def test_a_breach_longer_than_its_window_demotes_again(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    again(desk, BREACH_WINDOW_MAX_MS - 1)
    assert len(demotions(desk)) == 1
    again(desk, 1)
    assert len(demotions(desk)) == 2


@pytest.mark.parametrize(("quiet_ms", "count"), [(BREACH_CALM_MS - 1, 1), (BREACH_CALM_MS, 2)])
def test_a_breach_after_the_calm_period_demotes_again(quiet_ms: int, count: int, say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    again(desk)
    say(None)
    again(desk)
    say(Level.CANCEL_ALL)
    again(desk, quiet_ms)
    assert len(demotions(desk)) == count


def test_a_level_below_cancel_all_counts_as_calm(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    again(desk)
    say(Level.REDUCE)
    again(desk)
    say(Level.CANCEL_ALL)
    again(desk, BREACH_CALM_MS)
    assert len(demotions(desk)) == 2


def test_a_flapping_guard_stays_in_one_breach_window(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    for _ in range(8):
        say(Level.CANCEL_ALL)
        again(desk)
        say(None)
        again(desk, BREACH_CALM_MS // 2)
    assert len(demotions(desk)) == 1


def test_the_second_demotion_within_seven_days_ends_the_ramp(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    for wait in (0, DEMOTION_MEMORY_MS - BREACH_WINDOW_MAX_MS):
        say(None)
        again(desk, wait + BREACH_CALM_MS)
        say(Level.CANCEL_ALL)
        again(desk)
    assert [Position(event.stage, event.step) for event in demotions(desk)] == [SECOND, LIVE]


def test_after_seven_days_a_demotion_is_one_step_again(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    for wait in (0, DEMOTION_MEMORY_MS):
        say(None)
        again(desk, wait + BREACH_CALM_MS)
        say(Level.CANCEL_ALL)
        again(desk)
    assert [Position(event.stage, event.step) for event in demotions(desk)] == [SECOND, FIRST]


@pytest.mark.parametrize("calm", [False, True])
def test_a_restart_neither_closes_nor_opens_a_breach_window(calm: bool, say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    if calm:
        say(None)
        again(desk)
    desk.pass_time(BREACH_CALM_MS)
    desk.boot()
    say(Level.CANCEL_ALL)
    again(desk)
    assert len(demotions(desk)) == 1
    assert fold(State(), desk.journal) == desk.state


def test_the_deployment_stays_down_after_the_guards_clear(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    say(None)
    for _ in range(30):
        again(desk, 60_000)
    assert desk.state.position == SECOND


def test_a_signed_ramp_step_closes_the_breach_window(say: Say) -> None:
    desk = desk_at(SECOND).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    say(None)
    desk.trade(6)
    desk.run(20_000)
    assert desk.move(Verb.RAMP, Stage.RAMPING, 2).code == ""
    again(desk)
    say(Level.CANCEL_ALL)
    again(desk)
    assert len(demotions(desk)) == 2


def test_a_signed_demotion_keeps_the_breach_window_open(say: Say) -> None:
    desk = desk_at(THIRD).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    assert desk.move(Verb.DEMOTE, Stage.RAMPING, 1, signers=("alice",)).code == ""
    for _ in range(5):
        again(desk)
    assert desk.state.position == FIRST
    assert len(demotions(desk)) == 1


def test_an_automatic_demotion_sends_an_alert(say: Say) -> None:
    desk = desk_at(SECOND).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    alerts = [effect for effect in desk.decisions[-1].effects if isinstance(effect, Alert)]
    assert [alert.kind for alert in alerts] == [AlertKind.BREACH, AlertKind.STEP_DOWN]
    assert alerts[0].title == "quote-stale breached: RAMPING step 2 → RAMPING step 1"


def test_a_soft_breach_at_validated_needs_a_new_validation_run(say: Say) -> None:
    desk = desk_at(VALIDATED).fork()
    up = desk.command(Verb.ADVANCE, LIVE)
    say(Level.CANCEL_ALL)
    again(desk)
    assert desk.state.position == TESTNET
    assert dict(desk.state.seals) == {}
    assert desk.state.tally is not None
    assert (desk.state.tally.orders, desk.state.tally.covered_ms) == (0, 0)
    assert desk.submit(up, "alice", "bob").code == "other-stage"
    assert desk.move(Verb.ADVANCE, Stage.VALIDATED).code == "gate-not-passed"


@pytest.mark.parametrize("here", [place for place in PLACES if place.stage in LIVE_STAGES], ids=str)
def test_a_soft_breach_at_a_live_stage_never_halts(here: Position, say: Say) -> None:
    desk = desk_at(here).fork()
    say(Level.CANCEL_ALL)
    again(desk)
    assert desk.state.position != HALTED
