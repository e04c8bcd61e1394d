"""Gives every server of this process a second listener, by TLS, with a certificate of a CA that the bench makes."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn

from tests.support.ordinary.world import Authority, server_context

HOST = "localhost"
"""The name in the certificate."""

AUTHORITIES = "ca.pem"
"""The file of the folder with the CA's certificate: who trusts it gets in."""

_SHOWN = "venue.pem"


def add_listeners(directory: Path) -> dict[int, int]:
    """From now on uvicorn's servers also listen by TLS. Returns where: the port of each by its port without TLS.

    The connection is the server's own: nothing forwards bytes, so TLS is all that is added.
    """
    authority = Authority("the bench's CA")
    authority.write(directory)
    authority.issue(directory / _SHOWN, (HOST,))
    context, startup, tls_ports = server_context(directory, _SHOWN), uvicorn.Server.startup, dict[int, int]()

    async def started(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        await startup(self, sockets)
        if not sockets:
            return
        # Every type of protocol that uvicorn has takes these arguments.
        protocol = partial(
            cast("Any", self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)
        self.servers.append(listener)
        tls_ports[sockets[0].getsockname()[1]] = listener.sockets[0].getsockname()[1]

    uvicorn.Server.startup = started  # type: ignore[method-assign]
    return tls_ports
