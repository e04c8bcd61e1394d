"""A run is counted so that nothing looks better than it was."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import DataSource, Millis
from gates.measure import SAMPLE_SPAN_MAX_MS, Tally, metrics
from policies.guards import drawdown_fraction
from policies.rules import MetricName
from policies.stage import Environment

START = Millis(1_000_000)


def begin(source: DataSource = DataSource.LIVE) -> Tally:
    return Tally.begin(source, at=START, cap_eur=Decimal(10), accelerated=False)


def sample(
    tally: Tally, after: int, *, covered: bool = True, equity: str | None = "100", interval: int | None = None, unknown: int = 0
) -> Tally:
    return tally.with_sample(
        None if equity is None else Decimal(equity),
        covered=covered,
        interval_ms=after if interval is None else interval,
        at=Millis(tally.last_at + after),
        unknown_open=1 if unknown else 0,
        oldest_unknown_ms=unknown,
    )


def value(tally: Tally, name: MetricName) -> Decimal | None:
    (found,) = [metric for metric in metrics(tally, Environment.REHEARSAL) if metric.name is name]
    return found.value


def test_counters_count() -> None:
    tally = begin().with_order().with_order().with_reject().with_fill().with_denial().with_reconciliation(2).with_settled(7)
    assert (tally.orders, tally.rejects, tally.fills, tally.denials) == (2, 1, 1, 1)
    assert (tally.reconciliations, tally.reconciliation_breaks, tally.longest_unknown_ms) == (1, 2, 7)


def test_covered_time_adds_up() -> None:
    tally = sample(sample(sample(begin(), 1_000), 1_000, covered=False), 1_000)
    assert (tally.covered_ms, tally.total_ms, tally.longest_gap_ms) == (2_000, 3_000, 1_000)
    assert value(tally, MetricName.COVERAGE_RATIO) == Decimal("0.666666666666")


def test_time_without_a_known_equity_is_not_covered() -> None:
    assert sample(begin(), 1_000, equity=None).covered_ms == 0


@pytest.mark.parametrize("equity", ["NaN", "sNaN", "Infinity"])
def test_an_equity_that_is_not_a_number_is_ignored(equity: str) -> None:
    tally = sample(begin(), 1_000, equity=equity)
    assert (tally.covered_ms, tally.equity_samples) == (0, 0)


def test_downtime_before_a_sample_is_a_gap() -> None:
    tally = sample(sample(begin(), 1_000), 60_000, interval=1_000)
    assert (tally.covered_ms, tally.total_ms, tally.longest_gap_ms) == (2_000, 61_000, 59_000)


def test_a_sample_covers_at_most_its_maximum_span() -> None:
    tally = sample(begin(), 60_000)
    assert tally.covered_ms == SAMPLE_SPAN_MAX_MS
    assert tally.longest_gap_ms == 60_000 - SAMPLE_SPAN_MAX_MS


def test_a_gap_continues_over_several_samples() -> None:
    tally = sample(sample(sample(begin(), 1_000, covered=False), 2_000, covered=False), 1_000)
    assert tally.longest_gap_ms == 3_000


def test_a_gap_that_is_still_open_counts() -> None:
    assert sample(sample(begin(), 1_000), 4_000, covered=False).longest_gap_ms == 4_000


def test_no_time_passes_while_a_clock_that_was_set_back_catches_up() -> None:
    tally = sample(sample(begin(), 4_000), -3_000, interval=1_000)
    assert (tally.last_at, tally.covered_ms) == (START + 4_000, 4_000)


def test_the_least_trustworthy_source_is_the_runs_source() -> None:
    tally = begin().with_source(DataSource.SYNTHETIC, accelerated=True).with_source(DataSource.LIVE, accelerated=False)
    assert (tally.source, tally.accelerated) == (DataSource.SYNTHETIC, True)


def test_an_unknown_outcome_that_was_resolved_is_remembered() -> None:
    tally = sample(sample(begin(), 1_000, unknown=900), 1_000)
    assert (tally.unknown_open, tally.longest_unknown_ms) == (0, 900)


def test_profit_is_equity_now_less_equity_then() -> None:
    assert value(sample(sample(begin(), 1_000), 1_000, equity="99.7"), MetricName.NET_PNL_EUR) == Decimal("-0.3")


def test_a_metric_without_observations_has_no_value() -> None:
    unobserved = metrics(begin(), Environment.REHEARSAL)
    names = [metric.name for metric in unobserved]
    assert names == sorted({*names, MetricName.COVERED_MS, MetricName.FILLS, MetricName.NET_PNL_EUR})
    assert all(metric.value is None and metric.samples == 0 for metric in unobserved)


def test_without_reconciliations_there_is_no_break_count() -> None:
    tally = sample(begin(), 1_000)
    assert value(tally, MetricName.RECONCILIATION_BREAKS) is None
    assert value(tally.with_reconciliation(0), MetricName.RECONCILIATION_BREAKS) == 0


def test_no_orders_have_no_reject_ratio() -> None:
    tally = sample(begin(), 1_000)
    assert value(tally, MetricName.REJECT_RATIO) is None
    assert value(tally, MetricName.REJECT_RATIO_UPPER) is None


def drawdown(*equities: Decimal | str) -> Decimal:
    tally = begin()
    for equity in equities:
        tally = sample(tally, 1_000, equity=str(equity))
    return tally.drawdown


def test_a_drawdown_is_measured_from_the_first_equity() -> None:
    assert drawdown("10", "9", "9.5") == Decimal("0.1")


def test_a_drawdown_remembers_the_worst_fall_not_the_last() -> None:
    assert drawdown("10", "20", "15", "20") == Decimal("0.5")


def test_a_large_account_cannot_hide_a_lost_cap() -> None:
    assert drawdown("10000", "9990") == 1


@given(st.lists(st.decimals(min_value=0, max_value=200, places=4), min_size=1, max_size=20))
def test_the_running_drawdown_is_the_worst_fall_of_the_whole_series(equities: list[Decimal]) -> None:
    falls = [drawdown_fraction(max(equities[: at + 1]), equity, Decimal(10)) for at, equity in enumerate(equities)]
    assert drawdown(*equities) == max(falls)


@given(
    st.lists(
        st.tuples(st.integers(-2_000, 20_000), st.integers(-10, 20_000), st.booleans(), st.booleans()), min_size=1, max_size=15
    )
)
def test_covered_time_never_exceeds_the_time_that_passed(steps: list[tuple[int, int, bool, bool]]) -> None:
    tally = begin()
    for after, interval, covered, equities in steps:
        tally = sample(tally, after, covered=covered, equity="1" if equities else None, interval=interval)
    assert 0 <= tally.covered_ms <= tally.total_ms == tally.last_at - START
    assert 0 <= tally.longest_gap_ms <= tally.total_ms - tally.covered_ms


def test_a_tally_is_a_value() -> None:
    tally = begin()
    assert tally.with_order() == begin().with_order()
    assert tally == begin()
