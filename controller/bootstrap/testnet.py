"""Keeps the testnet of ``[testnet.run]`` running beside the controller, and notices a testnet that is another one (ADR 33).

The process has a session of its own: it outlives a controller that dies or leaves orders open, so that the watchdog still finds
them, and the next start takes it over. A controller that ends with nothing left open ends it too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.bootstrap.supervise import Supervisor
from controller.core.effects import Alert, AlertKind
from controller.notifying.ahead import Waiting
from controller.settings.beside import TESTNET_OUTPUT, arguments_of_testnet
from exchange.errors import GatehouseError
from exchange.mexc.provenance import ask_provenance
from exchange.ports import VenueName
from exchange.testnet.state.store import ATTACHED, holder

INSTANCE_FILE = "testnet.instance"
ENDS_WITHIN_S = 3.5
"""How long the testnet may take to end after SIGTERM before it is killed; it has everything on disk already."""

ASK_EVERY_S = 10.0
_LOOK_EVERY_S = 0.05

Notify = Callable[[Alert], object]


def keep_testnet(
    deployment: Deployment, notify: Notify, nothing_left: asyncio.Event, stack: AsyncExitStack, waiting: Waiting
) -> None:
    """Keep the deployment's testnet running, if the settings have one here, until ``stack`` ends.

    It is then ended too if ``nothing_left`` is set: no order of ours is open there. It is taken from those that were started
    ahead and are ``waiting``.
    """
    settings = deployment.settings.testnet
    if settings.run is None:
        return
    directory, loop = deployment.directory.resolve(), asyncio.get_running_loop()
    state = settings.run.directory(directory, deployment.data.resolve())
    arguments = arguments_of_testnet(deployment.directory, deployment.settings)
    supervisor = Supervisor(
        "testnet",
        AlertKind.TESTNET,
        arguments,
        deployment.data / TESTNET_OUTPUT,
        lambda: holder(state) is not None,
        lambda alert: loop.call_soon_threadsafe(notify, alert),
        waiting.take(arguments),
    )
    supervisor.start()

    async def end() -> None:
        supervisor.end()
        if nothing_left.is_set():
            await asyncio.to_thread(_end_process, supervisor, state)

    stack.push_async_callback(end)


def _end_process(supervisor: Supervisor, state: Path) -> None:
    pid = supervisor.pid or _attached(state)
    _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + ENDS_WITHIN_S
    while (runs := bool(supervisor.pid or _attached(state))) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    if runs:
        _signal(pid, signal.SIGKILL)


def _attached(state: Path) -> int:
    """The process that a controller started on this state directory, or 0."""
    found = holder(state)
    return found[0] if found is not None and found[1] == ATTACHED else 0


def _signal(pid: int, number: int) -> None:
    if pid:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def watch_instance(deployment: Deployment, notify: Notify, stack: AsyncExitStack) -> None:
    """Remember which testnet this deployment last saw, in a file, and alert when it is another one, until ``stack`` ends.

    Another testnet has other accounts and orders. Reconciliation finds that by itself and halts; this says why.
    """
    endpoint, path = deployment.endpoint(VenueName.TESTNET), deployment.data / INSTANCE_FILE

    async def watch() -> None:
        while True:
            with suppress(GatehouseError):
                instance_seen(path, (await ask_provenance(endpoint)).instance, notify)
            await asyncio.sleep(ASK_EVERY_S)

    run_beside("testnet instance", watch, notify, stack)


def instance_seen(path: Path, instance: str, notify: Notify) -> None:
    """Compare the instance that the testnet declares with the one in ``path``, and write it there; empty: it declares none."""
    with suppress(OSError):
        before = path.read_text(encoding="ascii", errors="replace").strip() if path.exists() else ""
        if not instance or instance == before:
            return
        path.write_text(instance + "\n", encoding="ascii")
        if before:
            detail = f"it was {before} and is {instance}: a new state directory, with new accounts, orders and ids"
            notify(Alert(AlertKind.RECONCILIATION, "the testnet is another one", detail))
