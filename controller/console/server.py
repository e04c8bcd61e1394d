"""Serves an ASGI application inside the running event loop: on TCP, or on a unix socket that only its owner can open.

``controller.bootstrap`` enters it. The process keeps its own signal handlers. Leaving the context stops accepting, ends live
streams and waits for open requests.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from controller.serving import DRAIN_S, listen, running
from exchange.errors import ConfigError, Refused

MAX_CONNECTIONS = 256
_CREDENTIALS = struct.Struct("3i")
_LONGEST_PATH = 107


@runtime_checkable
class Drainable(Protocol):
    """An application with endless answers."""

    def drain(self) -> None:
        """End them."""
        ...


@asynccontextmanager
async def serving(app: ASGIApp, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``app`` on TCP; yields the port, which matters when 0 was asked for.

    Raises:
        ConfigError: the address cannot be bound.
    """
    listener = listen(host, port, "console")
    async with _running(app, listener, HttpToolsProtocol):
        yield int(listener.getsockname()[1])


@asynccontextmanager
async def serving_socket(app: ASGIApp, path: Path, *, uids: frozenset[int] | None = None) -> AsyncIterator[None]:
    """Serve ``app`` on a unix socket of mode 0600, to processes of this user and of root.

    Args:
        uids: the users to accept instead.

    Raises:
        ConfigError: the path is too long, or is not a socket.
        Refused: another process is serving there.
    """
    listener = _bind_private(path)
    allowed = frozenset({0, os.geteuid()}) if uids is None else uids

    class Guarded(_PeerChecked):
        users = allowed

    try:
        async with _running(app, listener, Guarded):
            yield
    finally:
        _remove(path)


@asynccontextmanager
async def _running(app: ASGIApp, listener: socket.socket, protocol: type[HttpToolsProtocol]) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=DRAIN_S,
    )
    subject: object = app
    async with running(config, listener, drain=subject.drain if isinstance(subject, Drainable) else None):
        yield


def _bind_private(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigError(
            f"{path} is too long for a socket",
            code="socket-path",
            remedy=f"Choose a data directory so that this path has at most {_LONGEST_PATH} bytes.",
        )
    _clear_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # umask, because a chmod after bind would leave the socket open to others for a moment.
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot create {path}: {error.strerror}", code="socket-path", remedy="Make the data directory writable."
        ) from None
    finally:
        os.umask(before)
    return listener


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _clear_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is not a socket", code="socket-path", remedy="Move that file to another directory.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise Refused(
        f"another process already serves on {path}", code="already-running", remedy="Stop it first: `gatehouse status` shows it."
    )


class _PeerChecked(HttpToolsProtocol):
    """Answers only processes of allowed users, even if the socket's mode was changed."""

    users: frozenset[int] = frozenset()
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer: socket.socket = transport.get_extra_info("socket")
        _pid, uid, _gid = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid in self.users:
            super().connection_made(transport)
        else:
            self._refused = True
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._refused:
            super().connection_lost(exc)
