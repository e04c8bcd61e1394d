"""Counts what the tests try. The counts are the last lines of ``make test``, and of ``make proofs`` in full.

A test takes the fixture ``counted`` and says, after its last assertion, what it has just shown::

    def test_a_command_at_the_wrong_time_changes_nothing(..., code: str, counted: Counted) -> None:
        ...
        counted("attack vectors", kind=code)

``number`` is for a test that tried many at once; of ``kind`` the different ones are counted, as refusal codes are. A test that
fails counts nothing, and a line is printed only when something was counted. ``LINES`` says what each name means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import pytest

LINES = {
    "attack vectors": "{number:,} refused, each with its exact reason ({kinds} codes)",
    "crash states": "{number:,} rebuilt as kill -9 and power loss leave a disk: nothing promised was lost or came twice",
    "slow connections": "{number:,} halts while connections to a venue open slowly: no order arrived after its latch",
    "kill points": "{number:,} processes killed at a system call or around a send: nothing promised was lost or sent twice",
    "failing disks": "{number:,} faults injected ({kinds} sorts): each was survived or stopped the writer",
    "faults": "{number:,} whole deployments broken ({kinds} sorts): each halted, stopped or refused to start, and said why",
    "lying venues": "{number:,} histories of a venue that lies: never more open than the cap, and no live order was given up",
    "busy readings": "{number:,} of accounts whose bot never paused, each compared with the books: all agreed",
    "sequences": "{number:,} played against the venue's own books: every invariant held after every step",
    "model states": "{number:,} explored exhaustively in {kinds} configurations: no violation",
    "model mutants": "{number:,} protections removed from the model one at a time: each violation found",
}

PROPERTY = "counted"


class Counted(Protocol):
    """What the fixture gives."""

    def __call__(self, name: str, number: int = 1, *, kind: str = "") -> None:
        """Count ``number`` under a name of ``LINES``."""
        ...


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Counted:
    """Count what the test has shown."""

    def count(name: str, number: int = 1, *, kind: str = "") -> None:
        assert name in LINES, f"{name!r} has no line in {__name__}.LINES"
        record_property(PROPERTY, (name, number, kind))

    return count


class Totals:
    """The sums over all tests and all their processes."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._kinds: dict[str, set[str]] = {name: set() for name in LINES}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test's own words travel with its report, so the process that collects the reports hears all of them."""
        if report.when != "call" or not report.passed:
            return
        for key, value in report.user_properties:
            if key == PROPERTY:
                name, number, kind = value
                self._numbers[name] += number
                self._kinds[name] |= {kind} - {""}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line for each thing that was counted."""
        for line in self.lines():
            terminalreporter.write_line(line)

    def lines(self) -> list[str]:
        """The lines, in the order of ``LINES``."""
        return [
            f"{name}: {LINES[name].format(number=self._numbers[name], kinds=len(self._kinds[name]))}"
            for name in LINES
            if self._numbers[name]
        ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark who takes part, for ``make proofs``."""
    for item in items:
        if isinstance(item, pytest.Function) and "counted" in item.fixturenames:
            item.add_marker(pytest.mark.counted)


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that prints the summary adds up."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Totals(), "totals")
