"""All statistics of a run together: what they are, that they repeat, and that nothing in a series makes one of them lie."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import OrderType, Side
from gates import resampling
from gates.performance import Claim, Declared, Measurement, measure
from gates.series import RunSeries
from policies.rules import STATISTICS, MetricName
from tests.support.rig import ROOT
from tests.unit.gates.series_kit import DAY_MS, named, order, points, series, trip

CLAIM = Claim(
    annual_sharpe=Decimal(3),
    fill_ratio=Decimal("0.9"),
    trades_per_day=Decimal(10),
    holding_ms=3_600_000,
    turnover_per_day=Decimal(20),
)


def run(seed: int = 0) -> RunSeries:
    """A run of 200 periods with 40 orders and 20 round trips."""
    equity = [f"{10 + (number * number * 37 + seed) % 101 / 1000:.3f}" for number in range(201)]
    orders = [order(Side.BUY if number % 2 else Side.SELL, price=f"100.{number % 7}", fee="0.05") for number in range(40)]
    trips = [trip(f"{(number * 13 + seed) % 7 - 3}", held_ms=60_000 * (number + 1)) for number in range(20)]
    return series(points(equity, mids=["100"] * 201, fees="0.1", slippage="0.05"), orders, trips)


def measured(of: RunSeries, declared: Declared | None = None) -> tuple[Measurement, ...]:
    with patch.object(resampling, "repeats", lambda _: 50):
        return measure(of, declared or Declared(2, 3, CLAIM, (100, 110)), covered_ms=3 * DAY_MS)


def test_every_statistic_of_the_series_is_measured_once_and_sorted() -> None:
    names = [one.name for one in measured(run())]
    assert names == sorted(STATISTICS - {MetricName.DRAWDOWN_EXCESS})


def test_a_full_run_leaves_nothing_open_but_its_tail() -> None:
    # the second half of its holding times is longer than the first, and it ends where it began, so no length proves a profit
    without = {one.name for one in measured(run()) if one.value is None}
    # and 40 answers bound no 99th percentile from above.
    open_still = {MetricName.ACK_P99_RATIO_HIGH}
    assert without == open_still | (without & {MetricName.MIN_TRL_DAYS, MetricName.DAYS_MISSING})


def test_the_same_series_gives_the_same_figures() -> None:
    assert measured(run()) == measured(run())


def test_what_is_drawn_depends_on_the_whole_series() -> None:
    # the acknowledgement of one order is in no resampled figure, and it still changes what is drawn
    one, other = run(), run()
    changed = RunSeries(
        one.started_at, one.cap_eur, one.quote_per_eur, one.equity, one.executions.with_item(order(acked_ms=7)), one.round_trips
    )
    assert named(measured(one), MetricName.RETURN_LOWER) == named(measured(other), MetricName.RETURN_LOWER)
    assert named(measured(one), MetricName.RETURN_LOWER) != named(measured(changed), MetricName.RETURN_LOWER)


def test_a_run_without_anything_has_no_figure_and_says_why() -> None:
    found = measured(series())
    assert {one.value for one in found} == {None}
    assert all(one.detail for one in found)
    assert {one.samples for one in found} == {0}


def test_the_kind_of_an_order_changes_no_cost() -> None:
    market, limit = (
        series(points(["10", "11"]), [order(price="100.1", kind=kind)]) for kind in (OrderType.MARKET, OrderType.LIMIT)
    )
    assert [named(measured(one), MetricName.SHORTFALL_MEAN_BPS).value for one in (market, limit)] == [10, 10]


@pytest.mark.parametrize(("looks", "variants"), [(0, 1), (1, 0), (-1, 1)])
def test_fewer_than_one_look_or_variant_is_refused(looks: int, variants: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Declared(looks, variants)


AMOUNTS = st.decimals(-1_000, 1_000, allow_nan=False, places=4)


@given(
    equity=st.lists(st.none() | AMOUNTS, max_size=40),
    pnl=st.lists(AMOUNTS, max_size=30),
    fills=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.booleans()), max_size=30),
    claim=st.sampled_from([None, CLAIM, Claim(annual_sharpe=Decimal(0)), Claim(holding_times_ms=tuple(range(30)))]),
    looks=st.integers(1, 20),
    covered_ms=st.sampled_from([0, 1, DAY_MS]),
)
def test_no_series_gives_a_figure_that_is_no_number(
    equity: list[Decimal | None],
    pnl: list[Decimal],
    fills: list[tuple[int, int, bool]],
    claim: Claim | None,
    looks: int,
    covered_ms: int,
) -> None:
    orders = [order(filled=str(filled), ordered=str(wanted), end="101" if ends else None) for filled, wanted, ends in fills]
    of = series(points([None if one is None else str(one) for one in equity]), orders, [trip(str(one)) for one in pnl])
    with patch.object(resampling, "repeats", lambda _: 3):
        found = measure(of, Declared(looks, looks, claim), covered_ms=covered_ms)
    assert [one.name for one in found] == sorted(STATISTICS - {MetricName.DRAWDOWN_EXCESS})
    for one in found:
        assert one.value is None or (one.value.is_finite() and one.value == round(one.value, 9)), one
        assert one.detail, one
        assert not {"nan", "inf"} & set(one.detail.split()), one


def test_the_module_itself_loads_no_library_of_statistics() -> None:
    text = "import sys, gates.performance\nprint(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"numpy", "scipy", "arch", "pandas"} & set(done.stdout.split())
