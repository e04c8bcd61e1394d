"""Serves an ASGI application inside the running event loop: on TCP, or on a unix socket that only its owner can open.

``controller.bootstrap`` enters it. The process keeps its own signal handlers. Leaving the context stops accepting, ends live
streams and waits for open requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from starlette.types import ASGIApp

from controller.console.limits import LOCAL_LIMITS, TCP_LIMITS, ConsoleLimits
from controller.serving import listen, serve
from controller.serving.acceptor import Acceptor, Acceptors
from exchange.errors import ConfigError, Refused

BIND_AGAIN_S = 0.5
_log = logging.getLogger(__name__)
_CREDENTIALS = struct.Struct("3i")
_LONGEST_PATH = 107


@runtime_checkable
class Drainable(Protocol):
    """An application with endless answers."""

    def drain(self) -> None:
        """End them."""
        ...


@asynccontextmanager
async def serving(
    app: ASGIApp,
    host: str,
    port: int,
    limits: ConsoleLimits = TCP_LIMITS,
    acceptors: Acceptors | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    name: str = "console",
) -> AsyncIterator[int]:
    """Serve ``app`` on TCP; yields the port, which matters when 0 was asked for.

    Args:
        acceptors: those of the process; without, this server is alone in it.
        tls: of a server that other machines reach.
        name: of the server, in messages.

    Raises:
        ConfigError: the address cannot be bound.
    """
    listener = listen(host, port, "console" if tls is None else "console.remote")
    acceptor = (acceptors or Acceptors()).add(name, limits.connection)
    async with serve(app, listener, acceptor, tls=tls, drain=_drain(app)):
        yield int(listener.getsockname()[1])


@asynccontextmanager
async def serving_socket(
    app: ASGIApp,
    path: Path,
    limits: ConsoleLimits = LOCAL_LIMITS,
    acceptors: Acceptors | None = None,
    *,
    uids: frozenset[int] | None = None,
) -> AsyncIterator[None]:
    """Serve ``app`` on a unix socket of mode 0600, to processes of this user and of root.

    A socket file that somebody removes is created again within ``BIND_AGAIN_S``: a halt must find it.

    Args:
        acceptors: those of the process. The socket may use the descriptors that they keep from clients over TCP.
        uids: the users to accept instead, even if the socket's mode was changed.

    Raises:
        ConfigError: the path is too long, or is not a socket.
        Refused: another process is serving there.
    """
    allowed = frozenset({0, os.geteuid()}) if uids is None else uids
    shared = acceptors or Acceptors()

    async def bind(stack: AsyncExitStack) -> Acceptor:
        listener = _bind_private(path)
        acceptor = shared.add("local socket", limits.connection, local=lambda peer: _user_of(peer) in allowed)
        await stack.enter_async_context(serve(app, listener, acceptor, drain=_drain(app)))
        return acceptor

    async with AsyncExitStack() as stack:
        acceptor = await bind(stack)
        keeping = asyncio.create_task(_bind_again(path, acceptor, lambda: bind(stack)))
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            _remove(path)


async def _bind_again(path: Path, acceptor: Acceptor, bind: Callable[[], Awaitable[Acceptor]]) -> None:
    """Bind the socket again whenever its file is gone. Connections that are open stay; another file in its place is left alone."""
    while True:
        await asyncio.sleep(BIND_AGAIN_S)
        if _is_there(path):
            continue
        try:
            fresh = await bind()
        except (ConfigError, Refused, OSError) as error:
            _log.warning("the local socket is gone and cannot be created: %s", error)
            continue
        _log.warning("the local socket was gone; it is served again at %s", path)
        acceptor.close()
        acceptor = fresh


def _drain(app: object) -> Callable[[], None] | None:
    return app.drain if isinstance(app, Drainable) else None


def _user_of(peer: socket.socket) -> int:
    _pid, uid, _gid = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


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


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
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
