"""The page of the first hour: its commands are read, stand in the order of an operator's first hour, and exist as they are written.

``make first-hour`` runs them in a fresh Debian (tests/support/first_hour).
"""

from __future__ import annotations

import re

import pytest

from tests.support.first_hour.machine import Ended
from tests.support.first_hour.run import PAGE, WITHIN_S, compared
from tests.support.named_commands import problem
from tests.support.runbooks import Step, steps
from tests.support.tidiness import ROOT

COMMANDS = [step.command for step in steps(PAGE.read_text(encoding="utf-8"))]
HOUR = (
    "apt-get install -y ./gatehouse_",
    "gatehouse init ",
    "gatehouse doctor",
    "systemctl start gatehouse-testnet@",
    "systemctl enable --now gatehouse@",
    "gatehouse doctor",
    "bot.py --gateway",
    "gatehouse status",
    "gatehouse propose advance",
    "gatehouse sign ",
    "gatehouse submit ",
    "gatehouse halt ",
    "gatehouse explain halt",
    "gatehouse flatten ",
    "gatehouse report",
    "gatehouse backup create",
    "gatehouse backup restore",
    "apt-get purge",
)
_CALL = re.compile(r"(?<![\w/@-])gatehouse [a-z][^|&;)]*")


def test_the_page_has_every_step_of_the_hour_in_its_order() -> None:
    place = 0
    for wanted in HOUR:
        found = next((number for number, command in enumerate(COMMANDS[place:], place) if wanted in command), None)
        assert found is not None, f"{wanted!r} does not follow what comes before it"
        place = found + 1


def test_every_call_of_gatehouse_on_the_page_is_taken_as_it_stands() -> None:
    calls = [call for command in COMMANDS for call in _CALL.findall(re.sub(r"\s\d?>+\s*\S+", "", command))]
    assert len(calls) > 25
    assert {call: why for call in calls if (why := problem(call))} == {}


@pytest.mark.parametrize("page", ["ops/docs/install.md", "ops/docs/first-hour.md"])
def test_the_readme_leads_to_it_in_one_step(page: str) -> None:
    assert f"({page})" in (ROOT / "README.md").read_text(encoding="utf-8")


STEP = Step("gatehouse status", frozenset({0, 3}), ("HALTED", "exposure"))


@pytest.mark.parametrize("code", [0, 3])
def test_a_command_that_ends_as_the_page_says_is_no_problem(code: int) -> None:
    assert compared(STEP, Ended(code, "HALTED, exposure 0", 1.0)) == ""


@pytest.mark.parametrize(
    ("ended", "problem"),
    [
        (Ended(1, "HALTED, exposure 0", 1.0), "it ended with exit code 1, and the page says 0 or 3"),
        (Ended(0, "HALTED", 1.0), "it did not print 'exposure'"),
        (Ended(None, "HALTED, exposure 0", 300.0), f"it had not ended after {WITHIN_S} s, and was stopped"),
    ],
)
def test_a_command_that_ends_otherwise_is_named(ended: Ended, problem: str) -> None:
    assert compared(STEP, ended) == problem
