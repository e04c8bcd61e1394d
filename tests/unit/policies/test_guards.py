"""Every guard breaks where it should, at the level it should, and being unable to see is itself a breach."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Millis
from policies.guards import (
    Breach,
    GuardMeasurements,
    GuardName,
    Level,
    Measured,
    Placements,
    breached_guards,
    daily_loss_limit_eur,
    drawdown_fraction,
)
from policies.schema import Policy
from policies.stage import Stage
from tests.unit.policies.policy_kit import NOW, REHEARSAL, changed

SINCE = Millis(NOW - 1_000_000)
MEASURED = [field.name for field in fields(GuardMeasurements) if field.name != "since"]


def eur(value: str) -> Measured[Decimal]:
    return Measured(Decimal(value), NOW)


WELL = GuardMeasurements(
    since=SINCE,
    equity_eur=eur("100"),
    day_start_equity_eur=eur("100"),
    peak_equity_eur=eur("100"),
    quote_age_ms=Measured(100, NOW),
    reconciliation_breaks=Measured(0, NOW),
    placements=Measured(Placements(100, 0), NOW),
    oldest_unknown_ms=Measured(0, NOW),
    clock_offset_ms=Measured(10, NOW),
)


def breaches(
    measurements: GuardMeasurements = WELL, policy: Policy = REHEARSAL, stage: Stage = Stage.LIVE_EUR10, now: Millis = NOW
) -> tuple[Breach, ...]:
    return breached_guards(measurements, policy, stage, 0, now)


def levels(measurements: GuardMeasurements, now: Millis = NOW) -> list[tuple[GuardName, Level]]:
    return [(breach.guard, breach.level) for breach in breaches(measurements, now=now)]


@pytest.mark.parametrize("stage", Stage)
def test_a_healthy_deployment_breaks_no_guard_in_any_stage(stage: Stage) -> None:
    assert breaches(stage=stage) == ()


@pytest.mark.parametrize(("equity", "broken"), [("99.61", False), ("99.60", True), ("50", True), ("101", False)])
def test_reaching_the_daily_loss_limit_halts(equity: str, broken: bool) -> None:
    measurements = replace(WELL, equity_eur=eur(equity), peak_equity_eur=eur(equity))
    assert levels(measurements) == ([(GuardName.DAILY_LOSS, Level.HALT)] if broken else [])


def test_the_daily_loss_limit_is_the_smaller_of_amount_and_cap_fraction() -> None:
    assert daily_loss_limit_eur(REHEARSAL, Decimal(10)) == Decimal("0.4")
    assert daily_loss_limit_eur(REHEARSAL, Decimal(5)) == Decimal("0.2")
    assert daily_loss_limit_eur(REHEARSAL, Decimal(25)) == Decimal("0.4")


@pytest.mark.parametrize(("peak", "broken"), [("101.99", False), ("102", True)])
def test_a_drawdown_is_measured_against_the_cap_not_the_account(peak: str, broken: bool) -> None:
    measurements = replace(WELL, peak_equity_eur=eur(peak))
    assert levels(measurements) == ([(GuardName.DRAWDOWN, Level.HALT)] if broken else [])


@pytest.mark.parametrize(
    ("age", "level"),
    [
        (2_000, None),
        (2_001, Level.NO_ENTRY),
        (5_000, Level.NO_ENTRY),
        (5_001, Level.CANCEL_ALL),
        (15_000, Level.CANCEL_ALL),
        (15_001, Level.HALT),
    ],
)
def test_an_ageing_quote_raises_the_level(age: int, level: Level | None) -> None:
    assert levels(replace(WELL, quote_age_ms=Measured(age, NOW))) == ([(GuardName.QUOTE_STALE, level)] if level else [])


def test_a_quote_ages_after_its_measurement() -> None:
    assert levels(replace(WELL, quote_age_ms=Measured(1_000, Millis(NOW - 1_001)))) == [(GuardName.QUOTE_STALE, Level.NO_ENTRY)]


def test_a_reconciliation_break_halts_however_old_it_is() -> None:
    for at in (NOW, NOW - 10_000_000):
        measurements = replace(WELL, reconciliation_breaks=Measured(1, Millis(at)))
        assert levels(measurements) == [(GuardName.RECONCILIATION, Level.HALT)]


@pytest.mark.parametrize(("age", "level"), [(15_000, None), (15_001, Level.NO_ENTRY), (30_001, Level.HALT)])
def test_an_overdue_reconciliation_raises_the_level(age: int, level: Level | None) -> None:
    measurements = replace(WELL, reconciliation_breaks=Measured(0, Millis(NOW - age)))
    assert levels(measurements) == ([(GuardName.RECONCILIATION, level)] if level else [])


@pytest.mark.parametrize(
    ("count", "rejects", "broken"), [(20, 10, False), (20, 11, True), (19, 19, False), (0, 0, False), (100, 51, True)]
)
def test_too_many_rejections_halt_once_there_are_enough_placements(count: int, rejects: int, broken: bool) -> None:
    measurements = replace(WELL, placements=Measured(Placements(count, rejects), NOW))
    assert levels(measurements) == ([(GuardName.REJECT_RATE, Level.HALT)] if broken else [])


@pytest.mark.parametrize(("age", "broken"), [(30_000, False), (30_001, True)])
def test_an_outcome_unknown_for_too_long_halts(age: int, broken: bool) -> None:
    measurements = replace(WELL, oldest_unknown_ms=Measured(age, NOW))
    assert levels(measurements) == ([(GuardName.UNKNOWN_ORDER, Level.HALT)] if broken else [])


@pytest.mark.parametrize(
    ("offset", "level"), [(500, None), (501, Level.NO_ENTRY), (-501, Level.NO_ENTRY), (901, Level.HALT), (-901, Level.HALT)]
)
def test_a_clock_offset_in_either_direction_raises_the_level(offset: int, level: Level | None) -> None:
    measurements = replace(WELL, clock_offset_ms=Measured(offset, NOW))
    assert levels(measurements) == ([(GuardName.CLOCK_OFFSET, level)] if level else [])


@pytest.mark.parametrize("name", MEASURED)
def test_a_missing_measurement_halts_after_the_deadline(name: str) -> None:
    found = breaches(replace(WELL, **{name: None}))
    assert found
    assert all(breach.blind and breach.level is Level.HALT for breach in found)


@pytest.mark.parametrize("name", MEASURED)
def test_a_missing_measurement_stops_entries(name: str) -> None:
    found = breaches(replace(WELL, since=NOW, **{name: None}))
    assert found
    assert all(breach.blind and breach.level is Level.NO_ENTRY for breach in found)


@pytest.mark.parametrize("name", MEASURED)
def test_an_outdated_measurement_halts(name: str) -> None:
    old = Measured(getattr(WELL, name).value, Millis(NOW - 40_000))
    assert any(breach.level is Level.HALT for breach in breaches(replace(WELL, **{name: old})))


@pytest.mark.parametrize("name", MEASURED)
def test_a_measurement_from_the_future_halts(name: str) -> None:
    early = Measured(getattr(WELL, name).value, Millis(NOW + 1))
    assert any(breach.level is Level.HALT for breach in breaches(replace(WELL, **{name: early})))


@pytest.mark.parametrize("name", ["equity_eur", "day_start_equity_eur", "peak_equity_eur"])
@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity", "1e999"])
def test_an_equity_that_is_not_a_number_halts(name: str, value: str) -> None:
    found = breaches(replace(WELL, **{name: eur(value)}))
    assert found[0].level is Level.HALT
    assert found[0].blind


@pytest.mark.parametrize(
    "measurements",
    [
        replace(WELL, placements=Measured(Placements(1, 2), NOW)),
        replace(WELL, placements=Measured(Placements(1, -1), NOW)),
        replace(WELL, reconciliation_breaks=Measured(-1, NOW)),
        replace(WELL, quote_age_ms=Measured(-1, NOW)),
        replace(WELL, oldest_unknown_ms=Measured(-1, NOW)),
    ],
    ids=["more rejects than placements", "negative rejects", "negative breaks", "quote from the future", "unknown from the future"],
)
def test_an_impossible_count_halts(measurements: GuardMeasurements) -> None:
    assert breaches(measurements)[0].level is Level.HALT


def test_the_most_severe_breach_comes_first() -> None:
    measurements = replace(
        WELL, clock_offset_ms=Measured(501, NOW), quote_age_ms=Measured(5_001, NOW), oldest_unknown_ms=Measured(99_999, NOW)
    )
    assert [breach.level for breach in breaches(measurements)] == [Level.HALT, Level.CANCEL_ALL, Level.NO_ENTRY]


def test_a_breach_names_what_was_measured_and_the_threshold() -> None:
    (breach,) = breaches(replace(WELL, clock_offset_ms=Measured(950, NOW)))
    assert (breach.measured, breach.threshold) == ("950 ms", "900 ms")
    assert "950 ms" in breach.message


def test_a_stricter_policy_breaks_earlier() -> None:
    strict = changed(REHEARSAL, "guards.clock_offset", {"no_entry_ms": 5, "halt_ms": 9})
    assert breaches(policy=strict)[0].guard is GuardName.CLOCK_OFFSET


@given(
    peak=st.decimals(min_value=0, max_value=10**6, places=8),
    fall=st.decimals(min_value=0, max_value=10**6, places=8),
    cap=st.decimals(min_value=0, max_value=1000, places=2),
)
def test_a_drawdown_is_never_smaller_than_the_fall_against_peak_or_cap(peak: Decimal, fall: Decimal, cap: Decimal) -> None:
    found = drawdown_fraction(peak, peak - fall, cap)
    assert found >= 0
    assert found * min(peak, cap) >= fall or min(peak, cap) == 0
    assert (found == 0) == (fall == 0)
