"""The metrics of a run's equity, against examples computed by hand."""

from __future__ import annotations

from decimal import Decimal
from math import sqrt

import numpy as np
import pytest

from gates import equity, resampling, sharpe
from gates.declared import Claim, Declared, Measurement
from gates.series import GRID_MS, EquityPoint
from policies.rules import MetricName
from tests.unit.gates.series_kit import DAY_MS, START, named, points, series


def measured(
    made: list[EquityPoint], *, looks: int = 1, variants: int = 1, sharpe_ratio: str | None = None, cap: str = "10", days: float = 3
) -> tuple[Measurement, ...]:
    claim = None if sharpe_ratio is None else Claim(annual_sharpe=Decimal(sharpe_ratio))
    return equity.measure_equity(series(made, cap=cap), Declared(looks, variants, claim), int(days * DAY_MS), 7)


def made_curve(made: list[EquityPoint], cap: str = "10") -> equity.Curve:
    found = equity.curve(tuple(made), Decimal(cap))
    assert isinstance(found, equity.Curve), found
    return found


def walk(mean: float, n: int = 864, *, scale: float = 0.01) -> list[EquityPoint]:
    """A seeded walk whose steps have exactly this mean and a standard deviation of ``scale`` EUR."""
    steps = np.random.default_rng(11).normal(size=n)
    steps = (steps - steps.mean()) / steps.std(ddof=1) * scale + mean
    return points([round(one, 9) for one in np.concatenate(([10.0], 10 + np.cumsum(steps)))])


def test_returns_are_changes_as_fractions_of_the_cap() -> None:
    assert made_curve(points(["20", "21", "19"])).returns.tolist() == [0.1, -0.2]


def test_a_point_that_is_missing_is_a_period_without_change() -> None:
    found = made_curve(points(["10", None, None, "13", "12"]))
    assert found.returns.tolist() == [0, 0, 0.3, -0.1]
    assert found.ends.tolist() == [START + number * GRID_MS for number in (1, 2, 3, 4)]


def test_stressed_costs_are_half_the_fees_and_the_slippage_once_more() -> None:
    found = named(measured(points(["10", "11", "12"], fees="0.6", slippage="0.2")), MetricName.STRESSED_PNL_EUR)
    assert found.value == Decimal("1.5")  # 2 - 0.3 - 0.2
    assert made_curve(points(["10", "11", "12"], fees="0.6", slippage="0.2")).stressed.tolist() == pytest.approx([0.1, 0.05])


def test_slippage_that_helped_is_not_doubled() -> None:
    found = named(measured(points(["10", "12"], fees="0.6", slippage="-5")), MetricName.STRESSED_PNL_EUR)
    assert found.value == Decimal("1.7")


def test_costs_before_the_first_point_are_not_of_the_run() -> None:
    first, last = points(["10", "12"], fees="0.6")
    earlier = EquityPoint(first.at, first.equity_eur, None, Decimal("0.4"), Decimal(0))
    assert named(measured([earlier, last]), MetricName.STRESSED_PNL_EUR).value == Decimal("1.9")


@pytest.mark.parametrize(
    ("made", "cap", "why"),
    [
        ([], "10", "has 0 points"),
        (points(["10"]), "10", "has 1 points"),
        (points(["10", "11"]), "0", "no cap"),
        (list(reversed(points(["10", "11"]))), "10", "not in order"),
        (points(["10", "11"]) + points(["10"]), "10", "not in order"),
        (points(["10", "NaN"]), "10", "not a number"),
        (points(["10", "11"], fees="Infinity"), "10", "not a number"),
    ],
)
def test_without_a_curve_nothing_has_a_value(made: list[EquityPoint], cap: str, why: str) -> None:
    found = measured(made, cap=cap)
    assert {one.value for one in found} == {None}
    assert all(why in one.detail for one in found)


def test_a_constant_equity_has_no_sharpe_ratio_and_no_p_and_l() -> None:
    found = measured(points(["10"] * 30))
    assert named(found, MetricName.STRESSED_PNL_EUR).value == 0
    assert named(found, MetricName.RETURN_LOWER).value == 0
    for name in (MetricName.PSR, MetricName.DSR, MetricName.MIN_TRL_DAYS, MetricName.DAYS_MISSING, MetricName.CLAIM_Z):
        assert named(found, name).value is None
        assert "all 29 returns of the run are the same" in named(found, name).detail


