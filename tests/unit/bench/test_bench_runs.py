"""Every bench runs at a tiny size and fills its lines. No test asserts a speed."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from ops.bench import __main__ as program
from ops.bench import kept
from ops.bench.__main__ import CONTESTS
from ops.bench.measure import Contest, Goal, Line, Outcome, Round, Spread, not_run, row_of, run
from ops.bench.showing import table
from tests.support.proofs import proven

TINY = 0.004
DEPLOYMENTS = {"order-path-tls", "order-tracing", "orders-at-once"}
"""These start deployments as ``order-path`` does, which ``make test`` runs."""


@pytest.mark.parametrize("name", proven({name: name for name in sorted(CONTESTS)}, short=sorted(CONTESTS.keys() - DEPLOYMENTS)))
def test_a_bench_runs_and_measures_what_its_lines_show(name: str) -> None:
    outcomes = run(CONTESTS[name], rounds=1, size=TINY)
    assert [one.line for one in outcomes] == list(CONTESTS[name].lines)
    assert all(one.ours is not None and one.ours.least <= one.ours.median <= one.ours.most for one in outcomes)
    assert all(one.ratio is not None and one.ratio.median > 0 for one in outcomes if one.line.peer)


def test_the_ratio_is_taken_round_by_round() -> None:
    outcome = run(_contest([(1.0, 2.0), (9.0, 3.0), (6.0, 3.0)]), rounds=2, size=1)[0]
    assert outcome.ratio == Spread(2.5, 2.0, 3.0)


def test_a_goal_that_was_missed_says_so_and_stops_nothing() -> None:
    outcomes = run(_contest([(1.0, 1.0)] * 2, Goal("≥ 2 ×", lambda _, ratio: ratio >= 2)), rounds=1, size=1)
    rows = [row_of("made up", one) for one in outcomes]
    assert "| ≥ 2 × | **no** |" in table(rows)
    assert rows[0]["met"] is False


def test_a_line_without_a_goal_is_neither_met_nor_missed() -> None:
    line = Line("something", "s", "ours")
    assert Outcome(line, Spread(1, 1, 1), None, None).met is None


def test_what_was_not_measured_reached_no_goal() -> None:
    contest = _contest([], Goal("any", lambda *_: True))
    assert [one.met for one in not_run(contest, "no disk")] == [False]


def test_a_bench_that_takes_long_has_fewer_rounds() -> None:
    said: list[str] = []
    contest = Contest(
        "long", _contest([]).lines, lambda _: nullcontext(lambda number: {"ours": 1.0, "peer": number}), most_rounds=1
    )
    assert run(contest, 7, 1, said.append)[0].peer == Spread(1, 1, 1)
    assert said == ["setting up", "round 1 of 1", "ending"]


def test_a_run_goes_on_after_a_bench_that_cannot_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(_: float) -> AbstractContextManager[Round]:
        raise OSError("no such disk")

    goal = Goal("≥ 1 ×", lambda _, ratio: ratio >= 1)
    sound = _contest([(1.0, 1.0)] * 2, goal)
    monkeypatch.setattr(program, "CONTESTS", {"bad": Contest("bad", sound.lines, broken), "good": sound})
    with pytest.raises(SystemExit) as ended:
        program.main(["--rounds", "1", "--only", "bad", "good", "--json", str(tmp_path / "run.json")])
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "| something | not measured: OSError: no such disk |  |  | ≥ 1 × | **no** |" in said
    assert "1 of 2 lines with a goal met it, 0 missed it, 1 could not be measured." in said
    assert [row["met"] for row in json.loads((tmp_path / "run.json").read_text())["rows"]] == [False, True]


@pytest.mark.parametrize("broken", [True, False])
def test_a_run_is_kept_if_every_bench_could_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, broken: bool
) -> None:
    contest = _contest([] if broken else [(1.0, 1.0)] * 2)
    found: list[object] = []
    monkeypatch.setattr(program, "CONTESTS", {contest.name: contest})
    monkeypatch.setattr(program, "keep", found.append)
    with pytest.raises(SystemExit):
        program.main(["--rounds", "1", "--keep", "--only", contest.name])
    assert (len(found), "The run is not kept" in capsys.readouterr().out) == ((0, True) if broken else (1, False))


@pytest.mark.parametrize("part", [["--only", "depth"], ["--size", "0.5"]])
def test_a_part_of_a_run_is_not_kept(part: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--keep", *part])
    assert "only a whole run of size 1 is kept" in capsys.readouterr().err


def test_a_run_is_compared_with_the_kept_one_unless_another_is_named() -> None:
    named = [program.options([*words]).compare for words in ([], ["--compare"], ["--compare", "other.json"])]
    assert named == [kept.LAST, kept.LAST, Path("other.json")]


def _contest(figures: list[tuple[float, float]], *goals: Goal) -> Contest:
    rounds = [{"ours": ours, "peer": peer} for ours, peer in figures]
    line = Line("something", "/s", "ours", "peer", "somebody", goals)
    return Contest("made up", (line,), lambda _: nullcontext(lambda number: rounds[number]))
