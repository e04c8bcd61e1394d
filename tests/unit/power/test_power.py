"""The short form of ``make power``: bots of known worth go through the real gate, and it promotes whom it should."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

import numpy as np
import pytest

from gates.verdict import Verdict
from ops.power import bots, judging, market
from ops.power.__main__ import BLEEDER, CLAIMED, COIN, GOOD, bounds
from ops.power.bots import Bot
from ops.power.judging import Tried

COINS, BLEEDERS, GOODS = 20, 6, 14
"""Forty runs. Of 20 coins, each promoted with 5 %, five or more are with a probability of 0.3 %; of 14 good bots, each vetoed with
10 %, five or more are with 0.9 %."""


@cache
def tried(bot: Bot, runs: int) -> tuple[Tried, ...]:
    policy = judging.policy_of_the_example()
    claim = judging.claim_of(bot, CLAIMED[bot.name])
    return tuple(judging.try_run(bot, seed, policy, claim) for seed in range(1, runs + 1))


def test_a_worthless_bot_is_hardly_ever_promoted() -> None:
    assert sum(one.promoted for one in tried(COIN, COINS)) < 5


def test_a_bot_that_bleeds_fees_is_never_promoted() -> None:
    assert not any(one.promoted for one in tried(BLEEDER, BLEEDERS))


def test_a_good_bot_is_hardly_ever_vetoed() -> None:
    found = tried(GOOD, GOODS)
    assert sum(bool(one.first.vetoes) for one in found) < 5
    assert sum(one.promoted for one in found) > GOODS - 5


def test_the_runs_of_the_worthless_bot_are_long_enough_to_be_judged() -> None:
    assert {one.first.verdict for one in tried(COIN, COINS)} == {Verdict.FAIL}
    assert min(one.first.round_trips for one in tried(COIN, COINS)) >= 50


def test_a_slow_bot_is_looked_at_later() -> None:
    # once an hour: six round trips a day, and the gate wants a hundred orders
    assert judging.days_until_enough(Bot("slow", 60)) == 10
    assert judging.days_until_enough(COIN) == 3


def test_a_seed_gives_the_same_run() -> None:
    assert bots.run(COIN, 0.5, 3) == bots.run(COIN, 0.5, 3)
    assert bots.run(COIN, 0.5, 3) != bots.run(COIN, 0.5, 4)


def test_the_path_has_the_volatility_and_the_tails_it_says() -> None:
    steps = np.diff(np.log(market.prices(200_000, np.random.default_rng(1))))
    annual = steps.std() * np.sqrt(market.MINUTES_A_YEAR)
    assert annual == pytest.approx(0.5, rel=0.15)
    assert abs(steps.mean()) < 4 * steps.std() / np.sqrt(len(steps))
    assert ((steps - steps.mean()) ** 4).mean() / steps.var() ** 2 > 4


def test_the_costs_of_a_run_add_up() -> None:
    made = bots.run(COIN, 1, 3)
    last = tuple(made.equity)[-1]
    assert last.fees_eur == pytest.approx(sum((one.fee_quote for one in made.executions), Decimal(0)), abs=Decimal("1e-7"))
    costs = sum((one.filled * abs(one.filled_quote / one.filled - one.mid) for one in made.executions), Decimal(0))
    assert last.slippage_eur == pytest.approx(costs, abs=Decimal("1e-6"))


def test_the_books_of_a_bot_that_ends_without_the_coin_add_up() -> None:
    made = bots.run(Bot("in and out", 5, changes=True), 5 * 2 * 3 / 1440, 3)  # six decisions
    net = tuple(made.equity)[-1].equity_eur - bots.CAP_EUR
    assert len(made.round_trips) == 3
    assert net == pytest.approx(sum((one.pnl_quote for one in made.round_trips), Decimal(0)), abs=Decimal("1e-7"))


def test_a_bot_with_skill_knows_the_price_as_often_as_it_says() -> None:
    path = market.prices(50_000, np.random.default_rng(2))
    held = Bot("skilled", 5, skill=0.8).holds(path, np.random.default_rng(3))
    seen = path[::5]
    assert (held == (seen[1:] > seen[:-1])).mean() == pytest.approx(0.8, abs=0.02)


def test_the_first_days_of_a_run_leave_out_what_came_later() -> None:
    whole = bots.run(COIN, 2, 3)
    first = bots.until(whole, 1)
    assert len(first.equity) == 289
    assert max(one.closed_at for one in first.round_trips) <= whole.started_at + judging.DAY_MS
    assert len(first.executions) < len(whole.executions)


def test_the_interval_of_clopper_and_pearson() -> None:
    # no event in 400: 1 - 0.025^(1/400)
    assert bounds(0, 400) == pytest.approx((0, 1 - 0.025 ** (1 / 400)))
