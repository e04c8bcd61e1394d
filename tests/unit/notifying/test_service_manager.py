"""What a service manager hears: nothing without one, and that the work goes on only while it does."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.notifying.progress import LoopTurns, feed
from controller.notifying.service_manager import NONE, ServiceManager, Turns, from_environment


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


class Manager:
    """The side of systemd: a socket, and what came through it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self._heard: list[str] = []

    def heard(self) -> list[str]:
        """Every line so far."""
        try:
            while True:
                self._heard += self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return self._heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def watched(manager: Manager, watchdog_us: int = 40_000) -> ServiceManager:
    return ServiceManager(str(manager.path), watchdog_us)


def test_the_manager_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": str(os.getpid())}.items():
        monkeypatch.setenv(name, value)
    assert from_environment() == ServiceManager("/run/n", 9_000_000)
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
    assert from_environment() == NONE


def test_a_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}.items():
        monkeypatch.setenv(name, value)
    assert from_environment() == ServiceManager("/run/n", 0)


def test_a_manager_that_does_not_listen_changes_nothing(tmp_path: Path) -> None:
    ServiceManager(str(tmp_path / "nobody"), 1).ready("MOCK")
    NONE.ready("MOCK")


def test_a_status_is_one_line(manager: Manager) -> None:
    watched(manager).status("HALTED: two\nlines €")
    assert manager.heard() == ["STATUS=HALTED: two lines €"]


async def test_ready_is_said_only_when_the_work_has_begun(manager: Manager) -> None:
    at: list[int] = []
    task = asyncio.create_task(feed(watched(manager), lambda: at[-1] if at else None, lambda: "MOCK"))
    await asyncio.sleep(0.1)
    assert manager.heard() == []
    at.append(1)
    await until(lambda: "READY=1" in manager.heard())
    task.cancel()


async def test_work_that_stands_still_is_not_said_to_go_on(manager: Manager) -> None:
    looks = 0

    def progress() -> int:
        nonlocal looks
        looks += 1
        return 7

    task = asyncio.create_task(feed(watched(manager), progress, lambda: "MOCK"))
    await until(lambda: looks > 5)
    assert manager.heard() == ["READY=1", "STATUS=MOCK"]
    task.cancel()


async def test_work_that_goes_on_is_said_to(manager: Manager) -> None:
    task = asyncio.create_task(feed(watched(manager), LoopTurns(), lambda: "MOCK"))
    await until(lambda: manager.heard().count("WATCHDOG=1") >= 3)
    task.cancel()


async def test_a_new_stage_is_said_once(manager: Manager) -> None:
    stage, turns = "MOCK", LoopTurns()
    task = asyncio.create_task(feed(watched(manager), turns, lambda: stage))
    await until(lambda: "STATUS=MOCK" in manager.heard())
    stage = "HALTED: a test"
    await until(lambda: manager.heard().count("WATCHDOG=1") >= 3)
    assert manager.heard().count("STATUS=HALTED: a test") == 1
    task.cancel()


def test_without_a_watchdog_nothing_is_said_to_go_on(manager: Manager) -> None:
    Turns(watched(manager, 0))()
    assert manager.heard() == []


def test_turns_are_not_said_more_often_than_needed(manager: Manager) -> None:
    turned = Turns(watched(manager, 60_000_000))
    for _ in range(100):
        turned()
    assert manager.heard() == ["WATCHDOG=1"]
