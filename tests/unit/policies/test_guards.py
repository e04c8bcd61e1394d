"""Every guard breaks where it should, at the level it should, and being unable to see is itself a breach."""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import ConfigError
from exchange.model import Millis
from policies.guards import (
    Breach,
    ClockOffset,
    GuardMeasurements,
    GuardName,
    Level,
    Measured,
    Placements,
    breached_guards,
    clock_fresh_ms,
    daily_loss_limit_eur,
    drawdown_fraction,
    level_of_unseen,
    reducing_after,
)
from policies.schema import Policy
from policies.stage import WITHOUT_REAL_MONEY, Stage
from tests.unit.policies.policy_kit import NOW, REHEARSAL, changed

SINCE = Millis(NOW - 1_000_000)
UNMEASURED = {"unknown_seen_ms", "unreconciled_seen_ms", "gap_ms", "impostor", "denied"}
MEASURED = [
    field.name
    for field in fields(GuardMeasurements)
    if field.name not in {"since", "reducing", "clock_uncertainty_ms", "clock_good", "clock_since", "compared_since", *UNMEASURED}
]


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


def good(age: int) -> Measured[ClockOffset]:
    """A measurement of the clock of this age by which the guard could judge."""
    return Measured(ClockOffset(-12, 4), Millis(NOW - age))


def breaches(
    measurements: GuardMeasurements = WELL, policy: Policy = REHEARSAL, stage: Stage = Stage.LIVE_EUR10, now: Millis = NOW
) -> tuple[Breach, ...]:
    return breached_guards(measurements, policy, stage, 0, now)


def levels(measurements: GuardMeasurements, now: Millis = NOW) -> list[tuple[GuardName, Level]]:
    return [(breach.guard, breach.level) for breach in breaches(measurements, now=now)]


@pytest.mark.parametrize("stage", Stage)
def test_a_healthy_deployment_breaks_no_guard_in_any_stage(stage: Stage) -> None:
    assert breaches(stage=stage) == ()


@pytest.mark.parametrize(
    ("equity", "level"),
    [
        ("101", None),
        ("99.77", None),
        ("99.76", Level.REDUCE),
        ("99.61", Level.REDUCE),
        ("99.60", Level.HALT),
        ("50", Level.HALT),
    ],
)
def test_a_days_loss_leaves_only_sells_before_its_limit_and_halts_at_it(equity: str, level: Level | None) -> None:
    measurements = replace(WELL, equity_eur=eur(equity), peak_equity_eur=eur(equity))
    assert levels(measurements) == ([(GuardName.DAILY_LOSS, level)] if level is not None else [])


@pytest.mark.parametrize(("equity", "level"), [("99.83", Level.REDUCE), ("99.84", None), ("101", None)])
def test_only_sells_end_below_the_lower_fraction(equity: str, level: Level | None) -> None:
    """The limit is 0.40: buys end at a loss of 0.24 and begin again below 0.16."""
    measurements = replace(WELL, equity_eur=eur(equity), peak_equity_eur=eur(equity), reducing=frozenset({GuardName.DAILY_LOSS}))
    assert levels(measurements) == ([(GuardName.DAILY_LOSS, level)] if level is not None else [])


def test_a_lower_fraction_of_zero_ends_when_nothing_is_lost() -> None:
    policy = changed(REHEARSAL, "guards.reduce.until", "0")
    at_par = replace(WELL, reducing=frozenset({GuardName.DAILY_LOSS, GuardName.DRAWDOWN}))
    assert breaches(at_par, policy) == ()


def test_what_reduces_is_remembered_while_a_loss_cannot_be_measured() -> None:
    both = frozenset({GuardName.DAILY_LOSS, GuardName.DRAWDOWN})
    daily = breaches(replace(WELL, equity_eur=eur("99.7"), peak_equity_eur=eur("99.7")))
    assert reducing_after(daily, frozenset()) == {GuardName.DAILY_LOSS}
    assert reducing_after((), both) == frozenset()
    blind = breaches(replace(WELL, equity_eur=None))
    assert (reducing_after(blind, both), reducing_after(blind, frozenset())) == (both, frozenset())


def test_an_older_policy_without_a_fraction_never_leaves_only_sells() -> None:
    older = REHEARSAL.model_copy(update={"guards": REHEARSAL.guards.model_copy(update={"reduce": None})})
    assert breaches(replace(WELL, equity_eur=eur("99.61"), peak_equity_eur=eur("99.61")), older) == ()


