"""What a run prints and draws: progress, the summary of its goals, charts."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree as ET

from ops.bench.charts import goals_chart, stages_chart
from ops.bench.order_stages import STAGES
from ops.bench.showing import FLOOR, STAGE, Progress, summary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _row(
    what: str, median: float | None, *, met: bool | None = None, bench: str = "order-path", missing: str = ""
) -> dict[str, Any]:
    spread = None if median is None else {"median": median, "min": median, "max": median}
    goals = [] if met is None else ["≤ 1 ×"]
    return {
        "bench": bench,
        "what": what,
        "unit": "µs",
        "ours": spread,
        "peer": spread,
        "peer_name": "a peer",
        "ratio": spread,
        "goals": goals,
        "met": met,
        "missing": missing,
    }


STAGED = [_row(f"order{STAGE}{name}", 10.0 * place) for place, name in enumerate(STAGES, 1)]
MEASURED = [
    _row("order: median", 2, met=False),
    *STAGED,
    _row(f"order{FLOOR}fdatasync of 500 bytes", 123),
    _row("order: with traces", 3, met=False, bench="order-tracing"),
    _row("halt: to the latch", 0.5, met=True, bench="breach-to-latch"),
    _row("memory", None, met=False, bench="memory", missing="OSError: no disk"),
]
EXPLAINED = {"order-path": "order-path", "order-tracing": "order-path"}


def test_the_summary_counts_what_was_met_missed_and_not_measured() -> None:
    first = summary(MEASURED, EXPLAINED).splitlines()[0]
    assert first == "1 of 4 lines with a goal met it, 2 missed it, 1 could not be measured."


def test_a_missed_goal_has_its_longest_stage_and_the_floor_beside_it() -> None:
    lines = summary(MEASURED, EXPLAINED).splitlines()
    at = lines.index("missed: order: median: 2 µs, 2 × the peer, goal ≤ 1 ×")
    assert lines[at + 1] == "    longest stage in the controller: reply, 100 of 550 µs"
    assert lines[at + 2] == "    floor of the machine: fdatasync of 500 bytes 123 µs"
    assert sum("longest stage" in line for line in lines) == 1


def test_what_was_not_measured_says_why() -> None:
    assert summary(MEASURED, EXPLAINED).splitlines()[-1] == "not measured: memory: OSError: no disk"


def test_progress_is_said_again_only_after_two_seconds() -> None:
    at = iter([10.0, 10.0, 11.9, 12.1, 12.1])
    out = io.StringIO()
    progress = Progress(out, "depth", lambda: next(at))
    for step in ("setting up", "round 1 of 2", "round 2 of 2"):
        progress(step)
    progress.done()
    assert out.getvalue() == "… depth: setting up\n… depth: round 2 of 2\n"


def test_a_terminal_sees_each_round_on_one_line() -> None:
    out = Terminal()
    progress = Progress(out, "depth")
    progress("round 1 of 2")
    progress("round 2 of 2")
    progress.done()
    assert out.getvalue().endswith("\r\033[K… depth: round 2 of 2\r\033[K")
    assert "\n" not in out.getvalue()


def test_the_chart_of_stages_has_a_bar_for_each_stage() -> None:
    drawn = ET.fromstring(stages_chart(STAGED))
    assert len(drawn.findall("{*}rect")) == 1 + len(STAGES)


def test_a_run_without_stages_says_so_on_the_chart() -> None:
    drawn = ET.fromstring(stages_chart([], "order-path-tls"))
    assert [one.text for one in drawn.findall("{*}text")] == [
        "The stages of an order were not measured in this run (order-path-tls)"
    ]


def test_the_chart_of_goals_shows_the_missed_ones_first() -> None:
    drawn = ET.fromstring(goals_chart(MEASURED))
    words = [one.text for one in drawn.findall("{*}text") if one.get("fill") == "#fff"]
    assert words == ["missed", "missed", "not measured", "met"]
