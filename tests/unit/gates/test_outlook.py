"""What a run still needs, by when at its pace, and what it can never pass any more: each with figures by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import DataSource, Millis
from gates.engine import RuleResult
from gates.measure import Tally
from gates.outlook import Chance, outlook, progress, start_over
from gates.spans import moment, part_of, span
from gates.verdict import Verdict
from policies.rules import METRICS, MetricName, Op
from policies.stage import Stage
from policies.values import replace as changed

HOUR = 3_600_000
MONDAY_NOON = Millis(1_796_040_000_000)


def run(hours: int = 10, **changes: object) -> Tally:
    """A run of so many hours, of which 9 in 10 are covered."""
    total = hours * HOUR
    begun = Tally.begin(DataSource.LIVE, at=Millis(MONDAY_NOON - total), cap_eur=Decimal(10), accelerated=False)
    measured = changed(begun, total_ms=total, covered_ms=total * 9 // 10, last_at=MONDAY_NOON, samples=1000)
    return changed(measured, **changes)


def rule(
    metric: MetricName, measured: str, op: Op, threshold: str, verdict: Verdict, samples: int = 1000, least: int = 1
) -> RuleResult:
    unit = METRICS[metric].unit
    return RuleResult("r", metric, op, threshold, unit, measured, samples, least, verdict, "why")


ORDERS = rule(MetricName.ORDERS, "20", Op.AT_LEAST, "100", Verdict.INCONCLUSIVE)


def test_the_time_of_arrival_follows_from_covered_against_elapsed_time() -> None:
    # 63 h are missing; 9 h came in 10 h, so they take 70 h.
    found = progress(run(), 72 * HOUR, MONDAY_NOON)
    assert (found.eta, found.why_no_eta) == (MONDAY_NOON + 70 * HOUR, "")


@pytest.mark.parametrize(
    ("tally", "why"),
    [
        (run(covered_ms=0), "no time is covered yet, so there is no pace"),
        (run(covered_ms=72 * HOUR), "the time is covered"),
        (run(total_ms=59_999, covered_ms=50_000), "the run is too young for a forecast"),
    ],
)
def test_no_time_of_arrival_says_why(tally: Tally, why: str) -> None:
    found = progress(tally, 72 * HOUR, MONDAY_NOON)
    assert (found.eta, found.why_no_eta) == (None, why)


@given(st.integers(1, 72 * HOUR), st.integers(60_000, 400 * HOUR))
def test_the_time_of_arrival_is_never_before_what_is_missing(covered: int, total: int) -> None:
    covered = min(covered, total)
    found = progress(run(covered_ms=covered, total_ms=total), 72 * HOUR, MONDAY_NOON)
    assert found.eta is None or found.eta - MONDAY_NOON >= 72 * HOUR - covered


def test_a_count_says_how_many_are_missing_and_when_they_are_there() -> None:
    found = outlook(ORDERS, run(orders=20), MONDAY_NOON)
    assert (found.chance, found.missing, found.per_hour) == (Chance.COMING, 80, 2)
    assert found.by == MONDAY_NOON + 40 * HOUR
    assert found.line == "80 more; at 2 an hour by Wed 04:00 UTC"


def test_a_count_that_did_not_begin_names_no_time() -> None:
    found = outlook(replace(ORDERS, measured="0"), run(), MONDAY_NOON)
    assert (found.chance, found.by) == (Chance.OPEN, None)
    assert found.line == "100 more; none came in 10 h, so no time can be named"


def test_covered_time_is_given_in_hours() -> None:
    covered = rule(MetricName.COVERED_MS, str(9 * HOUR), Op.AT_LEAST, str(72 * HOUR), Verdict.INCONCLUSIVE)
    assert outlook(covered, run(), MONDAY_NOON).line == "63 h more; at 54 min an hour by Thu 10:00 UTC"


def test_coverage_is_made_up_for_by_time_without_a_gap() -> None:
    # (9 + t) / (10 + t) = 0.95 for t = 10.
    coverage = rule(MetricName.COVERAGE_RATIO, "0.9", Op.AT_LEAST, "0.95", Verdict.FAIL)
    found = outlook(coverage, run(), MONDAY_NOON)
    assert (found.chance, found.by) == (Chance.COMING, MONDAY_NOON + 10 * HOUR)
    assert found.line == "10 h without a gap, until Mon 22:00 UTC at the earliest"


def test_rejections_are_made_up_for_by_orders() -> None:
    # 2 / (50 + n) = 0.01 for n = 150.
    rejects = rule(MetricName.REJECT_RATIO, "0.04", Op.AT_MOST, "0.01", Verdict.FAIL)
    found = outlook(rejects, run(rejects=2, orders=50), MONDAY_NOON)
    assert (found.missing, found.by) == (150, MONDAY_NOON + 30 * HOUR)


def test_observations_that_are_missing_are_counted() -> None:
    clock = rule(MetricName.CLOCK_OFFSET_MAX_MS, "12", Op.AT_MOST, "900", Verdict.INCONCLUSIVE, samples=400, least=1000)
    found = outlook(clock, run(), MONDAY_NOON)
    assert (found.missing, found.per_hour, found.by) == (600, 40, MONDAY_NOON + 15 * HOUR)


@pytest.mark.parametrize(
    ("metric", "measured", "op", "threshold"),
    [
        (MetricName.LONGEST_GAP_MS, "120001", Op.AT_MOST, "120000"),
        (MetricName.RECONCILIATION_BREAKS, "1", Op.EQUAL, "0"),
        (MetricName.DRAWDOWN_FRACTION, "0.06", Op.AT_MOST, "0.05"),
        (MetricName.LONGEST_UNKNOWN_MS, "60000", Op.BELOW, "60000"),
        (MetricName.DENIED_ORDERS, "9", Op.AT_MOST, "8"),
    ],
)
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_what_only_grows_and_is_over_its_limit_is_lost(
    metric: MetricName, measured: str, op: Op, threshold: str, verdict: Verdict
) -> None:
    assert outlook(rule(metric, measured, op, threshold, verdict), run(), MONDAY_NOON).chance is Chance.LOST


def test_a_loss_can_still_be_made_up_for() -> None:
    loss = rule(MetricName.NET_PNL_EUR, "-0.3", Op.AT_LEAST, "-0.1", Verdict.FAIL)
    found = outlook(loss, run(), MONDAY_NOON)
    assert (found.chance, found.line) == (Chance.OPEN, "has to rise from -0.3 EUR to -0.1 EUR")


def test_a_missing_drill_names_its_command() -> None:
    drill = rule(MetricName.DRILL_KILL_AGE_MS, "", Op.AT_MOST, "1", Verdict.NO_DATA)
    assert "gatehouse drill kill" in outlook(drill, run(), MONDAY_NOON).line


@pytest.mark.parametrize("verdict", [Verdict.STALE, Verdict.INVALID, Verdict.ERROR])
def test_evidence_that_does_not_count_has_no_forecast(verdict: Verdict) -> None:
    found = outlook(replace(ORDERS, verdict=verdict), run(), MONDAY_NOON)
    assert (found.chance, found.line, found.by) == (Chance.OPEN, "why", None)


def test_what_passes_misses_nothing() -> None:
    assert outlook(replace(ORDERS, verdict=Verdict.PASS), run(), MONDAY_NOON).line == ""


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_says_how_to_start_over(stage: Stage) -> None:
    assert "gatehouse" in start_over(stage)


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (130_000, "2 min 10 s"),
        (120_000, "2 min"),
        (41 * HOUR + 720_000, "41 h 12 min"),
        (HOUR, "1 h"),
        (168 * HOUR, "7 d"),
    ],
)
def test_a_span_in_words(ms: int, words: str) -> None:
    assert span(ms) == words


def test_a_moment_far_away_has_its_date() -> None:
    assert moment(Millis(MONDAY_NOON + 26 * HOUR), MONDAY_NOON) == "Tue 14:00 UTC"
    assert moment(Millis(MONDAY_NOON + 200 * HOUR), MONDAY_NOON) == "Tue 2026-12-08 20:00 UTC"


@pytest.mark.parametrize(
    ("ms", "whole", "words"), [(41 * HOUR + 720_000, 72 * HOUR, "41:12 / 72:00 h"), (12_000, 600_000, "0:12 / 10:00 min")]
)
def test_a_part_of_a_run(ms: int, whole: int, words: str) -> None:
    assert part_of(ms, whole) == words
