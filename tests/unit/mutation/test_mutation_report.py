"""What `make mutate` makes of its results, what it changes, and that no judged survivor is about code that has changed."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
import pytest

from ops.mutation import operators
from ops.mutation.judging import Judged, Mutant, Tally, outdated, read, report

ROOT = Path(__file__).parents[3]
FILE = "policies/limits.py"
MUTANT = Mutant(FILE, "check", "if a < b:", "if a <= b:")
JUDGED = Judged(MUTANT, "Both give the same.")


def passes(tally: Tally, *judged: Judged, whole: bool = True) -> bool:
    _, good = report({FILE: tally}, judged, whole=whole)
    return good


def test_a_run_that_kills_everything_passes() -> None:
    assert passes(Tally(10))


def test_a_survivor_that_nobody_judged_fails_the_run() -> None:
    assert not passes(Tally(99, [MUTANT]))


def test_a_judged_survivor_passes() -> None:
    assert passes(Tally(99, [MUTANT]), JUDGED)


def test_a_judged_survivor_still_lowers_the_score() -> None:
    assert not passes(Tally(8, [MUTANT]), JUDGED)


def test_nine_of_ten_are_enough() -> None:
    assert passes(Tally(9, [MUTANT]), JUDGED)


def test_a_judged_mutant_that_is_killed_by_now_fails_the_run() -> None:
    assert not passes(Tally(10), JUDGED)


def test_a_part_of_a_run_says_nothing_about_the_other_judged_ones() -> None:
    assert passes(Tally(10), JUDGED, whole=False)


def test_the_report_shows_the_score_of_each_file_and_of_all() -> None:
    lines, _ = report({FILE: Tally(3, [MUTANT]), "policies/rules.py": Tally(4)}, [JUDGED], whole=True)
    assert lines[0] == " 75.0 %     3 of    4  policies/limits.py"
    assert " 87.5 %     7 of    8  in all; 1 survive, 0 of them not judged" in lines


def test_the_report_shows_what_an_unjudged_survivor_changes() -> None:
    lines, _ = report({FILE: Tally(3, [MUTANT])}, [], whole=True)
    assert "policies/limits.py, check\n  - if a < b:\n  + if a <= b:" in lines


def test_every_judged_survivor_is_about_code_that_exists() -> None:
    assert outdated(read(), ROOT) == []


def test_every_judged_survivor_has_a_reason() -> None:
    assert all(len(one.why) > 20 for one in read())


def test_a_judged_survivor_of_code_that_changed_is_outdated(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / FILE).write_text("def check():\n    if a > b:\n        pass\n")
    assert outdated([JUDGED], tmp_path) == [MUTANT]
    (tmp_path / FILE).write_text("def check():\n    if a < b:\n        pass\n")
    assert outdated([JUDGED], tmp_path) == []


# What is changed


def call(text: str) -> cst.Call:
    return cst.ensure_type(cst.parse_expression(text), cst.Call)


def changed(text: str) -> list[str]:
    return [cst.Module([]).code_for_node(one) for one in operators.arguments(call(text))]


def test_a_bound_loses_each_of_its_arguments() -> None:
    assert changed("max(a, b)") == ["(a)", "(b)"]


def test_an_argument_becomes_none_and_a_named_one_is_left_out_too() -> None:
    assert changed("f(a, by=b)") == ["f(None, by=b)", "f(a, by=None)", "f(a, )"]


@pytest.mark.parametrize("text", ['"two words"', 'f"two {words}"', '"two " "words"', '"two " + words', '"a b" if c else "d e"'])
def test_a_text_for_people_stays_as_it_is(text: str) -> None:
    assert changed(f"f({text})") == []


@pytest.mark.parametrize("text", ['"word"', 'f"{word}"', "word", '"a b" if c else d'])
def test_anything_else_is_changed(text: str) -> None:
    assert changed(f"f({text})") == ["f(None)"]
