"""A process with few descriptors that serves as a controller does, for ``tests/unit/serving/test_descriptors.py``.

``python -m tests.support.starved_process DIRECTORY SOFT HARD``. Its ``/v1/balances`` opens and closes 60 sockets; its ``/v1/gates``
takes every descriptor that is left, for good.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from controller.console.app import create_app as create_console
from controller.console.limits import LOCAL_LIMITS, TCP_LIMITS
from controller.console.schema import BalanceView, GateView, StatusView
from controller.console.server import serving, serving_socket
from controller.gateway.app import create_app as create_gateway
from controller.gateway.limits import GatewayLimits
from controller.gateway.server import serving as serving_gateway
from controller.serving.acceptor import Acceptors
from controller.serving.descriptors import in_use, limit, raise_limit, share
from controller.telemetry.logs import open_logs
from controller.telemetry.redact import Redactor
from tests.support.fixed_keys import FixedKeys
from tests.support.operator_port import FakePort
from tests.unit.gateway.fake_port import FakePort as FakeGateway

SOCKETS = 60


@dataclass
class Port(FakePort):
    """An operator port that says and does something about descriptors."""

    async def status(self) -> StatusView:
        return self.view.model_copy(update={"controller_id": f"limit-{limit()}"})

    async def balances(self) -> Sequence[BalanceView]:
        opened = [socket.socket() for _ in range(SOCKETS)]
        for one in opened:
            one.close()
        return []

    async def gates(self) -> Sequence[GateView]:
        with suppress(OSError):
            while True:
                os.open(os.devnull, os.O_RDONLY)
        return []


async def main(directory: Path) -> None:
    """Serve until killed."""
    budget = share(limit(), in_use(), gateway=256)
    limits, acceptors, port = GatewayLimits(), Acceptors(budget.ceiling), Port()
    limits = replace(limits, connection=limits.connection.at_most(budget.gateway))
    remote = replace(TCP_LIMITS, connection=TCP_LIMITS.connection.at_most(budget.console))
    local = replace(LOCAL_LIMITS, connection=LOCAL_LIMITS.connection.at_most(budget.local))
    async with (
        serving_gateway(create_gateway(FakeGateway(), FixedKeys(), limits), "127.0.0.1", 0, limits, acceptors) as gateway,
        serving(create_console(port, local=False, limits=remote), "127.0.0.1", 0, remote, acceptors) as console,
        serving_socket(create_console(port, local=True, limits=local), directory / "gatehouse.sock", local, acceptors),
    ):
        written = directory / "ports.new"
        written.write_text(json.dumps({"console": console, "gateway": gateway}))
        written.rename(directory / "ports")
        await asyncio.Event().wait()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
    raise_limit()
    open_logs(Redactor())
    asyncio.run(main(Path(sys.argv[1])))
