"""What a measurement of the clock proves later, and what guards say of a clock, an account and a testnet that are not seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exchange.model import Millis
from policies.guards import CLOCK_DRIFT, ClockOffset, GuardName, Level, Measured
from tests.unit.policies.policy_kit import NOW
from tests.unit.policies.test_guards import WELL, breaches


@pytest.mark.parametrize(
    ("later_ms", "uncertainty"), [(-5_000, 4), (0, 4), (1, 5), (CLOCK_DRIFT, 5), (CLOCK_DRIFT + 1, 6), (30 * CLOCK_DRIFT, 34)]
)
def test_a_measurement_gets_less_certain_by_the_drift(later_ms: int, uncertainty: int) -> None:
    assert ClockOffset(-12, 4).after(later_ms) == ClockOffset(-12, uncertainty)


@pytest.mark.parametrize(
    ("one", "other", "contradicts"),
    [
        (ClockOffset(10, 3), ClockOffset(15, 2), False),
        (ClockOffset(10, 3), ClockOffset(16, 2), True),
        (ClockOffset(-10, 3), ClockOffset(10, 2), True),
        (ClockOffset(10, 0), ClockOffset(10, 0), False),
        (ClockOffset(10, -1), ClockOffset(10, 5), True),
        (ClockOffset(10, 5), ClockOffset(10, -1), True),
    ],
)
def test_two_measurements_that_no_offset_fits_contradict_each_other(
    one: ClockOffset, other: ClockOffset, contradicts: bool
) -> None:
    assert one.contradicts(other) is contradicts
    assert other.contradicts(one) is contradicts


@pytest.mark.parametrize(
    ("good", "level", "says"),
    [
        # 16,000 ms later the uncertainty has grown by 16 ms, and rehearsal.toml halts above 900 ms.
        (ClockOffset(884, 0), Level.CANCEL_ALL, ", so it is now at most 900 ms;"),
        (ClockOffset(885, 0), Level.HALT, ""),
        (ClockOffset(0, -1), Level.HALT, ""),
    ],
)
def test_a_clock_is_bounded_up_to_what_halts(good: ClockOffset, level: Level, says: str) -> None:
    (breach,) = breaches(replace(WELL, clock_offset_ms=None, clock_good=Measured(good, Millis(NOW - 16_000))))
    assert breach.level is level
    assert (", so it is now at most" in breach.message) is bool(says)
    assert says in breach.message
    assert f"± {good.uncertainty_ms} ms" + (says or ";") in breach.message


@pytest.mark.parametrize(
    ("guarding", "compared", "age"), [(9_000, None, 9_000), (9_000, 4_000, 4_000), (4_000, 9_000, 4_000), (9_000, 9_000, 9_000)]
)
def test_an_account_never_compared_counts_from_the_later_beginning(guarding: int, compared: int | None, age: int) -> None:
    since = None if compared is None else Millis(NOW - compared)
    unread = replace(WELL, since=Millis(NOW - guarding), reconciliation_breaks=None, compared_since=since)
    (breach,) = [one for one in breaches(unread) if one.guard is GuardName.RECONCILIATION]
    assert breach.level is Level.NO_ENTRY
    assert f"it has not been measured in the {age} ms since guarding began" in breach.message


def test_who_answers_without_the_testnets_key_shows_nothing() -> None:
    (breach,) = breaches(replace(WELL, impostor="somebody else answers"))
    assert (breach.guard, breach.level, breach.unseen_ms) == (GuardName.TESTNET_IDENTITY, Level.CANCEL_ALL, 0)
    assert not breach.contradicted
    assert breach.message == "somebody else answers; no order goes there until the testnet answers itself"


def test_a_testnet_that_denies_our_books_halts() -> None:
    (breach,) = breaches(replace(WELL, denied="3 trades", impostor="somebody else answers"))
    assert (breach.guard, breach.level, breach.contradicted) == (GuardName.TESTNET_IDENTITY, Level.HALT, True)
    assert breach.message == "the testnet's statements contradict our books: 3 trades"
