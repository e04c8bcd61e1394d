"""A guard's distance agrees with the guard: all of the limit is used exactly where it halts, and what is not measured has none."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distances import Distance, distances
from policies.guards import GuardMeasurements, GuardName, Level, Measured, Placements
from policies.stage import Stage
from tests.unit.policies.policy_kit import NOW, REHEARSAL

WELL = GuardMeasurements(
    since=NOW,
    equity_eur=Measured(Decimal(100), NOW),
    day_start_equity_eur=Measured(Decimal(100), NOW),
    peak_equity_eur=Measured(Decimal(100), NOW),
    quote_age_ms=Measured(100, NOW),
    reconciliation_breaks=Measured(0, NOW),
    placements=Measured(Placements(100, 0), NOW),
    oldest_unknown_ms=Measured(0, NOW),
    clock_offset_ms=Measured(10, NOW),
)


def of(found: GuardMeasurements) -> dict[GuardName, Distance]:
    return {one.guard: one for one in distances(found, REHEARSAL, Stage.LIVE_EUR10, 0, NOW)}


def test_a_healthy_deployment_uses_little_of_each_limit() -> None:
    shown = of(WELL)
    assert all(one.used is not None and one.used < Decimal("0.5") and one.breach is None for one in shown.values())
    assert set(shown) == set(GuardName) - {GuardName.FEE_ASSET, GuardName.TESTNET_IDENTITY}


@given(equity=st.decimals(min_value=80, max_value=120, places=4))
def test_a_loss_halts_exactly_where_all_of_its_limit_is_used(equity: Decimal) -> None:
    shown = of(replace(WELL, equity_eur=Measured(equity, NOW)))
    for guard in (GuardName.DAILY_LOSS, GuardName.DRAWDOWN):
        breach, used = shown[guard].breach, shown[guard].used
        assert used is not None
        assert (used >= 1) == (breach is not None and breach.level >= Level.FLATTEN)


@given(age=st.integers(min_value=0, max_value=10_000_000))
def test_an_age_halts_exactly_where_more_than_its_limit_is_used(age: int) -> None:
    shown = of(
        replace(WELL, quote_age_ms=Measured(age, NOW), oldest_unknown_ms=Measured(age, NOW), clock_offset_ms=Measured(age, NOW))
    )
    for guard in (GuardName.QUOTE_STALE, GuardName.UNKNOWN_ORDER, GuardName.CLOCK_OFFSET):
        breach, used = shown[guard].breach, shown[guard].used
        assert used is not None
        assert (used > 1) == (breach is not None and breach.level is Level.HALT)


@given(count=st.integers(min_value=0, max_value=300), data=st.data())
def test_rejections_halt_exactly_where_more_than_their_limit_is_used(count: int, data: st.DataObject) -> None:
    rejects = data.draw(st.integers(min_value=0, max_value=count))
    one = of(replace(WELL, placements=Measured(Placements(count, rejects), NOW)))[GuardName.REJECT_RATE]
    assert one.used is not None
    if one.breach is not None:
        assert one.used > 1
    elif count >= REHEARSAL.guards.reject_rate.min_samples:
        assert one.used <= 1


@pytest.mark.parametrize(
    ("field", "guard"),
    [
        ("equity_eur", GuardName.DRAWDOWN),
        ("day_start_equity_eur", GuardName.DAILY_LOSS),
        ("quote_age_ms", GuardName.QUOTE_STALE),
        ("reconciliation_breaks", GuardName.RECONCILIATION),
        ("placements", GuardName.REJECT_RATE),
        ("oldest_unknown_ms", GuardName.UNKNOWN_ORDER),
        ("clock_offset_ms", GuardName.CLOCK_OFFSET),
    ],
)
def test_what_is_not_measured_has_no_distance(field: str, guard: GuardName) -> None:
    one = of(replace(WELL, **{field: None}))[guard]
    assert one.used is None


def test_one_difference_too_many_uses_all() -> None:
    tolerated = REHEARSAL.guards.reconciliation.tolerated_breaks
    one = of(replace(WELL, reconciliation_breaks=Measured(tolerated + 1, NOW)))[GuardName.RECONCILIATION]
    assert one.used == 1
    assert one.breach is not None
    assert one.breach.level is Level.HALT


def test_a_measure_is_written_short_and_never_farther_from_its_limit() -> None:
    one = of(replace(WELL, equity_eur=Measured(Decimal("99.99999999"), NOW)))[GuardName.DAILY_LOSS]
    assert one.measured == "0.0001 EUR"