@pytest.mark.parametrize(
    ("field", "measurements", "guard"),
    [
        ("daily_loss", replace(WELL, equity_eur=eur("99"), peak_equity_eur=eur("99")), GuardName.DAILY_LOSS),
        ("drawdown", replace(WELL, peak_equity_eur=eur("103")), GuardName.DRAWDOWN),
        ("reject_rate", replace(WELL, placements=Measured(Placements(30, 30), NOW)), GuardName.REJECT_RATE),
    ],
)
def test_a_guard_asks_for_a_flatten_only_where_the_policy_says_so(
    field: str, measurements: GuardMeasurements, guard: GuardName
) -> None:
    selling = changed(REHEARSAL, "guards.on_breach", {field: "flatten"})
    assert [(one.guard, one.level) for one in breaches(measurements, selling)] == [(guard, Level.FLATTEN)]
    assert [(one.guard, one.level) for one in breaches(measurements)] == [(guard, Level.HALT)]


@pytest.mark.parametrize("field", ["quote_stale", "reconciliation", "unknown_order", "clock_offset"])
def test_a_guard_that_doubts_prices_or_books_cannot_sell(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} must be hold"):
        changed(REHEARSAL, "guards.on_breach", {field: "flatten"})


def test_a_guard_that_cannot_be_measured_never_asks_for_a_flatten() -> None:
    selling = changed(REHEARSAL, "guards.on_breach", {"daily_loss": "flatten"})
    assert {one.level for one in breaches(replace(WELL, equity_eur=None), selling)} == {Level.HALT}


def test_the_daily_loss_limit_is_the_smaller_of_amount_and_cap_fraction() -> None:
    assert daily_loss_limit_eur(REHEARSAL, Decimal(10)) == Decimal("0.4")
    assert daily_loss_limit_eur(REHEARSAL, Decimal(5)) == Decimal("0.2")
    assert daily_loss_limit_eur(REHEARSAL, Decimal(25)) == Decimal("0.4")


@pytest.mark.parametrize(
    ("peak", "level"), [("101.19", None), ("101.20", Level.REDUCE), ("101.99", Level.REDUCE), ("102", Level.HALT)]
)
def test_a_drawdown_is_measured_against_the_cap_not_the_account(peak: str, level: Level | None) -> None:
    measurements = replace(WELL, peak_equity_eur=eur(peak))
    assert levels(measurements) == ([(GuardName.DRAWDOWN, level)] if level is not None else [])


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


@pytest.mark.parametrize(
    ("offset", "uncertainty", "level", "blind"),
    [
        (400, 100, None, False),
        (-400, 100, None, False),
        (901 + 50, 50, Level.HALT, False),
        (-901 - 50, 50, Level.HALT, False),
        (900 + 50, 50, Level.NO_ENTRY, True),
        (700, 199, Level.NO_ENTRY, False),
        (450, 51, Level.NO_ENTRY, True),
        (950, 1050, Level.NO_ENTRY, True),
        (0, 901, Level.NO_ENTRY, True),
        # The answer came before the question: our clock was set in between, so nothing was measured.
        (0, -1, Level.NO_ENTRY, True),
        (2_000, -3_000, Level.NO_ENTRY, True),
        (800, -200, Level.NO_ENTRY, True),
    ],
)
def test_only_a_clock_offset_that_is_certain_is_a_breach(offset: int, uncertainty: int, level: Level | None, blind: bool) -> None:
    measurements = replace(WELL, clock_offset_ms=Measured(offset, NOW), clock_uncertainty_ms=uncertainty, clock_good=good(0))
    assert [(one.level, one.blind) for one in breaches(measurements)] == ([(level, blind)] if level else [])


@pytest.mark.parametrize(
    ("age", "level"),
    [(15_000, Level.NO_ENTRY), (15_001, Level.CANCEL_ALL), (30_000, Level.CANCEL_ALL), (30_001, Level.HALT)],
)
def test_a_clock_that_is_only_bounded_cancels_and_then_halts(age: int, level: Level) -> None:
    unsure = replace(WELL, clock_offset_ms=Measured(950, NOW), clock_uncertainty_ms=1050, clock_good=good(age))
    (breach,) = breaches(unsure)
    assert (breach.level, breach.measured, breach.blind) == (level, "not measured", True)
    assert "cannot be judged: our clock and the venue's differ by 0 to 2000 ms" in breach.message


