"""``gatehouse status --wait-for``: what it waits for, and what ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.show.wait import Pace, wait_for_stage
from controller.console.schema import PendingView
from exchange.errors import DeadlineExceeded, Halted
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, Served, printed


class Seconds:
    """Seconds that pass only in ``sleep``; ``then`` happens at the first of them."""

    def __init__(self, then: object = None) -> None:
        self.at = 0.0
        self.then = then

    def pace(self, within_s: float | None = None) -> Pace:
        return Pace(1.0, within_s, lambda: self.at, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        if callable(self.then):
            self.then()


def at(served: Served, stage: Stage, reason: str = "") -> None:
    served.port.view = served.port.view.model_copy(update={"stage": stage, "position": stage.value, "halt_reason": reason})


def test_it_ends_with_the_status_of_the_stage_that_was_waited_for(served: Served) -> None:
    time, said = Seconds(lambda: at(served, Stage.VALIDATED)), []
    found = wait_for_stage(served.directory, Stage.VALIDATED, time.pace(), said.append)
    assert (found.stage, time.at) == (Stage.VALIDATED, 1.0)
    assert said == ["waiting for VALIDATED: the deployment is at TESTNET_VALIDATING"]


def test_a_halt_ends_it(served: Served) -> None:
    time = Seconds(lambda: at(served, Stage.HALTED, "0.5 EUR were lost"))
    with pytest.raises(Halted, match=r"0\.5 EUR were lost"):
        wait_for_stage(served.directory, Stage.VALIDATED, time.pace(), lambda _: None)


def test_a_signed_way_out_of_a_halt_is_waited_for(served: Served) -> None:
    resumes = PendingView(
        command_id="c",
        verb=Verb.RESUME,
        target="VALIDATED",
        persons=("alice",),
        reason="",
        since_ms=0,
        applies_at_ms=1,
        payload_digest="",
    )
    served.port.view = served.port.view.model_copy(update={"pending": resumes})
    at(served, Stage.HALTED, "an operator")
    said: list[str] = []
    found = wait_for_stage(served.directory, Stage.VALIDATED, Seconds(lambda: at(served, Stage.VALIDATED)).pace(), said.append)
    assert found.stage is Stage.VALIDATED
    assert "resume to VALIDATED waits for its cooling-off period" in said[0]


def test_a_halt_can_be_waited_for(served: Served) -> None:
    at(served, Stage.HALTED)
    assert wait_for_stage(served.directory, Stage.HALTED, Seconds().pace(0), lambda _: None).stage is Stage.HALTED


def test_it_gives_up_in_time_and_says_where_it_is(served: Served) -> None:
    time = Seconds()
    with pytest.raises(DeadlineExceeded, match=r"after 2\.5 s: the deployment is at TESTNET_VALIDATING"):
        wait_for_stage(served.directory, Stage.VALIDATED, time.pace(2.5), lambda _: None)
    assert time.at == 2.5


def test_a_controller_that_is_not_there_is_waited_for(deployment: Path) -> None:
    said: list[str] = []
    with pytest.raises(DeadlineExceeded):
        wait_for_stage(deployment, Stage.MOCK, Seconds().pace(3), said.append)
    assert len(said) == 1


def test_the_verb_shows_the_stage_or_ends_with_exit_code_7(run: Run, served: Served) -> None:
    shown = run("status", "-d", served.directory, "--wait-for", "TESTNET_VALIDATING", "-o", "json")
    assert printed(shown)["stage"] == "TESTNET_VALIDATING"
    assert run("status", "-d", served.directory, "--wait-for", "LIVE_EUR10", "--within", "0").exit_code == 7
    assert run("status", "-d", served.directory, "--wait-for", "MOON").exit_code == 2
