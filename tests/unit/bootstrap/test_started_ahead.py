"""The watchdog and the testnet load while the controller loads, and wait until it leads (ADR 79)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from controller.bootstrap.supervise import Supervisor
from controller.cli.run.beside_first import start_beside
from controller.cli.setup.deployment import Ports, write_deployment
from controller.core.effects import Alert, AlertKind
from controller.notifying.ahead import BEGIN, Ahead, Waiting, start_ahead
from controller.settings.beside import WATCHDOG_OUTPUT, arguments_of_testnet, arguments_of_watchdog
from controller.settings.deployment import Settings, load_settings
from controller.signer.spawn import DESCRIPTOR, PID
from controller.watchdog.log import LOCK_FILE, WatchdogLog, is_locked
from exchange.errors import ConfigError
from exchange.model import Millis
from exchange.testnet.state.store import ATTACHED, holder, open_store
from tests.support.memory import runs
from tests.support.receivers import until
from tests.support.rig import ROOT, free_port

LONG_S = 120
"""Far more than a process needs to load on a busy machine; nothing waits for it to pass."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "desk"
    write_deployment(place, Ports(*(free_port() for _ in range(4))))
    path = place / "gatehouse.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("[live]", '[testnet.run]\nfeed = "synthetic"\n\n[live]'), encoding="utf-8"
    )
    (place / "var").mkdir(exist_ok=True)
    return place


@pytest.fixture
def settings(directory: Path) -> Settings:
    return load_settings(directory)


@pytest.fixture
def ahead(directory: Path, settings: Settings) -> Iterator[tuple[Ahead, ...]]:
    started = start_beside(directory, settings).left
    yield started
    for one in started:
        with suppress(ProcessLookupError):
            os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()


def test_what_waits_holds_nothing_and_ends_with_the_controller(
    directory: Path, settings: Settings, ahead: tuple[Ahead, ...]
) -> None:
    assert [one.arguments for one in ahead] == [arguments_of_watchdog(directory), arguments_of_testnet(directory, settings)]
    data = directory / settings.data
    for one in ahead:
        one.drop()
    assert [one.process.wait() for one in ahead] == [0, 0]
    assert not (data / LOCK_FILE).exists()
    assert not (data / "testnet").exists() or holder(data / "testnet") is None
    assert [path.read_text(encoding="utf-8") for path in sorted(data.glob("*.out"))] == ["", ""]


def test_they_end_when_the_controller_is_killed(directory: Path) -> None:
    text = f"""
import time
from pathlib import Path
from controller.cli.run.beside_first import start_beside
from controller.settings.deployment import load_settings
place = Path({str(directory)!r})
print(*(one.process.pid for one in start_beside(place, load_settings(place)).left), flush=True)
time.sleep(600)
"""
    with subprocess.Popen((sys.executable, "-c", text), stdout=subprocess.PIPE, cwd=ROOT) as controller:
        assert controller.stdout is not None
        pids = [int(pid) for pid in controller.stdout.readline().split()]
        assert all(map(runs, pids))
        controller.kill()
    assert len(pids) == 2
    until(lambda: not any(map(runs, pids)), LONG_S)


def supervised(directory: Path, ahead: Ahead | None, running: bool | None = None) -> Supervisor:
    """What keeps a watchdog, which is there or not as ``running`` says; by default as its lock says."""
    data, said = directory / "var", list[Alert]()
    return Supervisor(
        "watchdog",
        AlertKind.WATCHDOG,
        arguments_of_watchdog(directory),
        data / WATCHDOG_OUTPUT,
        lambda: is_locked(data) if running is None else running,
        said.append,
        ahead,
    )


