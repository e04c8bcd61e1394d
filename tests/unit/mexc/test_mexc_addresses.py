"""A TCP socket to the first address that answers, and none left open by a caller that gives up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from exchange.mexc.addresses import connected_socket


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as one:
        yield one


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """An address whose kernel answers no SYN: its queue is full and nothing is accepted."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    async def getaddrinfo(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


def _sockets() -> int:
    open_files = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            open_files += str(one.readlink()).startswith("socket:")
    return open_files


async def _peer(host: str = "a.test") -> object:
    with await connected_socket(host, 1) as found:
        return found.getpeername()


async def test_an_address_that_refuses_gives_way_to_the_next(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, ("127.0.0.1", 1), listening.getsockname())
    assert await _peer() == listening.getsockname()


async def test_an_address_that_is_silent_gives_way_to_the_next(
    silent: tuple[str, int], listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves_to(monkeypatch, silent, listening.getsockname())
    before = _sockets()
    assert await _peer() == listening.getsockname()
    await asyncio.sleep(0)
    assert _sockets() == before


async def test_the_first_failure_is_raised_when_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch, ("127.0.0.1", 1))
    with pytest.raises(ConnectionRefusedError):
        await _peer()


async def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves_to(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        await _peer()


@pytest.mark.parametrize("turns", range(12))
async def test_a_caller_that_gives_up_leaves_no_socket_open(
    turns: int, silent: tuple[str, int], listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolves_to(monkeypatch, silent, listening.getsockname())
    monkeypatch.setattr("exchange.mexc.addresses.HEAD_START_S", 0)
    before = _sockets()
    connecting = asyncio.create_task(connected_socket("a.test", 1))
    for _ in range(turns):
        await asyncio.sleep(0)
    if connecting.done():
        connecting.result().close()
    connecting.cancel()
    with suppress(asyncio.CancelledError):
        await connecting
    for _ in range(3):
        await asyncio.sleep(0)
    assert _sockets() == before
