"""What connections of one server may use: numbers, sizes and seconds. Each server's own limits contain one ``Bounds``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

_NETWORK_BITS = 64
"""A host with IPv6 has a whole network of this size."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one server's connections. Sizes are in bytes.

    Attributes:
        connections: at once.
        per_address: at once from one address. Bots on this machine share one address, so that a full address drops a connection
            that waits instead of refusing the new one.
        head_bytes, head_seconds: of a request head; also how long a new connection may stay silent.
        request_seconds: for the rest of a request after its head.
        idle_seconds: between two requests.
        write_seconds: how long a client may leave an answer unread.
    """

    connections: int = 256
    per_address: int = 128
    head_bytes: int = 32_768
    head_seconds: float = 5
    request_seconds: float = 15
    idle_seconds: float = 75
    write_seconds: float = 15

    def at_most(self, connections: int) -> Bounds:
        """The same limits for at most so many connections; one address gets half of them."""
        if connections >= self.connections:
            return self
        return replace(self, connections=connections, per_address=min(self.per_address, max(1, connections // 2)))


def counted_address(peer: object) -> str:
    """The address that a peer counts as: of IPv6 its network, because one host has all of it; one for all on a unix socket."""
    if not isinstance(peer, tuple):
        return "local"
    host = str(peer[0]).partition("%")[0]
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host, _NETWORK_BITS), strict=False))
