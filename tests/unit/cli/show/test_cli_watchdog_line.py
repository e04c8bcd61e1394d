"""What ``gatehouse status`` says about the watchdog."""

import pytest

from controller.console.watchdog_view import WatchdogView
from tests.support.cli_kit import Run, Served

GOOD = WatchdogView(
    connected=True,
    phase="watching",
    lease_ms=30_000,
    answer_age_ms=120,
    read_age_ms=4_200,
    venues=("live",),
    required=True,
)


def test_status_says_plainly_that_there_is_no_watchdog(run: Run, served: Served) -> None:
    assert "no watchdog: if this controller dies" in run("status", "-d", served.directory).stdout


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (GOOD, "watching, live; answered 120 ms ago, lease 30 s, open orders read 4 s ago"),
        (GOOD.model_copy(update={"problem": "its key does not work"}), "its key does not work"),
        (GOOD.model_copy(update={"connected": False, "problem": "no such file"}), "NOT CONNECTED: no such file"),
    ],
    ids=["well", "a problem", "gone"],
)
def test_status_shows_how_the_watchdog_is(run: Run, served: Served, view: WatchdogView, words: str) -> None:
    served.port.view = served.port.view.model_copy(update={"watchdog": view})
    assert words in run("status", "-d", served.directory).stdout
