"""How numbers read, and what curves, strips and drawings show."""

from __future__ import annotations

import pytest

from controller.drawing.bars import Counts, histogram
from controller.drawing.curve import Level, Subject, curve
from controller.drawing.scale import time_ticks, value_ticks
from controller.drawing.strip import strip
from controller.report.coverage import UNMEASURED, Coverage
from controller.report.curve import MOST_POINTS, Curve
from controller.report.words import eur, grouped, percent, span, value_words
from exchange.model import Millis
from tests.support.desk import D

HOUR = 3_600_000


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