@pytest.mark.parametrize(
    ("bound", "present", "level"),
    [
        (ClockOffset(860, 20), None, Level.CANCEL_ALL),
        (ClockOffset(860, 25), None, Level.HALT),
        (ClockOffset(-860, 25), None, Level.HALT),
        (ClockOffset(0, -1), None, Level.HALT),
        (ClockOffset(0, 2), (800, 799), Level.CANCEL_ALL),
        (ClockOffset(0, 2), (950, 700), Level.HALT),
    ],
    ids=["within", "its drift leads out", "behind", "no measurement", "an unsure one that fits", "one that does not fit"],
)
def test_past_the_deadline_only_a_bound_within_the_limit_does_not_halt(
    bound: ClockOffset, present: tuple[int, int] | None, level: Level
) -> None:
    offset, uncertainty = (None, 0) if present is None else (Measured(present[0], NOW), present[1])
    unjudged = replace(WELL, clock_offset_ms=offset, clock_uncertainty_ms=uncertainty)
    (breach,) = breaches(replace(unjudged, clock_good=Measured(bound, Millis(NOW - 16_000))))
    assert (breach.guard, breach.level) == (GuardName.CLOCK_OFFSET, level)


def test_a_clock_measured_when_guarding_began_is_named_as_measured() -> None:
    (breach,) = breaches(replace(WELL, clock_offset_ms=None, clock_good=good(20_000), clock_since=Millis(NOW - 20_000)))
    assert "it was last measured well enough 20000 ms ago" in breach.message


def test_a_clock_is_fresh_for_two_thirds_of_its_deadline_in_whole_ms() -> None:
    policy = REHEARSAL.model_copy(update={"guards": REHEARSAL.guards.model_copy(update={"blind_deadline_ms": 20_000})})
    fresh = clock_fresh_ms(policy)
    assert (fresh, type(fresh)) == (13_333, int)


AGES = st.integers(-100_000, 2_000_000)


@given(AGES, AGES, st.booleans())
def test_a_clock_counts_as_blind_from_the_last_good_measurement(good_age: int, venue_age: int, uncertain: bool) -> None:
    offset = Measured(950, NOW) if uncertain else None
    unjudged = replace(WELL, clock_offset_ms=offset, clock_uncertainty_ms=1050, clock_good=good(good_age))
    (breach,) = breaches(replace(unjudged, clock_since=Millis(NOW - venue_age)))
    counts_from = good_age if 0 <= good_age <= venue_age else venue_age
    halts_after = 30_000 if 0 <= good_age <= venue_age else 15_000
    assert (breach.level is Level.NO_ENTRY, breach.level is Level.HALT) == (
        0 <= counts_from <= 15_000,
        not 0 <= counts_from <= halts_after,
    )
    assert f" {counts_from} ms " in breach.message
    # How long the stage has lasted decides nothing.
    assert breaches(replace(unjudged, clock_since=Millis(NOW - venue_age), since=NOW)) == (breach,)


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


# Without real money

BLIND_HALT = {"mock": 60_000, "testnet_validating": 120_000, "validated": 180_000}
UNSEEN = [
    (replace(WELL, quote_age_ms=Measured(15_001, NOW)), GuardName.QUOTE_STALE),
    (replace(WELL, equity_eur=None), GuardName.DAILY_LOSS),
    (replace(WELL, reconciliation_breaks=Measured(0, Millis(NOW - 30_001)), unreconciled_seen_ms=30_000), GuardName.RECONCILIATION),
    (replace(WELL, reconciliation_breaks=None, unreconciled_seen_ms=15_000), GuardName.RECONCILIATION),
    (replace(WELL, oldest_unknown_ms=Measured(30_001, NOW), unknown_seen_ms=30_000), GuardName.UNKNOWN_ORDER),
    (replace(WELL, clock_offset_ms=None), GuardName.CLOCK_OFFSET),
]
SEEN = [
    replace(WELL, equity_eur=eur("99")),
    replace(WELL, peak_equity_eur=eur("200")),
    replace(WELL, reconciliation_breaks=Measured(1, NOW)),
    replace(WELL, reconciliation_breaks=Measured(0, Millis(NOW - 30_001)), unreconciled_seen_ms=30_001),
    replace(WELL, reconciliation_breaks=Measured(0, Millis(NOW - 30_001))),
    replace(WELL, reconciliation_breaks=None, unreconciled_seen_ms=15_001),
    replace(WELL, oldest_unknown_ms=Measured(30_001, NOW), unknown_seen_ms=30_001),
    replace(WELL, oldest_unknown_ms=Measured(30_001, NOW)),
    replace(WELL, placements=Measured(Placements(30, 30), NOW)),
    replace(WELL, clock_offset_ms=Measured(901, NOW)),
    replace(WELL, quote_age_ms=Measured(100, Millis(NOW + 1))),
    replace(WELL, quote_age_ms=Measured(-1, NOW)),
    replace(WELL, equity_eur=eur("NaN")),
]