def test_psr_and_min_trl_by_hand() -> None:
    # returns of 0.01, -0.01, 0.02 and 0: the example of test_sharpe.py
    found = measured(points(["10", "10.1", "10", "10.2", "10.2"]), days=0.01)
    assert named(found, MetricName.PSR).value == Decimal("0.746306736")
    assert named(found, MetricName.MIN_TRL_DAYS).value is not None
    assert float(named(found, MetricName.MIN_TRL_DAYS).value or 0) == pytest.approx(19.46984 / 288, abs=1e-6)
    assert float(named(found, MetricName.DAYS_MISSING).value or 0) == pytest.approx(19.46984 / 288 - 0.01, abs=1e-6)


def test_a_run_that_is_long_enough_misses_no_days() -> None:
    assert named(measured(points(["10", "10.1", "10", "10.2", "10.2"])), MetricName.DAYS_MISSING).value == 0


def test_a_run_that_lost_says_that_no_number_of_days_proves_it() -> None:
    found = named(measured(walk(-0.001)), MetricName.MIN_TRL_DAYS)
    assert found.value is None
    assert "it is not above 0, and no number of days would prove one that is" in found.detail


def test_an_annual_ratio_comes_with_its_bounds_and_the_days_it_needs() -> None:
    # SR of a period 0.02, of a year 6.48 where neighbours are independent; error sqrt(105,120 / 863) = 11.04
    made = walk(0.0002)
    of = sharpe.moments(made_curve(made).returns)
    assert of is not None
    text, needed = equity.annual_text(made_curve(made).returns, of, Declared(), 3 * DAY_MS)
    ratio = of.ratio * sharpe.annual_factor(made_curve(made).returns, of)
    reach = 1.644854 * sharpe.annual_error(of)
    assert needed == pytest.approx((1 + of.shape * (1.644854 / 0.02) ** 2) / 288, rel=1e-5)
    assert text == (
        f"the annual Sharpe ratio is {ratio:.3g}, between {ratio - reach:.3g} and {ratio + reach:.3g}, each bound with 95 % "
        f"confidence; after 3.0 covered days it would need {needed - 3:.1f} more days to prove that it is above 0"
    )


def test_a_ratio_that_is_proven_says_so() -> None:
    assert "after 3.0 covered days it is proven to be above 0" in named(measured(walk(0.001)), MetricName.PSR).detail


def test_more_looks_ask_for_more_days() -> None:
    once, often = (named(measured(walk(0.0002), looks=looks), MetricName.MIN_TRL_DAYS).value for looks in (1, 5))
    assert once is not None
    assert often is not None
    assert float(often / once) == pytest.approx((2.326348 / 1.644854) ** 2, rel=1e-3)


def test_the_deflated_ratio_is_that_above_the_best_by_chance() -> None:
    made = walk(0.0005)
    of = sharpe.moments(made_curve(made).returns)
    assert of is not None
    one, ten = (named(measured(made, variants=variants), MetricName.DSR) for variants in (1, 10))
    assert one.value == named(measured(made), MetricName.PSR).value
    assert float(ten.value or 0) == pytest.approx(sharpe.above(of, sharpe.best_by_chance(of, 10)), abs=1e-9)
    assert "10 tried variants count as independent" in ten.detail


def test_the_claim_is_compared_in_standard_errors() -> None:
    made = walk(0.0002)
    of = sharpe.moments(made_curve(made).returns)
    assert of is not None
    ratio = of.ratio * sharpe.annual_factor(made_curve(made).returns, of)
    found = named(measured(made, sharpe_ratio="20"), MetricName.CLAIM_Z)
    assert float(found.value or 0) == pytest.approx((ratio - 20) / sharpe.annual_error(of), abs=1e-8)
    # the standard error is 11.04, and the power Phi(20 / 11.04 - 1.645) = 57 %
    assert "notices a bot with a true ratio of 0 with a probability of 57%" in found.detail


@pytest.mark.parametrize("name", [MetricName.CLAIM_Z, MetricName.DRAWDOWN_P95])
def test_without_a_claimed_ratio_nothing_is_compared(name: MetricName) -> None:
    found = named(measured(walk(0.0002)), name)
    assert (found.value, found.detail) == (None, "the policy's claim names no `annual_sharpe`")


def test_a_higher_claim_expects_smaller_drawdowns() -> None:
    none, much = (float(named(measured(walk(0), sharpe_ratio=one), MetricName.DRAWDOWN_P95).value or 0) for one in ("0", "100"))
    # without drift the median fall of 864 steps of 0.1 % of the cap is about 1.3 · 0.1 % · sqrt(864) = 3.7 %
    assert 0.03 < none < 0.09
    assert much < none / 2


def test_a_short_run_has_no_bounds() -> None:
    short = points([10 + number % 3 for number in range(20)])
    found = measured(short, sharpe_ratio="5")
    for name in (MetricName.STRESSED_RETURN_LOWER, MetricName.RETURN_LOWER, MetricName.DRAWDOWN_P95):
        assert named(found, name).value is None
        assert "19 returns" in named(found, name).detail
    assert named(measured([*short, *points([None] * 20 + ["10"])]), MetricName.RETURN_LOWER).value is not None


