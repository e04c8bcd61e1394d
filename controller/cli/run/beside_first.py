"""Starts the processes beside a controller before the controller is loaded (ADR 79). ``run.processes`` calls it."""

from __future__ import annotations

from pathlib import Path

from controller.notifying.ahead import Waiting, start_ahead
from controller.settings.beside import TESTNET_OUTPUT, WATCHDOG_OUTPUT, arguments_of_testnet, arguments_of_watchdog
from controller.settings.deployment import Settings
from controller.signer.spawn import DESCRIPTOR, PID


def start_beside(directory: Path, settings: Settings) -> Waiting:
    """The watchdog and the testnet that this deployment keeps here and that do not run, loading and waiting.

    None of them beside a journal in a database: that controller may have to stand by for days. One that cannot be started now is
    started by the controller later.
    """
    if settings.journal:
        return Waiting()
    data = directory / settings.data
    wanted = []
    if settings.watchdog.enabled and not settings.watchdog.address and not _watchdog_runs(data):
        wanted.append((arguments_of_watchdog(directory), WATCHDOG_OUTPUT))
    if settings.testnet.run is not None and not _testnet_runs(settings.testnet.run.directory(directory, data)):
        wanted.append((arguments_of_testnet(directory, settings), TESTNET_OUTPUT))
    started = (start_ahead(arguments, data / output, without=(DESCRIPTOR, PID)) for arguments, output in wanted)
    return Waiting(ahead for ahead in started if ahead is not None)


def _watchdog_runs(data: Path) -> bool:
    from controller.watchdog.log import LOCK_FILE, is_locked

    # Asking makes the file, and a start that is refused leaves the folder as it was.
    return (data / LOCK_FILE).exists() and is_locked(data)


def _testnet_runs(state: Path) -> bool:
    from exchange.testnet.state.store import holder

    return holder(state) is not None
