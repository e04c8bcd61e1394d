"""At an orderly end the watchdog ends because it is told so: that is no alert, and no other watchdog is started."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from controller.bootstrap.supervise import Supervisor
from controller.bootstrap.watchdog import say_goodbye_at_the_end
from controller.cli.setup.deployment import Ports, write_deployment
from controller.core.effects import Alert, AlertKind
from controller.runtime.followers.heartbeat import Heartbeat
from controller.settings.beside import WATCHDOG_OUTPUT, arguments_of_watchdog
from controller.watchdog.log import is_locked
from tests.support.receivers import until
from tests.support.rig import free_port

LONG_S = 120


@pytest.mark.parametrize("nothing_left", [True, False])
async def test_only_a_watchdog_that_was_told_to_end_is_no_longer_kept(tmp_path: Path, *, nothing_left: bool) -> None:
    write_deployment(tmp_path / "desk", Ports(*(free_port() for _ in range(4))))
    data, said = tmp_path / "desk" / "var", list[Alert]()
    data.mkdir(exist_ok=True)
    arguments, output = arguments_of_watchdog(tmp_path / "desk"), data / WATCHDOG_OUTPUT
    supervisor = Supervisor("watchdog", AlertKind.WATCHDOG, arguments, output, lambda: is_locked(data), said.append)
    supervisor.start()
    until(lambda: output.exists() and output.read_text(encoding="utf-8").startswith("watchdog at"), LONG_S)
    pid, left = supervisor.pid, asyncio.Event()
    if nothing_left:
        left.set()

    async def goodbye() -> None:
        # The watchdog ends at the goodbye, and the controller goes on ending: what keeps it has time to see that.
        os.kill(pid, signal.SIGTERM)
        until(lambda: said or not supervisor.is_alive(), LONG_S)

    try:
        async with AsyncExitStack() as stack:
            say_goodbye_at_the_end(cast("Heartbeat", SimpleNamespace(goodbye=goodbye)), supervisor, left, stack)
        assert (said, supervisor.is_alive()) == ([], not nothing_left)
    finally:
        supervisor.end()
        supervisor.join()
        if supervisor.pid:
            os.kill(supervisor.pid, signal.SIGKILL)
        until(lambda: not supervisor.pid, LONG_S)
