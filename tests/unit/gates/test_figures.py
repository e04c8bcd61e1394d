"""The statistics of a run under a policy, from the real functions: complete, repeatable, and of the declared run."""

from __future__ import annotations

from decimal import Decimal

import pytest

from exchange.model import Millis
from gates.computed import Statistic
from gates.figures import declared, figures
from gates.series import GRID_MS, Column, EquityPoint, RunSeries
from policies.rules import STATISTICS, MetricName
from policies.schema import Claim, Performance

CLAIM = Claim(annual_sharpe=Decimal(2), fill_ratio=Decimal("0.8"), trades_per_day=Decimal(15), holding_ms=3_600_000)
DECLARED = Performance(looks=2, variants=5, claim=CLAIM)
HOURS = 6


def series(step: int = 1) -> RunSeries:
    """A curve that goes up and down."""
    points: Column[EquityPoint] = Column()
    for number in range(HOURS * 12):
        equity = Decimal(100) + Decimal(number * number * step % 17) / 1000
        points = points.with_item(
            EquityPoint(Millis(number * GRID_MS), equity, Decimal(60_000 + number), Decimal(number) / 1000, Decimal(0))
        )
    return RunSeries(Millis(0), Decimal(10), Decimal("1.2"), equity=points)


@pytest.fixture(scope="module")
def found() -> tuple[Statistic, ...]:
    return figures(series(), DECLARED, HOURS * 3_600_000)


def test_every_statistic_is_computed(found: tuple[Statistic, ...]) -> None:
    assert {one.name for one in found} == STATISTICS - {MetricName.DRAWDOWN_EXCESS}


def test_the_same_series_gives_the_same_figures(found: tuple[Statistic, ...]) -> None:
    assert figures(series(), DECLARED, HOURS * 3_600_000) == found


def test_what_is_not_known_says_why(found: tuple[Statistic, ...]) -> None:
    assert all(one.detail for one in found if one.value is None)
    assert next(one for one in found if one.name is MetricName.PROFIT_FACTOR).value is None


def test_more_looks_widen_the_bounds(found: tuple[Statistic, ...]) -> None:
    often = {one.name: one for one in figures(series(), DECLARED.model_copy(update={"looks": 10}), HOURS * 3_600_000)}
    once = {one.name: one for one in found}
    less, more = often[MetricName.RETURN_LOWER].value, once[MetricName.RETURN_LOWER].value
    assert less is not None
    assert more is not None
    assert less < more


def test_the_declaration_of_the_policy_is_what_is_measured_against() -> None:
    of = declared(DECLARED)
    assert (of.looks, of.variants) == (2, 5)
    assert of.claim is not None
    for name in ("annual_sharpe", "fill_ratio", "trades_per_day", "holding_ms", "turnover_per_day", "holding_times_ms"):
        assert getattr(of.claim, name) == getattr(CLAIM, name)


def test_without_a_claim_nothing_is_claimed() -> None:
    assert declared(Performance(looks=3, variants=4)).claim is None
    assert (declared(None).looks, declared(None).variants, declared(None).claim) == (1, 1, None)
