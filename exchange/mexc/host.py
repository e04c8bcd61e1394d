"""The address of a venue, and what every caller of one host shares: transport, rate limits and clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exchange.mexc.clock import VenueClock
from exchange.mexc.http import Timeouts, Transport
from exchange.mexc.network import TCP, Network
from exchange.mexc.ratelimit import LockOut, RateLimiter
from exchange.mexc.reach import Reach
from exchange.mexc.socket import StreamTiming
from exchange.ports import Clock


@dataclass(frozen=True, slots=True)
class VenueEndpoint:
    """The addresses of a venue, the hosts it may use, its timeouts, and the network on which it is."""

    rest_url: str
    stream_url: str
    reach: Reach
    timeouts: Timeouts = Timeouts()
    timing: StreamTiming = StreamTiming()
    network: Network = TCP

    def transport(self, connections: int = 8) -> Transport:
        """What carries requests there. Raises ``Refused`` for a host outside the reach."""
        return self.network.transport(self.rest_url, self.reach, self.timeouts, connections)


PRODUCTION = VenueEndpoint("https://api.mexc.com", "wss://wbs-api.mexc.com/ws", Reach.MEXC)
"""MEXC itself (mexc-spot-v3.md §1.1)."""


class VenueHost:
    """One host's transport, rate limits and clock. A venue counts requests by address and account, not by client (§1.4).

    Make one per host and pass it to every venue and feed there; its maker closes it after them.
    """

    def __init__(self, endpoint: VenueEndpoint, clock: Clock, *, on_lockout: Callable[[LockOut], None] | None = None) -> None:
        """``on_lockout`` is called once at the start of every lock-out (HTTP 418 or 403).

        Raises:
            Refused: the host is outside the endpoint's reach.
        """
        self.transport = endpoint.transport()
        self.connect = endpoint.network.connect
        self.limiter = RateLimiter(clock, on_lockout=on_lockout)
        self.clock = clock
        self.venue_clock = VenueClock(clock)

    @property
    def lockout(self) -> LockOut | None:
        """The lock-out in force, ``None`` without one."""
        return self.limiter.lockout

    async def aclose(self) -> None:
        """Close every connection. Calling it again has no effect."""
        await self.transport.aclose()
