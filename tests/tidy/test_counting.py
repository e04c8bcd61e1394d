"""What the summary says was tried is what passing tests said they tried, and nothing else."""

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


def test_what_several_tests_said_is_added_up_and_kinds_are_counted_once() -> None:
    first = report(("attack vectors", 1, "expired"), ("attack vectors", 1, "expired"))
    second = report(("attack vectors", 1000, "revoked-key"))
    assert summary(first, second) == ["attack vectors: 1,002 refused, each with its exact reason (2 codes)"]


def test_a_test_that_failed_has_shown_nothing() -> None:
    assert summary(report(("attack vectors", 1, "expired"), outcome="failed")) == []


def test_what_is_said_once_is_counted_once_although_each_test_reports_three_times() -> None:
    said = ("attack vectors", 1, "expired")
    assert summary(report(said, when="setup"), report(said), report(said, when="teardown")) == summary(report(said))


def test_a_name_without_a_line_is_refused(counted: Counted) -> None:
    with pytest.raises(AssertionError, match="has no line"):
        counted("good intentions")
