"""The summary of a run counts exactly what passing tests report."""

from typing import Literal

import pytest

from tests.support.counting import Counted, Totals


def report(*said: tuple[str, int, str], outcome: Literal["passed", "failed"] = "passed", when: str = "call") -> pytest.TestReport:
    properties: list[tuple[str, object]] = [("counted", one) for one in said]
    return pytest.TestReport("a test", ("", 0, ""), {}, outcome, None, when, user_properties=properties)  # type: ignore[arg-type]


def summary(*reports: pytest.TestReport) -> list[str]:
    totals = Totals()
    for one in reports:
        totals.pytest_runtest_logreport(one)
    return totals.lines()


def test_counts_of_several_tests_add_up_and_kinds_count_once() -> None:
    first = report(("attack vectors", 1, "expired"), ("attack vectors", 1, "expired"))
    second = report(("attack vectors", 1000, "revoked-key"))
    assert summary(first, second) == ["attack vectors: 1,002 refused, each with its exact reason (2 codes)"]


def test_a_failed_test_adds_no_count() -> None:
    assert summary(report(("attack vectors", 1, "expired"), outcome="failed")) == []


def test_a_count_is_added_once_though_a_test_reports_three_phases() -> None:
    said = ("attack vectors", 1, "expired")
    assert summary(report(said, when="setup"), report(said), report(said, when="teardown")) == summary(report(said))


def test_a_name_without_a_line_is_refused(counted: Counted) -> None:
    with pytest.raises(AssertionError, match="has no line"):
        counted("good intentions")
