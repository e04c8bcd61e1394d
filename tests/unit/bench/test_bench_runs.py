"""Every bench runs at a tiny size and fills its lines. No test asserts a speed."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from ops.bench.__main__ import CONTESTS
from ops.bench.measure import Contest, Goal, Line, Outcome, Spread, run, table, write_json

TINY = 0.004


@pytest.mark.parametrize("name", sorted(CONTESTS))
def test_a_bench_runs_and_measures_what_its_lines_show(name: str) -> None:
    outcomes = run(CONTESTS[name], rounds=1, size=TINY)
    assert [one.line for one in outcomes] == list(CONTESTS[name].lines)
    assert all(one.ours.least <= one.ours.median <= one.ours.most for one in outcomes)
    assert all(one.ratio is not None and one.ratio.median > 0 for one in outcomes if one.line.peer)


def test_the_ratio_is_taken_round_by_round() -> None:
    outcome = run(_contest([(1.0, 2.0), (9.0, 3.0), (6.0, 3.0)]), rounds=2, size=1)[0]
    assert outcome.ratio == Spread(2.5, 2.0, 3.0)


def test_a_goal_that_was_missed_says_so_and_stops_nothing(tmp_path: Path) -> None:
    outcomes = run(_contest([(1.0, 1.0)] * 2, Goal("≥ 2 ×", lambda _, ratio: ratio >= 2)), rounds=1, size=1)
    write_json(outcomes, tmp_path / "bench.json")
    assert "| ≥ 2 × | **no** |" in table(outcomes)
    assert json.loads((tmp_path / "bench.json").read_text())[0]["met"] is False


def test_a_line_without_a_goal_is_neither_met_nor_missed() -> None:
    line = Line("something", "s", "ours")
    assert Outcome(line, Spread(1, 1, 1), None, None).met is None


def _contest(figures: list[tuple[float, float]], *goals: Goal) -> Contest:
    rounds = [{"ours": ours, "peer": peer} for ours, peer in figures]
    line = Line("something", "/s", "ours", "peer", "somebody", goals)
    return Contest("made up", (line,), lambda _: nullcontext(lambda number: rounds[number]))
