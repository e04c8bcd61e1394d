"""Real money in production needs a checkpoint target outside the folder: no move goes there, and no start stays there, without."""

from dataclasses import replace

import pytest

from controller.core.causes import Cause, HaltClass
from controller.core.decisions import boot as decisions
from controller.core.decisions import commands, witnessed
from controller.core.decisions.draft import Draft
from controller.core.effects import Latch
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused
from policies.authority import Verb
from policies.stage import Environment, Stage
from policies.values import replace as folded
from tests.support.desk import Desk

LIVE, RAMPING, VALIDATED = Position(Stage.LIVE_EUR10), Position(Stage.RAMPING, 1), Position(Stage.VALIDATED)


def state(environment: Environment = Environment.PRODUCTION, *witnesses: str, at: Position = VALIDATED) -> State:
    return folded(State(), environment=environment, witnesses=witnesses, position=at)


@pytest.mark.parametrize("target", [LIVE, RAMPING])
def test_real_money_is_refused_without_a_target_and_says_which_is_easiest(target: Position) -> None:
    with pytest.raises(Refused) as refused:
        witnessed.check(state(), target)
    assert refused.value.code == "no-checkpoint-target"
    assert str(target) in refused.value.message
    assert "`witnesses`" in refused.value.remedy


@pytest.mark.parametrize(
    ("before", "target"),
    [(state(Environment.PRODUCTION, "git backup"), LIVE), (state(Environment.REHEARSAL), LIVE), (state(), VALIDATED)],
)
def test_a_target_a_rehearsal_and_no_real_money_are_not_refused(before: State, target: Position) -> None:
    witnessed.check(before, target)


def test_every_way_up_to_real_money_asks() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.run(3_000)
    assert commands.refusal_now(desk.state, desk.policy, Verb.ADVANCE, LIVE, desk.seen(), desk.now) is None
    production = folded(desk.state, environment=Environment.PRODUCTION)
    refusal = commands.refusal_now(production, desk.policy, Verb.ADVANCE, LIVE, desk.seen(), desk.now)
    assert refusal is not None
    assert refusal.code == "no-checkpoint-target"


def started(position: Position, *witnesses: str) -> Draft:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    draft = Draft(folded(desk.state, environment=Environment.PRODUCTION, position=position, witnesses=witnesses), desk.now)
    witnessed.halt_without(draft)
    return draft


def test_a_start_with_real_money_and_without_a_target_halts() -> None:
    draft = started(LIVE)
    assert draft.after.position.stage is Stage.HALTED
    assert HaltClass.of(draft.after.halt_cause or Cause.HALT) is HaltClass.INTEGRITY
    assert any(isinstance(effect, Latch) for effect in draft.done().effects)


def test_a_start_with_a_target_or_without_real_money_goes_on() -> None:
    assert started(LIVE, "git backup").after.position == LIVE
    assert started(VALIDATED).after.position == VALIDATED


def test_a_start_remembers_the_targets_that_it_found() -> None:
    desk = Desk()
    boot = replace(desk.boot_input(), epoch=1, witnesses=("git backup", "directory /mnt/nas"))
    assert decisions.boot(desk.state, boot, desk.now).after.witnesses == ("git backup", "directory /mnt/nas")
    desk.give(boot)
    assert decisions.boot(desk.state, replace(boot, epoch=2, witnesses=()), desk.now).after.witnesses == ()


def test_a_start_in_production_at_a_live_stage_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Draft] = []
    monkeypatch.setattr(witnessed, "halt_without", asked.append)
    Desk().boot()
    assert len(asked) == 1
