"""What would make a rule pass, the verdict on top, and how numbers read."""

from __future__ import annotations

from typing import Any

import pytest

from controller.report.coverage import UNMEASURED, Coverage
from controller.report.curve import MOST_POINTS, Curve
from controller.report.drawing.bars import Counts, histogram
from controller.report.drawing.curve import Level, Subject, curve
from controller.report.drawing.scale import time_ticks, value_ticks
from controller.report.drawing.strip import strip
from controller.report.outlook import what_would_pass
from controller.report.words import eur, grouped, percent, span, value_words
from exchange.model import Millis
from tests.support.desk import D

HOUR = 3_600_000


def rule(metric: str, op: str, threshold: str, measured: str, verdict: str, unit: str, **more: Any) -> dict[str, Any]:
    return {
        "metric": metric, "op": op, "threshold": threshold, "measured": measured, "verdict": verdict, "unit": unit,
        "samples": 10, "min_samples": 1, "explanation": "why", **more,
    }  # fmt: skip


def test_what_grows_has_a_date_at_the_present_pace() -> None:
    covered = rule("covered_ms", ">=", str(72 * HOUR), str(24 * HOUR), "INCONCLUSIVE", "ms")
    said = what_would_pass(covered, Millis(0), Millis(25 * HOUR))
    assert said == "48 h 00 min more: at the present pace in 50 h 00 min, by 1970-01-04 03:00:00 UTC"


def test_what_has_not_begun_has_no_date() -> None:
    orders = rule("orders", ">=", "500", "0", "INCONCLUSIVE", "count")
    assert what_would_pass(orders, Millis(0), Millis(HOUR)) == "500 more; there is no pace yet to say by when"


def test_the_worst_of_a_run_needs_a_new_run() -> None:
    gap = rule("longest_gap_ms", "<=", "300000", "600000", "FAIL", "ms")
    assert what_would_pass(gap, Millis(0), Millis(1)).startswith("only a new run")


def test_a_ratio_says_how_far_it_is_away() -> None:
    coverage = rule("coverage_ratio", ">=", "0.99", "0.97", "FAIL", "ratio")
    assert what_would_pass(coverage, Millis(0), Millis(1)) == "it must rise by 2.00 %, to 99.00 %"


def test_too_few_observations_say_how_many_are_missing() -> None:
    rejects = rule("reject_ratio", "<=", "0.02", "0.01", "INCONCLUSIVE", "ratio", samples=20, min_samples=50)
    assert what_would_pass(rejects, Millis(0), Millis(1)) == "30 more observations"


def test_a_rule_that_passes_needs_nothing() -> None:
    assert what_would_pass(rule("orders", ">=", "1", "2", "PASS", "count"), Millis(0), Millis(1)) == ""


def test_evidence_of_another_policy_is_explained_by_the_gate() -> None:
    stale = rule("orders", ">=", "1", "", "STALE", "count", explanation="the evidence has expired")
    assert what_would_pass(stale, Millis(0), Millis(1)) == "the evidence has expired"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (span(0), "0 s"),
        (span(180), "180 ms"),
        (span(61_000), "1 min 01 s"),
        (span(72 * HOUR), "72 h 00 min"),
        (span(100 * HOUR), "4 d 4 h"),
        (eur(D("-0.00435")), "−0.004350 EUR"),
        (eur(D("1234.5")), "1,234.50 EUR"),
        (percent(D("0.9931")), "99.31 %"),
        (grouped(D("-0.001"), 2), "0.00"),
        (value_words(D("-1.5"), "bps"), "−1.5 bps"),
        (value_words(D("12.25"), "days"), "12.2 days"),
    ],
)  # fmt: skip
def test_numbers_read_as_a_person_writes_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_curve_keeps_its_extremes_in_few_points() -> None:
    line = Curve()
    for second in range(100_000):
        line.add(Millis(second * 1000), D(5000) if second == 54_321 else D(second % 7))
    assert len(line) <= MOST_POINTS
    assert max(point.high for point in line) == 5000
    assert sum(point.until - point.at for point in line) > 0


def test_a_gap_without_any_sample_is_not_measured() -> None:
    strip_ = Coverage(Millis(0))
    strip_.sample(Millis(1000), 1000, 1, "")
    strip_.sample(Millis(61_000), 1000, 1, "the quote is old")
    assert [(gap.begin, gap.end, gap.reason) for gap in strip_.gaps] == [
        (1000, 60_000, UNMEASURED),
        (60_000, 61_000, "the quote is old"),
    ]
    assert strip_.covered_ms == 1000


def test_value_ticks_are_round_and_enclose_the_values() -> None:
    assert value_ticks(D("917.31"), D("917.44"), 6) == [D("917.30"), D("917.35"), D("917.40"), D("917.45")]
    assert len(value_ticks(D(5), D(5), 6)) >= 2


def test_days_and_times_mark_the_time_axis() -> None:
    assert [name for _, name in time_ticks(0, 86_400_000, 5)] == ["1 Jan", "06:00", "12:00", "18:00", "2 Jan"]


def test_a_drawing_without_values_is_empty() -> None:
    assert curve(Subject("nothing", [], grouped), 780, "wide") == ""
    assert histogram(Counts("nothing", [("1", 0)], "ms"), 380, "wide") == ""
    assert strip("nothing", 5, 5, [], 780, "wide") == ""


def test_a_level_and_markup_in_a_name_are_drawn_as_text() -> None:
    marks = [(0, 0, D(1), D(1), D(1)), (1000, 1000, D(2), D(3), D(2))]
    drawn = curve(Subject("<b>", marks, grouped, levels=(Level(D(10), "cap <10>"),)), 780, "wide")
    assert "cap &lt;10&gt;" in drawn
    assert "<b>" not in drawn


def test_a_short_gap_is_seen_in_a_long_strip() -> None:
    drawn = strip("coverage", 0, 72 * HOUR, [(HOUR, HOUR + 5_000, "uncovered")], 780, "wide")
    assert drawn.count('class="uncovered"') == 1
