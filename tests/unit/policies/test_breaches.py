"""A breach says what was measured, against what, and whether the guard could see; its bounds are exact."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest

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
    drawdown_fraction,
)
from policies.stage import Stage
from tests.unit.policies.policy_kit import NOW, REHEARSAL, changed

DEADLINE = 15_000


def eur(value: str, at: int = NOW) -> Measured[Decimal]:
    return Measured(Decimal(value), Millis(at))


WELL = GuardMeasurements(
    since=Millis(NOW - 1_000_000),
    equity_eur=eur("100"),
    day_start_equity_eur=eur("100"),
    peak_equity_eur=eur("100"),
    quote_age_ms=Measured(100, NOW),
    reconciliation_breaks=Measured(0, NOW),
    placements=Measured(Placements(100, 0), NOW),
    oldest_unknown_ms=Measured(0, NOW),
    clock_offset_ms=Measured(10, NOW),
)


def breaches(policy: Any = REHEARSAL, stage: Stage = Stage.LIVE_EUR10, step: int = 0, **measured: Any) -> tuple[Breach, ...]:
    return breached_guards(replace(WELL, **measured), policy, stage, step, NOW)


def breach(policy: Any = REHEARSAL, **measured: Any) -> Breach:
    (found,) = breaches(policy, **measured)
    return found


def shown(found: Breach) -> tuple[GuardName, Level, str, str]:
    return found.guard, found.level, found.measured, found.threshold


def ago(value: Any, ms: int) -> Measured[Any]:
    return Measured(value, Millis(NOW - ms))


def test_a_loss_at_its_limit() -> None:
    found = breach(equity_eur=eur("99.6"), peak_equity_eur=eur("99.6"))
    assert shown(found) == (GuardName.DAILY_LOSS, Level.HALT, "0.4 EUR", "0.4 EUR")
    assert found.message == "the loss today is 0.4 EUR; the limit is 0.4 EUR"


def test_a_loss_that_leaves_only_sells() -> None:
    found = breach(equity_eur=eur("99.7"), peak_equity_eur=eur("99.7"))
    assert shown(found) == (GuardName.DAILY_LOSS, Level.REDUCE, "0.3 EUR", "0.6 of 0.4 EUR")
    assert found.message == (
        "the loss today is 0.3 EUR; only sells are admitted from 0.6 of the limit of 0.4 EUR on, until it is below 0.4 of it"
    )


def test_a_loss_is_judged_exactly_whatever_the_precision_of_the_caller() -> None:
    with localcontext() as here:
        here.prec = 3
        found = breach(equity_eur=eur("99.6004"), peak_equity_eur=eur("99.6004"))
        fraction = drawdown_fraction(Decimal(100), Decimal("98.9995"), Decimal(10))
    assert (found.level, fraction) == (Level.REDUCE, Decimal("0.10005"))


def test_a_fall_from_the_peak() -> None:
    found = breach(peak_equity_eur=eur("102"))
    assert shown(found) == (GuardName.DRAWDOWN, Level.HALT, "0.2", "0.2")
    assert "equity fell from 102 to 100 EUR" in found.message


def test_the_loss_of_a_ramp_step_is_judged_by_the_cap_of_the_step() -> None:
    policy = changed(REHEARSAL, "guards.daily_loss", {"max_eur": "0.4", "max_cap_fraction": "0.02"})
    measured = {"equity_eur": eur("99.7"), "peak_equity_eur": eur("99.7")}
    assert [one.level for one in breaches(policy, Stage.LIVE_EUR10, **measured)] == [Level.HALT]
    assert [one.level for one in breaches(policy, Stage.RAMPING, 2, **measured)] == [Level.REDUCE]
    assert [one.level for one in breaches(policy, Stage.HALTED, **measured)] == [Level.HALT]


def test_breaches_come_with_the_most_severe_first_and_then_by_name() -> None:
    found = breaches(quote_age_ms=Measured(2_001, NOW), clock_offset_ms=Measured(901, NOW), equity_eur=None)
    assert [one.guard for one in found] == [
        GuardName.CLOCK_OFFSET,
        GuardName.DAILY_LOSS,
        GuardName.DRAWDOWN,
        GuardName.QUOTE_STALE,
    ]


@pytest.mark.parametrize(
    ("age", "level", "threshold"),
    [
        (2_001, Level.NO_ENTRY, "2000 ms"),
        (5_000, Level.NO_ENTRY, "2000 ms"),
        (5_001, Level.CANCEL_ALL, "5000 ms"),
        (15_000, Level.CANCEL_ALL, "5000 ms"),
        (15_001, Level.HALT, "15000 ms"),
    ],
)
def test_an_old_quote(age: int, level: Level, threshold: str) -> None:
    found = breach(quote_age_ms=Measured(age, NOW))
    assert shown(found) == (GuardName.QUOTE_STALE, level, f"{age} ms", threshold)
    assert found.message == f"the newest quote is {age} ms old; {level.name} above {threshold}"


def test_a_quote_goes_on_getting_older_after_it_was_measured() -> None:
    assert breach(quote_age_ms=ago(1_000, 1_001)).measured == "2001 ms"
    assert breaches(quote_age_ms=ago(1_000, 1_000)) == ()


def test_a_quote_of_this_instant_is_well() -> None:
    assert breaches(quote_age_ms=Measured(0, NOW)) == ()


def test_a_quote_from_the_future_cannot_be_judged() -> None:
    found = breach(quote_age_ms=Measured(-1, NOW))
    assert (*shown(found), found.blind) == (
        GuardName.QUOTE_STALE,
        Level.HALT,
        "a quote is 1 ms from the future",
        "a plausible value",
        True,
    )


def test_books_that_differ_contradict_and_are_not_blind() -> None:
    found = breach(reconciliation_breaks=Measured(2, NOW))
    assert shown(found) == (GuardName.RECONCILIATION, Level.HALT, "2 differences", "0 differences")
    assert (found.contradicted, found.blind) == (True, False)


def test_books_that_differ_halt_however_long_ago_that_was_measured() -> None:
    assert breach(reconciliation_breaks=ago(1, 10 * DEADLINE)).contradicted


@pytest.mark.parametrize(
    ("age", "level", "threshold"),
    [(15_001, Level.NO_ENTRY, "15000 ms"), (30_000, Level.NO_ENTRY, "15000 ms"), (30_001, Level.HALT, "30000 ms")],
)
def test_an_account_that_was_not_reconciled_for_a_while(age: int, level: Level, threshold: str) -> None:
    found = breach(reconciliation_breaks=ago(0, age))
    assert shown(found) == (GuardName.RECONCILIATION, level, f"{age} ms", threshold)
    assert not found.contradicted


def test_an_account_reconciled_at_the_limit_is_well() -> None:
    assert breaches(reconciliation_breaks=ago(0, 15_000)) == ()


@pytest.mark.parametrize(("value", "at"), [(-1, NOW), (0, NOW + 1)])
def test_an_impossible_reconciliation_cannot_be_judged(value: int, at: int) -> None:
    found = breach(reconciliation_breaks=Measured(value, Millis(at)))
    assert (found.guard, found.level, found.blind) == (GuardName.RECONCILIATION, Level.HALT, True)


def test_too_many_rejections() -> None:
    found = breach(placements=Measured(Placements(20, 11), NOW))
    assert shown(found) == (GuardName.REJECT_RATE, Level.HALT, "11 of 20", "0.5 of at least 20")


@pytest.mark.parametrize(("count", "rejects"), [(20, 10), (19, 19), (0, 0)])
def test_rejections_up_to_the_limit_or_of_few_orders_are_accepted(count: int, rejects: int) -> None:
    assert breaches(placements=Measured(Placements(count, rejects), NOW)) == ()


@pytest.mark.parametrize(("count", "rejects"), [(20, -1), (20, 21)])
def test_impossible_rejections_cannot_be_judged(count: int, rejects: int) -> None:
    found = breach(placements=Measured(Placements(count, rejects), NOW))
    assert (found.guard, found.measured, found.blind) == (
        GuardName.REJECT_RATE,
        f"{rejects} rejections of {count} placements",
        True,
    )


def test_rejections_of_all_orders_can_be_judged() -> None:
    assert not breach(placements=Measured(Placements(20, 20), NOW)).blind


def test_an_order_without_an_outcome() -> None:
    found = breach(oldest_unknown_ms=ago(29_000, 1_001))
    assert shown(found) == (GuardName.UNKNOWN_ORDER, Level.HALT, "30001 ms", "30000 ms")
    assert breaches(oldest_unknown_ms=ago(29_000, 1_000)) == ()


def test_no_unknown_order_gets_no_older() -> None:
    policy = changed(REHEARSAL, "guards.unknown_order.max_age_ms", 10_000)
    assert breaches(policy, oldest_unknown_ms=ago(0, 10_001)) == ()
    assert breach(policy, oldest_unknown_ms=ago(1, 10_000)).guard is GuardName.UNKNOWN_ORDER


def test_an_unknown_order_from_the_future_cannot_be_judged() -> None:
    found = breach(oldest_unknown_ms=Measured(-1, NOW))
    assert (found.guard, found.level, found.blind) == (GuardName.UNKNOWN_ORDER, Level.HALT, True)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("offset", "level", "threshold"),
    [(501, Level.NO_ENTRY, "500 ms"), (900, Level.NO_ENTRY, "500 ms"), (901, Level.HALT, "900 ms")],
)
def test_clocks_that_differ(offset: int, level: Level, threshold: str, sign: int) -> None:
    found = breach(clock_offset_ms=Measured(sign * offset, NOW))
    assert shown(found) == (GuardName.CLOCK_OFFSET, level, f"{offset} ms", threshold)


BLIND = {
    "quote_age_ms": GuardName.QUOTE_STALE,
    "placements": GuardName.REJECT_RATE,
    "oldest_unknown_ms": GuardName.UNKNOWN_ORDER,
    "clock_offset_ms": GuardName.CLOCK_OFFSET,
    "day_start_equity_eur": GuardName.DAILY_LOSS,
    "peak_equity_eur": GuardName.DRAWDOWN,
}


@pytest.mark.parametrize(("field", "guard"), BLIND.items())
def test_a_guard_that_was_never_measured(field: str, guard: GuardName) -> None:
    found = breach(**{field: None})
    assert (*shown(found), found.blind) == (guard, Level.HALT, "not measured", "15000 ms", True)
    assert "1000000 ms" in found.message


@pytest.mark.parametrize(("field", "guard"), BLIND.items())
def test_a_guard_that_waits_for_its_first_measurement_stops_entries(field: str, guard: GuardName) -> None:
    found = breach(**{field: None, "since": Millis(NOW - DEADLINE)})
    assert (found.guard, found.level, found.blind) == (guard, Level.NO_ENTRY, True)


@pytest.mark.parametrize(("field", "guard"), BLIND.items())
def test_guarding_that_begins_now_has_not_measured_anything_yet(field: str, guard: GuardName) -> None:
    if guard is GuardName.CLOCK_OFFSET:
        says = (
            "clock-offset cannot be judged: there is no present measurement; it has not been measured well enough in the 0 ms "
            "since guarding of this venue began, at 2024-08-08 06:53:20 UTC; the deadline is 15000 ms, and 15000 ms halt"
        )
    else:
        says = f"{guard} cannot be judged: it has not been measured in the 0 ms since guarding began; the deadline is 15000 ms"
    assert breach(**{field: None, "since": NOW}).message == says


def test_a_blind_clock_says_when_and_what_was_measured_last() -> None:
    good = Measured(ClockOffset(-12, 4), Millis(NOW - 9_000))
    found = breach(clock_offset_ms=None, clock_good=good)
    assert found.message == (
        "clock-offset cannot be judged: there is no present measurement; it was last measured well enough 9000 ms ago, at "
        "2024-08-08 06:53:11 UTC: our clock minus the venue's was -12 ± 4 ms, so it is now at most 25 ms; the deadline is 15000 ms"
        ", and 30000 ms halt"
    )
    assert found.level is Level.NO_ENTRY


def test_a_clock_measured_before_its_venue_was_guarded_counts_from_then() -> None:
    good = Measured(ClockOffset(-12, 4), Millis(NOW - 100_000))
    found = breach(clock_offset_ms=None, clock_since=Millis(NOW - 1_000), clock_good=good)
    assert "in the 1000 ms since guarding of this venue began, at 2024-08-08 06:53:19 UTC" in found.message
    assert found.level is Level.NO_ENTRY


def test_an_instant_that_no_calendar_has_stays_a_number() -> None:
    assert (
        f"since guarding of this venue began, at {10**17} ms;" in breach(clock_offset_ms=None, clock_since=Millis(10**17)).message
    )


def test_a_clock_that_may_differ_too_much_for_entries_says_so() -> None:
    found = breach(clock_offset_ms=Measured(450, NOW), clock_uncertainty_ms=100)
    assert shown(found) == (GuardName.CLOCK_OFFSET, Level.NO_ENTRY, "350 to 550 ms", "500 ms")
    assert found.message == (
        "clock-offset cannot be judged: our clock and the venue's differ by 350 to 550 ms, and no quicker answer came; "
        "no entry until it is certain to be at most 500 ms"
    )


@pytest.mark.parametrize(("field", "guard"), BLIND.items())
def test_a_measurement_older_than_the_deadline_halts(field: str, guard: GuardName) -> None:
    value = getattr(WELL, field).value
    found = breach(**{field: ago(value, DEADLINE + 1)})
    assert (found.guard, found.level, found.blind) == (guard, Level.HALT, True)
    assert f"it was last measured {DEADLINE + 1} ms ago" in found.message


@pytest.mark.parametrize("field", ["placements", "oldest_unknown_ms", "clock_offset_ms", "day_start_equity_eur", "peak_equity_eur"])
def test_a_measurement_at_the_deadline_still_counts(field: str) -> None:
    assert breaches(**{field: ago(getattr(WELL, field).value, DEADLINE)}) == ()


@pytest.mark.parametrize("field", BLIND)
def test_a_measurement_from_the_future_halts(field: str) -> None:
    found = breach(**{field: ago(getattr(WELL, field).value, -1)})
    assert (found.level, found.blind) == (Level.HALT, True)
    assert "its last measurement is from the future" in found.message


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e99"])
@pytest.mark.parametrize(
    ("field", "guard"), [("day_start_equity_eur", GuardName.DAILY_LOSS), ("peak_equity_eur", GuardName.DRAWDOWN)]
)
def test_an_equity_that_is_no_number_cannot_be_judged(field: str, guard: GuardName, value: str) -> None:
    found = breach(**{field: eur(value)})
    assert (found.guard, found.level, found.blind) == (guard, Level.HALT, True)


def test_an_equity_of_nothing_and_a_debt_are_numbers() -> None:
    nothing = {name: eur("0") for name in ("equity_eur", "day_start_equity_eur", "peak_equity_eur")}
    debt = {name: eur("-5") for name in nothing}
    assert (breaches(**nothing), breaches(**debt)) == ((), ())


@pytest.mark.parametrize(
    ("peak", "equity", "cap", "fraction"),
    [
        ("100", "99", "10", "0.1"),
        ("5", "4", "10", "0.2"),
        ("5", "5", "10", "0"),
        ("5", "6", "10", "0"),
        ("0", "-1", "10", "1"),
        ("1", "0", "0", "1"),
    ],
)
def test_a_drawdown_is_a_fraction_of_the_smaller_of_peak_and_cap(peak: str, equity: str, cap: str, fraction: str) -> None:
    assert drawdown_fraction(Decimal(peak), Decimal(equity), Decimal(cap)) == Decimal(fraction)
