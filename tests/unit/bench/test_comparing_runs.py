"""Two runs of the benches are compared by the ranges of their rounds."""

from __future__ import annotations

from typing import Any

from ops.bench.compare import moved, report
from ops.bench.order_path import stages_of
from ops.bench.order_stages import MARKS, STAGES


def _row(what: str, low: float, middle: float, high: float, unit: str = "µs", *, peer: bool = True) -> dict[str, Any]:
    spread = {"median": middle, "min": low, "max": high}
    return {"bench": "made-up", "what": what, "unit": unit, "ours": spread, "ratio": spread if peer else None}


def _run(*rows: dict[str, Any], size: float = 1.0, cores: int = 2) -> dict[str, Any]:
    machine = {"system": "Linux", "cores": cores, "python": "CPython 3"}
    loads = {"load_before": [0.1, 0.1, 0.1], "load_after": [2, 1, 0.5]}
    return {"on": "2026-01-01", "machine": machine, **loads, "rounds": 7, "size": size, "rows": list(rows)}


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


def test_a_line_that_one_run_could_not_measure_is_left_out() -> None:
    missing = {**_row("sync", 1, 2, 3), "ours": None, "ratio": None}
    assert moved([_row("sync", 1, 2, 3)], [missing]) == moved([missing], [_row("sync", 1, 2, 3)]) == []


def test_a_figure_without_any_range_has_to_move_by_a_twentieth() -> None:
    before = [_row("memory", 100, 100, 100)]
    assert moved(before, [_row("memory", 104, 104, 104)]) == []
    assert moved(before, [_row("memory", 106, 106, 106)])[0].worse


def test_what_became_worse_is_named_and_counts() -> None:
    text, worse = report(_run(_row("sync", 1, 2, 3)), _run(_row("sync", 4, 5, 6)))
    assert "\nworse: sync: 2 → 5" in text
    assert worse


def test_a_run_that_did_not_move_says_so() -> None:
    text, worse = report(_run(_row("sync", 1, 2, 3)), _run(_row("sync", 1, 2, 3)))
    assert text.endswith("Nothing moved by more than noise.")
    assert not worse


def test_a_run_of_another_size_is_not_compared() -> None:
    text, worse = report(_run(_row("sync", 1, 2, 3)), _run(_row("sync", 4, 5, 6), size=0.1))
    assert text == "Not compared with the kept run: one has size 1 and the other 0.1."
    assert not worse


def test_a_run_of_another_machine_says_what_differs() -> None:
    text, _ = report(_run(_row("sync", 1, 2, 3)), _run(_row("sync", 1, 2, 3), cores=8))
    assert "It was measured with other: cores." in text


def test_a_line_that_is_gone_is_named_when_its_bench_ran() -> None:
    text, _ = report(_run(_row("sync", 1, 2, 3), _row("decide", 1, 2, 3)), _run(_row("sync", 1, 2, 3)))
    assert "no longer measured: decide" in text
    text, _ = report(_run(_row("sync", 1, 2, 3)), _run({**_row("decide", 1, 2, 3), "bench": "another"}))
    assert "no longer measured" not in text


def test_the_stages_are_the_whole_time_of_an_order() -> None:
    line = str([[place * 1_000, place * 10] for place, _ in enumerate(MARKS)])
    found = stages_of([line])
    assert sum(found[name] for name in STAGES) == found["whole"] == len(MARKS) - 1
