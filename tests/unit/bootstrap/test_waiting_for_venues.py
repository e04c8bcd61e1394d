"""A start that waits for a venue: it asks until there is an answer, and says what it waits for without saying it all the time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest

from controller.bootstrap.stopping import StopSignals
from controller.runtime.venues import waiting
from controller.runtime.venues.waiting import Waiting, until_answered
from exchange.errors import ConfigError, VenueError
from tests.support.stopped_clock import StoppedClock

DEAF = """
import asyncio
from threading import Event
from controller.cli.shared.signals import run_until_stopped
async def work():
    print("at work", flush=True)
    while True:
        pass
run_until_stopped(work(), Event())
"""

DEAF_START = """
import asyncio
from controller.bootstrap.stopping import StopSignals, end_start
async def work():
    StopSignals(end_start)
    print("at work", flush=True)
    while True:
        pass
asyncio.run(work())
"""


def silent(because: str = "it does not answer") -> VenueError:
    return VenueError(because, code="venue-silent", remedy="Start the venue first.")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    """A clock that a pause moves on, so that no test waits."""
    clock = StoppedClock(1_700_000_000_000)

    async def pause(seconds: float) -> None:
        clock.at += round(seconds * 1000)  # type: ignore[assignment]

    monkeypatch.setattr(waiting.asyncio, "sleep", pause)
    return clock


async def test_it_asks_until_there_is_an_answer_and_says_so_ever_less(clock: StoppedClock) -> None:
    said: list[Waiting] = []

    async def ask() -> str:
        if clock.at < 1_700_000_000_000 + 3_600_000:
            raise silent()
        return "here"

    assert await until_answered(ask, "the testnet venue", clock, said.append) == "here"
    seconds = [one.seconds for one in said]
    assert seconds[0] == 0
    assert 40 < len(seconds) < 80
    assert max(later - before for before, later in pairwise(seconds)) <= 66
    assert said[-1].line("now").startswith("waiting for the testnet venue since now (")
    assert said[-1].line("now").endswith(": it does not answer. Start the venue first.")
    assert {one.since for one in said} == {1_700_000_000_000}


async def test_another_reason_is_said_at_once(clock: StoppedClock) -> None:
    said: list[Waiting] = []
    reasons = iter(["refused", "refused", "it is slow", "refused"])

    async def ask() -> None:
        if (because := next(reasons, "")) != "":
            raise silent(because)

    await until_answered(ask, "the live venue", clock, said.append)
    assert [one.because for one in said] == ["refused", "it is slow", "refused"]


async def test_an_error_that_no_wait_can_cure_ends_it(clock: StoppedClock) -> None:
    async def ask() -> None:
        raise ConfigError("no such file", code="no-secret", remedy="Write it.")

    with pytest.raises(ConfigError):
        await until_answered(ask, "the live venue", clock, lambda _: None)


@pytest.mark.parametrize("script", [DEAF, DEAF_START], ids=["testnet", "controller"])
def test_a_start_that_does_not_hear_the_signal_ends_too(script: str) -> None:
    with subprocess.Popen((sys.executable, "-c", script), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"at work\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()


async def test_a_part_of_a_start_ends_when_the_stop_comes() -> None:
    signals = StopSignals(lambda: pytest.fail("the start heard the signal"))
    ended = asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    try:
        waits = asyncio.ensure_future(signals.unless_stopped(work()))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await waits is None
        assert ended.is_set()
        assert not signals.at_once.is_set()
        assert await signals.unless_stopped(asyncio.sleep(0, "done")) in {"done", None}
        os.kill(os.getpid(), signal.SIGINT)
        await signals.at_once.wait()
    finally:
        signals.started()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