def test_the_process_that_waited_is_the_one_that_is_kept(directory: Path, ahead: tuple[Ahead, ...]) -> None:
    watchdog, _ = ahead
    supervisor = supervised(directory, watchdog)
    supervisor.start()
    try:
        until(lambda: (directory / "var" / WATCHDOG_OUTPUT).read_text(encoding="utf-8").startswith("watchdog at"), LONG_S)
        assert supervisor.pid == watchdog.process.pid
        assert is_locked(directory / "var")
    finally:
        supervisor.end()


def test_it_ends_when_another_runs(directory: Path, ahead: tuple[Ahead, ...]) -> None:
    watchdog, _ = ahead
    supervisor = supervised(directory, watchdog, running=True)
    supervisor.start()
    try:
        assert watchdog.process.wait(LONG_S) == 0
        assert supervisor.pid == 0
    finally:
        supervisor.end()


def test_another_is_started_when_it_died_meanwhile(directory: Path, ahead: tuple[Ahead, ...]) -> None:
    watchdog, _ = ahead
    watchdog.process.kill()
    watchdog.process.wait()
    supervisor = supervised(directory, watchdog, running=False)
    supervisor.start()
    try:
        until(lambda: supervisor.pid, LONG_S)
        assert supervisor.pid != watchdog.process.pid
    finally:
        supervisor.end()
        supervisor.join()
        os.kill(supervisor.pid, signal.SIGKILL)
        until(lambda: not supervisor.pid, LONG_S)


def test_only_what_has_the_same_arguments_is_taken(ahead: tuple[Ahead, ...]) -> None:
    with Waiting(ahead) as waiting:
        assert waiting.take(("watchdog", "--dir", "/elsewhere", "--attached")) is None
        assert waiting.take(ahead[0].arguments) is ahead[0]
        assert waiting.take(ahead[0].arguments) is None
        assert waiting.left == (ahead[1],)


def test_what_nobody_took_ends_when_the_start_fails(ahead: tuple[Ahead, ...]) -> None:
    with pytest.raises(ConfigError), Waiting(ahead):
        raise ConfigError("the journal cannot be opened", code="journal", remedy="Open it.")
    assert [one.process.wait(LONG_S) for one in ahead] == [0, 0]


def test_it_inherits_no_descriptor_of_the_signer(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DESCRIPTOR, "7")
    monkeypatch.setenv(PID, "8")
    for one in start_beside(directory, load_settings(directory)).left:
        names = {pair.partition(b"=")[0].decode() for pair in Path(f"/proc/{one.process.pid}/environ").read_bytes().split(b"\0")}
        one.drop()
        one.process.wait()
        assert BEGIN in names
        assert not names & {DESCRIPTOR, PID}


def test_none_is_started_where_none_may_be_needed(directory: Path, settings: Settings) -> None:
    standby = settings.model_copy(update={"journal": "postgresql://here/journal"})
    elsewhere = settings.watchdog.model_copy(update={"address": "127.0.0.1:1"})
    none_here = settings.model_copy(update={"watchdog": elsewhere, "testnet": settings.testnet.model_copy(update={"run": None})})
    assert start_beside(directory, standby).left == ()
    assert start_beside(directory, none_here).left == ()


def test_none_is_started_beside_one_that_runs(directory: Path, settings: Settings) -> None:
    store = open_store(directory / settings.data / "testnet", Millis(1_700_000_000_000), ATTACHED)
    log = WatchdogLog(directory / settings.data, settings.controller_id, Millis(1_700_000_000_000))
    try:
        assert start_beside(directory, settings).left == ()
    finally:
        log.close()
        store.close()


def test_a_start_that_cannot_start_it_goes_on(tmp_path: Path) -> None:
    assert start_ahead(("watchdog",), tmp_path / "missing" / "watchdog.out") is None


def test_a_descriptor_that_is_none_is_named() -> None:
    command = (sys.executable, "-m", "controller", "watchdog", "--attached")
    ended = subprocess.run(command, env={**os.environ, BEGIN: "none"}, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{BEGIN} is 'none', which is no descriptor" in ended.stderr
