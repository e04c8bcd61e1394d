"""How the clients of a venue get there: over TCP, or inside this process. A ``VenueEndpoint`` names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exchange.mexc.http import HttpTransport, Timeouts, Transport
from exchange.mexc.reach import Reach
from exchange.mexc.socket import Connect, connect_tcp

OpenTransport = Callable[[str, Reach, Timeouts, int], Transport]
"""Makes the transport to a base URL; the number is how many connections it may have. Raises ``Refused`` outside the reach."""


@dataclass(frozen=True, slots=True)
class Network:
    """What carries requests, and what opens streams."""

    transport: OpenTransport
    connect: Connect


TCP = Network(HttpTransport, connect_tcp)
"""The network of every deployment that trades."""
