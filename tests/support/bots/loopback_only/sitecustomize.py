"""Python loads this by itself in a bot's process whose ``PYTHONPATH`` names this folder: it can reach loopback addresses alone.

A recipe that loses the gateway's address would talk to the real exchange; here it gets "network is unreachable" instead.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def _leaves(address: object) -> bool:
    if not isinstance(address, tuple):
        return False
    host = str(address[0])
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host != "localhost"


def _only_here(self: socket.socket, address: Any) -> None:
    if _leaves(address):
        raise OSError(errno.ENETUNREACH, f"only loopback can be reached from here, not {address}")
    _connect(self, address)


def _only_here_ex(self: socket.socket, address: Any) -> int:
    return errno.ENETUNREACH if _leaves(address) else _connect_ex(self, address)


def _names_here(host: Any, *arguments: Any, **named: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if name is not None and _leaves((name,)):
        raise socket.gaierror(socket.EAI_NONAME, f"only loopback can be reached from here, not {name}")
    return _getaddrinfo(host, *arguments, **named)


socket.socket.connect = _only_here  # type: ignore[method-assign]
socket.socket.connect_ex = _only_here_ex  # type: ignore[method-assign]
socket.getaddrinfo = _names_here
