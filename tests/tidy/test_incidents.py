"""Every incident and every hole of ops/docs/incidents.md names tests that exist, or says why it is not shown."""

from __future__ import annotations

from tests.support.incidents import Row, absent, rows
from tests.support.tidiness import ROOT

PAGE = ROOT / "ops" / "docs" / "incidents.md"
NUMBERS = [f"I{number}" for number in range(1, 32)] + [f"F{number}" for number in range(1, 12)]


def test_every_incident_and_every_hole_has_one_row() -> None:
    assert [row.number for row in rows(PAGE.read_text(encoding="utf-8"))] == NUMBERS


def test_every_row_names_a_test_or_says_why_it_is_not_shown() -> None:
    found = rows(PAGE.read_text(encoding="utf-8"))
    assert [row.number for row in found if not (row.happened and row.does and bool(row.tests) != row.not_shown)] == []


def test_every_test_that_is_named_exists() -> None:
    missing = [f"{row.number}: {one}" for row in rows(PAGE.read_text(encoding="utf-8")) for one in row.tests if absent(one)]
    assert not missing, "name tests that exist:\n" + "\n".join(missing)


# The checkers themselves


def test_rows_are_read_with_their_tests() -> None:
    text = "| I1 | it broke | it holds | `unit/a/test_b.py::c`, `e2e/test_d.py::e` |\n| F2 | x | y | not shown: too large |\n"
    assert rows(text) == [
        Row("I1", "it broke", "it holds", (("unit/a/test_b.py", "c"), ("e2e/test_d.py", "e")), False),
        Row("F2", "x", "y", (), True),
    ]


def test_a_test_that_does_not_exist_is_found() -> None:
    here = "tidy/test_incidents.py"
    assert not absent((here, "a_test_that_does_not_exist_is_found"))
    assert absent((here, "another"))
    assert absent(("tidy/test_elsewhere.py", "a_test_that_does_not_exist_is_found"))
    assert absent(("support/incidents.py", "absent"))
