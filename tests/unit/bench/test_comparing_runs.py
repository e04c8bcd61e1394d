"""Two runs of the benches are compared by the ranges of their rounds, and a run's stages are drawn."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from ops.bench.compare import chart, moved
from ops.bench.order_path import stages_of
from ops.bench.order_stages import MARKS, STAGES


def _row(what: str, low: float, middle: float, high: float, unit: str = "µs", *, peer: bool = True) -> dict[str, Any]:
    spread = {"median": middle, "min": low, "max": high}
    return {"what": what, "unit": unit, "ours": spread, "ratio": spread if peer else None}


def test_ranges_that_meet_are_noise() -> None:
    assert moved([_row("sync", 1, 2, 3)], [_row("sync", 3, 4, 5)]) == []


def test_a_time_beyond_the_old_range_became_worse() -> None:
    (move,) = moved([_row("sync", 1, 2, 3)], [_row("sync", 3.1, 4, 5)])
    assert (move.worse, move.before, move.after) == (True, 2, 4)


def test_a_rate_beyond_the_old_range_became_better() -> None:
    (move,) = moved([_row("orders", 1, 2, 3, "/s")], [_row("orders", 4, 5, 6, "/s")])
    assert not move.worse


def test_a_line_without_a_peer_is_compared_by_its_figure() -> None:
    assert moved([_row("latch", 1, 2, 3, peer=False)], [_row("latch", 7, 8, 9, peer=False)])[0].worse


def test_a_line_that_only_one_run_has_is_left_out() -> None:
    assert moved([_row("old", 1, 2, 3)], [_row("new", 7, 8, 9)]) == []


def test_the_chart_has_a_bar_for_each_stage() -> None:
    drawn = ET.fromstring(chart([_row(f"order, stage: {name}", 1, 2, 3) for name in STAGES]))
    assert len(drawn.findall("{*}rect")) == 1 + len(STAGES)


def test_the_stages_are_the_whole_time_of_an_order() -> None:
    line = str([[place * 1_000, place * 10] for place, _ in enumerate(MARKS)])
    found = stages_of([line])
    assert sum(found[name] for name in STAGES) == found["whole"] == len(MARKS) - 1