@pytest.mark.parametrize(("measurements", "guard"), UNSEEN)
@pytest.mark.parametrize("stage", Stage)
def test_what_is_only_not_seen_halts_with_real_money_and_else_cancels(
    stage: Stage, measurements: GuardMeasurements, guard: GuardName
) -> None:
    found = next(one for one in breaches(measurements, stage=stage) if one.guard is guard)
    assert found.unseen_ms is not None
    assert found.level is (Level.CANCEL_ALL if stage in WITHOUT_REAL_MONEY else Level.HALT)
    assert (f"at {stage} it cancels and pauses the coverage" in found.message) == (stage in WITHOUT_REAL_MONEY)


@pytest.mark.parametrize("measurements", SEEN)
@pytest.mark.parametrize("stage", Stage)
def test_what_is_seen_to_be_wrong_halts_everywhere(stage: Stage, measurements: GuardMeasurements) -> None:
    assert breaches(measurements, stage=stage)[0].level is Level.HALT


@pytest.mark.parametrize("stage", WITHOUT_REAL_MONEY)
@pytest.mark.parametrize(("blind", "gap", "halts"), [(1, 1, True), (0, 1, False), (1, 0, False), (1, None, True), (0, None, False)])
def test_a_deadline_halts_when_blindness_and_gap_are_both_longer(stage: Stage, blind: int, gap: int | None, halts: bool) -> None:
    policy, deadline = changed(REHEARSAL, "guards.blind_halt_ms", BLIND_HALT), BLIND_HALT[stage.lower()]
    old = replace(WELL, quote_age_ms=Measured(deadline + blind, NOW), gap_ms=None if gap is None else deadline + gap)
    assert (breaches(old, policy, stage)[0].level is Level.HALT) is halts


@pytest.mark.parametrize("name", ["quote_age_ms", "clock_offset_ms"])
def test_with_real_money_the_deadline_of_blindness_changes_nothing(name: str) -> None:
    policy = changed(REHEARSAL, "guards.blind_halt_ms", BLIND_HALT)
    assert breaches(replace(WELL, **{name: None}), policy) == breaches(replace(WELL, **{name: None}))


def test_what_is_not_seen_is_never_raised_to_a_cancel_all() -> None:
    levels = [level_of_unseen(level, Stage.VALIDATED, overdue=False) for level in (Level.NO_ENTRY, Level.CANCEL_ALL, Level.HALT)]
    assert levels == [Level.NO_ENTRY, Level.CANCEL_ALL, Level.CANCEL_ALL]


@pytest.mark.parametrize("stage", WITHOUT_REAL_MONEY)
def test_the_message_names_the_deadline_of_blindness_where_there_is_one(stage: Stage) -> None:
    unseen = replace(WELL, quote_age_ms=Measured(15_001, NOW))
    (without,) = breaches(unseen, stage=stage)
    (with_one,) = breaches(unseen, changed(REHEARSAL, "guards.blind_halt_ms", BLIND_HALT), stage)
    assert without.message.endswith("it cancels and pauses the coverage")
    assert with_one.message == f"{without.message} until the gap is longer than {BLIND_HALT[stage.lower()]} ms"


@pytest.mark.parametrize("name", ["quote_age_ms", "clock_offset_ms"])
@pytest.mark.parametrize(("age", "unseen"), [(0, 0), (1, 1), (-1, None)])
def test_a_guard_has_been_blind_since_guarding_began(name: str, age: int, unseen: int | None) -> None:
    measurements = replace(WELL, since=Millis(NOW - age), **{name: None})
    guard = GuardName.QUOTE_STALE if name == "quote_age_ms" else GuardName.CLOCK_OFFSET
    found = next(one for one in breaches(measurements) if one.guard is guard)
    assert (found.unseen_ms, found.level) == (unseen, Level.NO_ENTRY if unseen is not None else Level.HALT)
