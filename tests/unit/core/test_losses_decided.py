"""A loss leaves only sells before it halts, and what a halting guard does with the holding is the policy's choice."""

from __future__ import annotations

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.causes import Cause
from controller.core.decisions.draft import Admitted
from controller.core.effects import CancelAll, Latch
from exchange.model import Side
from exchange.ports import VenueName
from policies.guards import GuardName
from policies.limit_types import Deny
from policies.schema import Policy
from policies.stage import Stage
from tests.support.desk import D, Desk, demo_policy, with_policy
from tests.support.flattening import hold, play


def selling(**on_breach: str) -> Policy:
    guards = demo_policy().guards.model_dump()
    return with_policy(guards={**guards, "on_breach": on_breach})


@pytest.fixture(scope="module")
def trading() -> Desk:
    """LIVE_€10 with 0.00008 BTC bought at 60 000 USDT: 4.8 USDT."""
    desk = hold(Desk().walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.run(3_000)
    return desk


@pytest.fixture
def desk(trading: Desk) -> Desk:
    return trading.fork()


def lose(desk: Desk, eur: str) -> None:
    """Move the price so far that this much of the day's start is lost, and let a second pass."""
    rate = D("1.09")
    desk.price = D("60000") - (D(eur) * rate / D("0.00008")).quantize(D(1)) - D("1.5")
    desk.run(1_000)


def replies(desk: Desk) -> tuple[str, str]:
    """What becomes of a buy and of a sell now: the rule that denies it, or nothing."""
    found = []
    for side in (Side.BUY, Side.SELL):
        reply = desk.fork().order("0.00004", side=side).reply
        assert isinstance(reply, Deny | Admitted)
        found.append(reply.rule if isinstance(reply, Deny) else "")
    return found[0], found[1]


# The soft level. The limit of the day is 0.40 EUR: only sells from 0.24, all again below 0.16.


def test_a_loss_of_a_part_of_the_limit_leaves_only_sells(desk: Desk) -> None:
    assert replies(desk) == ("", "")
    lose(desk, "0.25")
    assert (desk.state.guard_level, desk.state.guard, replies(desk)) == ("REDUCE", GuardName.DAILY_LOSS, ("guard", ""))
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_it_ends_by_itself_once_the_loss_is_below_the_lower_fraction(desk: Desk) -> None:
    lose(desk, "0.25")
    lose(desk, "0.20")
    assert replies(desk) == ("guard", "")
    lose(desk, "0.10")
    assert (replies(desk), desk.state.guard_level, desk.state.reducing) == (("", ""), "", ())


def test_a_loss_that_never_reached_the_upper_fraction_restricts_nothing(desk: Desk) -> None:
    lose(desk, "0.20")
    assert replies(desk) == ("", "")


def test_a_restart_does_not_forget_it(desk: Desk) -> None:
    lose(desk, "0.25")
    desk.boot()
    lose(desk, "0.20")
    assert (desk.state.armed, replies(desk)) == (True, ("guard", ""))


def test_a_worse_guard_in_between_does_not_forget_it(desk: Desk) -> None:
    lose(desk, "0.25")
    lose(desk, "0.20")
    desk.pass_time(6_000)
    desk.tick(age_ms=3_000)
    desk.sweep_all()
    desk.tick()
    assert (desk.state.reducing, replies(desk)) == ((GuardName.DAILY_LOSS,), ("guard", ""))


def test_only_its_beginning_and_its_end_are_journalled(desk: Desk) -> None:
    before = len(desk.events(e.GuardLevelChanged))
    lose(desk, "0.25")
    began = desk.state.guard_since
    for _ in range(3):
        lose(desk, "0.26")
    assert desk.state.guard_since == began is not None
    lose(desk, "0.10")
    assert len(desk.events(e.GuardLevelChanged)) == before + 2


# The hard level


def test_the_limit_halts_and_holds_by_default(desk: Desk) -> None:
    lose(desk, "0.45")
    assert (desk.state.position.stage, desk.state.flatten, desk.state.halt_cause) == (Stage.HALTED, None, Cause.BREACH)


def test_the_limit_halts_and_then_sells_where_the_policy_says_so() -> None:
    desk = hold(Desk(selling(daily_loss="flatten")).walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.run(3_000)
    lose(desk, "0.45")
    decision = next(one for one in desk.decisions if any(isinstance(event, e.FlattenStarted) for event in one.events))
    kinds = [event.kind for event in decision.events]
    assert kinds.index("stage-changed") < kinds.index("flatten-started")
    assert isinstance(decision.effects[0], Latch)
    assert any(isinstance(effect, CancelAll) for effect in decision.effects)
    assert desk.state.flatten is not None
    assert (desk.state.flatten.guard, desk.state.flatten.command_id) == ("daily-loss", "")
    play(desk)
    assert desk.state.last_flatten is not None
    assert (desk.state.last_flatten.complete, desk.state.position.stage) == (True, Stage.HALTED)
    assert desk.state.ledger(VenueName.LIVE).bought["BTC"] == 0


def test_a_loss_on_what_the_account_held_before_is_not_ours() -> None:
    desk = Desk(selling(daily_loss="flatten"), btc="0.00008").walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    lose(desk, "0.45")
    assert (desk.state.position.stage, desk.state.guard_level, desk.state.flatten) == (Stage.LIVE_EUR10, "", None)


def test_a_guard_breached_while_halted_sells_nothing_by_itself() -> None:
    desk = hold(Desk(selling(daily_loss="flatten", drawdown="flatten")).walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.run(3_000)
    desk.give(i.HaltAsked("operator", "enough"))
    lose(desk, "0.45")
    assert (desk.state.guard_level, desk.state.flatten) == ("FLATTEN", None)


def test_a_guard_that_doubts_the_books_at_the_same_time_holds() -> None:
    """Old quotes halt; a day's loss found at the same moment does not sell into them."""
    desk = hold(Desk(selling(daily_loss="flatten")).walk_to(Stage.LIVE_EUR10), "0.00008")
    desk.run(3_000)
    desk.price = D("50000")
    desk.pass_time(1_000)
    desk.sweep_all()
    market = desk.market(age_ms=16_000)
    desk.give(i.Tick({VenueName.LIVE: market, VenueName.TESTNET: market}, dict.fromkeys(VenueName, 3), desk.heard()))
    assert (desk.state.position.stage, desk.state.flatten) == (Stage.HALTED, None)
