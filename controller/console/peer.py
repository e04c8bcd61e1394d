"""Which user of this machine has the other end of a connection over loopback. ``controller.console.pages.halting`` asks.

The kernel's table ``/proc/net/tcp`` names the owner of every socket, so a halt from a browser needs no password where the local
socket would need none either: both are for the user of this process and for root (ADR 71).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

_TABLES = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}
_ESTABLISHED = "01"

Address = tuple[str, int]


def owner_of(client: Address, server: Address) -> int | None:
    """The user id behind ``client``, whose connection ends at ``server``; ``None`` where it is not known for certain."""
    try:
        version = ip_address(client[0]).version
        wanted = _written(client), _written(server)
        with _TABLES[version].open(encoding="ascii") as table:
            return find_owner(table, *wanted)
    except (OSError, ValueError):
        return None


def find_owner(table: Iterable[str], client: str, server: str) -> int | None:
    """The owner in the lines of the kernel's table. A socket that is closing has no owner any more, and its line says root."""
    for line in table:
        columns = line.split()
        if columns[1:3] == [client, server]:
            connected = columns[3] == _ESTABLISHED and columns[9] != "0"
            return int(columns[7]) if connected else None
    return None


def is_own(client: Address | None, server: Address | None) -> bool:
    """Whether the user of this process, or root, has the other end, and it is on this machine."""
    if client is None or server is None:
        return False
    try:
        here = ip_address(client[0]).is_loopback and ip_address(server[0]).is_loopback
    except ValueError:
        return False
    return here and owner_of(client, server) in {0, os.geteuid()}


def _written(address: Address) -> str:
    """An address as the kernel's table writes it: 32-bit words in the machine's order, then the port."""
    packed = ip_address(address[0]).packed
    little = "".join(packed[at : at + 4][::-1].hex() for at in range(0, len(packed), 4))
    return f"{little.upper()}:{address[1]:04X}"
