from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from controller.console import server as server_module
from controller.console.app import create_app
from controller.console.server import serving, serving_socket
from controller.serving import DRAIN_S
from exchange.errors import ConfigError, Refused
from tests.support.loopback import http_at, http_over
from tests.support.operator_port import FakePort


async def test_the_console_answers_on_tcp_and_the_port_is_free_afterwards() -> None:
    async with serving(create_app(FakePort(), local=False), "127.0.0.1", 0) as port, http_at() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/v1/status")).status_code == 200
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_the_process_keeps_its_own_signal_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving(create_app(FakePort(), local=False), "127.0.0.1", 0):
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_a_taken_port_is_a_configuration_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot listen"):
            async with serving(create_app(FakePort(), local=False), "127.0.0.1", taken.getsockname()[1]):
                pass


async def test_an_open_stream_does_not_delay_the_shutdown() -> None:
    loop = asyncio.get_running_loop()
    async with http_at() as client, AsyncExitStack() as server:
        port = await server.enter_async_context(serving(create_app(FakePort(), local=False), "127.0.0.1", 0))
        async with client.stream("GET", f"http://127.0.0.1:{port}/v1/stream") as response:
            lines = response.aiter_lines()
            while await anext(lines) != "event: status":
                pass
            began = loop.time()
            await server.aclose()
            assert loop.time() - began < DRAIN_S / 2


async def test_the_socket_is_private_from_the_start_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "gatehouse.sock"
    before = os.umask(0)
    try:
        async with serving_socket(create_app(FakePort(), local=True), path), http_over(path) as client:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert (await client.get("/v1/status")).status_code == 200
        assert not path.exists()
    finally:
        assert os.umask(before) == 0


async def test_a_process_of_another_user_gets_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "gatehouse.sock"
    port = FakePort()
    strangers = frozenset({os.geteuid() + 1})
    async with serving_socket(create_app(port, local=True), path, uids=strangers), http_over(path) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/v1/halt", json={"reason": "stop"})
    assert port.halted == []


async def test_a_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "gatehouse.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving_socket(create_app(FakePort(), local=True), path), http_over(path) as client:
        assert (await client.get("/v1/status")).status_code == 200


async def test_a_socket_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "gatehouse.sock"
    async with serving_socket(create_app(FakePort(), local=True), path), http_over(path) as client:
        with pytest.raises(Refused, match="already serves"):
            async with serving_socket(create_app(FakePort(), local=True), path):
                pass
        assert (await client.get("/v1/status")).status_code == 200


async def test_a_file_at_the_sockets_path_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "gatehouse.sock"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="not a socket"):
        async with serving_socket(create_app(FakePort(), local=True), path):
            pass
    assert path.read_text() == "precious"


async def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too long"):
        async with serving_socket(create_app(FakePort(), local=True), tmp_path / ("x" * 120)):
            pass


async def test_a_socket_file_that_was_removed_is_served_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "BIND_AGAIN_S", 0.01)
    path = tmp_path / "gatehouse.sock"
    async with serving_socket(create_app(FakePort(), local=True), path):
        path.unlink()
        while not path.exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
        async with http_over(path) as client:
            assert (await client.get("/v1/status")).status_code == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
