"""A deployment on disk, and a real operator API on its unix socket that answers with fixed values."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
import typer.testing
from typer.testing import CliRunner, Result

from controller.cli.app import app
from controller.cli.setup.deployment import Ports, write_deployment
from controller.cli.shared.client import SOCKET_NAME
from controller.console.app import create_app
from controller.console.server import serving_socket
from tests.support.cli_kit import Run, Served
from tests.support.operator_port import FakePort
from tests.support.printed_json import check_printed
from tests.support.rig import free_port

# Built once: the runner would build the command line for each call, which takes longer than most calls.
_built = cache(typer.main.get_command)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process, as with piped output. JSON that it prints has to fit the verb's published schema."""
    monkeypatch.setattr(typer.testing, "_get_command", _built)

    def invoke(*arguments: str | Path, answer: str | None = None) -> Result:
        environment = {"COLUMNS": "200", "NO_COLOR": "1", "GATEHOUSE_DIR": None}
        typed = [str(argument) for argument in arguments]
        result = CliRunner(env=environment).invoke(app, typed, input=answer)
        check_printed(typed, result)
        return result

    return invoke


@pytest.fixture
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo deployment on free ports; the path is short because a unix socket needs a short path."""
    directory = tmp_path_factory.mktemp("d")
    write_deployment(directory, Ports(*(free_port() for _ in range(4))))
    (directory / "var").mkdir()
    return directory


@pytest.fixture
def served(deployment: Path) -> Iterator[Served]:
    """The operator API on the deployment's socket, run beside the test."""
    port = FakePort()
    up, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving_socket(create_app(port, local=True), deployment / "var" / SOCKET_NAME):
            up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(5)
    yield Served(deployment, port)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