def test_the_bounds_of_the_return_are_about_those_of_independent_returns() -> None:
    # 864 steps with a mean of 0.0002 EUR and a deviation of 0.01: 0.1728 - 1.645 · 0.01 · sqrt(864) = -0.3107 EUR
    found = named(measured(walk(0.0002)), MetricName.RETURN_LOWER)
    assert float(found.value or 0) == pytest.approx(-0.0311, abs=0.006)
    assert "doing nothing brings 0, and this run between -0.3" in found.detail


def test_stressed_costs_lower_the_bound_by_what_they_cost() -> None:
    made = walk(0.0002)
    last = made[-1]
    costly = [*made[:-1], EquityPoint(last.at, last.equity_eur, None, Decimal("0.2"), Decimal("0.1"))]
    found = measured(costly)
    lower, stressed = (named(found, name).value for name in (MetricName.RETURN_LOWER, MetricName.STRESSED_RETURN_LOWER))
    assert lower is not None
    assert stressed is not None
    assert float(lower - stressed) == pytest.approx(0.02, abs=0.01)


def test_more_looks_lower_the_bound() -> None:
    once, often = (named(measured(walk(0.0002), looks=looks), MetricName.RETURN_LOWER).value for looks in (1, 10))
    assert once is not None
    assert often is not None
    assert often < once - Decimal("0.005")


def test_the_excess_over_holding_by_hand() -> None:
    # 1 EUR was made; 10 EUR of a coin that rose from 100 to 104 would have made 0.4
    found = named(measured(points(["10", "10.5", "11"], mids=["100", "90", "104"])), MetricName.HOLDING_EXCESS_EUR)
    assert found.value == Decimal("0.6")
    assert "net 1.0000 EUR; holding 10 EUR of the first symbol, 0.4000 EUR; no bounds" in found.detail


def test_the_excess_over_holding_has_bounds() -> None:
    made = points([str(10 + number % 2) for number in range(40)], mids=["100"] * 40)
    assert "EUR, each bound with 95 % confidence" in named(measured(made), MetricName.HOLDING_EXCESS_EUR).detail


@pytest.mark.parametrize("mids", [[None, "100"], ["100", None], ["0", "100"]])
def test_without_a_price_at_both_ends_holding_is_not_known(mids: list[str | None]) -> None:
    found = named(measured(points(["10", "11"], mids=mids)), MetricName.HOLDING_EXCESS_EUR)
    assert found.value is None
    assert "price of the first symbol is not known" in found.detail


def test_a_price_that_is_missing_on_the_way_stays_the_one_before() -> None:
    assert made_curve(points(["10"] * 4, mids=["100", "110", None, "120"])).holding.tolist() == pytest.approx([0.1, 0, 0.1])  # type: ignore[union-attr]


def test_the_best_six_hours_are_compared_with_all_that_won() -> None:
    hours = 3_600_000
    ends = np.array([START + 1, START + 6 * hours, START + 6 * hours + 1, START + 13 * hours, START + 19 * hours])
    # the blocks that end at 06:00, 12:00, 18:00 and 24:00 brought 3, -4, 2 and 1
    assert equity.best_block(ends, np.array([1.0, 2.0, -4.0, 2.0, 1.0])) == pytest.approx(3 / 6)


def test_without_six_hours_that_won_there_is_no_best() -> None:
    found = named(measured(points(["10", "9", "8"])), MetricName.BEST_BLOCK_SHARE)
    assert (found.value, found.detail) == (None, "of 1 blocks of 6 hours, and none has won")


def test_six_hours_of_a_walk() -> None:
    found = named(measured(points(["10", "12", "11"])), MetricName.BEST_BLOCK_SHARE)
    assert (found.value, found.samples) == (1, 2)


def test_the_claim_scales_with_the_deviation_of_the_run() -> None:
    # moved to the claim, the mean of a period is 105.12 / sqrt(105,120) deviations
    found = made_curve(walk(0.0002))
    of = sharpe.moments(found.returns)
    assert of is not None
    moved = found.returns - of.mean + 105.12 / sqrt(105_120) * of.deviation
    again = resampling.resampled(moved * 10, lambda one: sharpe.drawdown(one, 10, 10), 7)
    theirs = named(measured(walk(0.0002), sharpe_ratio="105.12"), MetricName.DRAWDOWN_P95).value
    assert float(theirs or 0) == pytest.approx(float(np.quantile(again, 0.95)), abs=1e-9)
