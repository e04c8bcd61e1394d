"""The console's own limits: connections, readers of the live stream, proposals. ``console.app`` and ``.server`` apply them."""

from __future__ import annotations

from dataclasses import dataclass

from controller.serving.bounds import Bounds
from controller.serving.throttle import Rate
from exchange.errors import Refused


@dataclass(frozen=True, slots=True)
class ConsoleLimits:
    """What clients of the operator API may use. The console on TCP and the local socket each have their own.

    ``proposals``: of one address over TCP; ``all_proposals``: of all addresses together. The local socket has no limit for them.
    """

    connection: Bounds = Bounds(connections=128, per_address=64)
    readers: int = 32
    readers_per_address: int = 16
    proposals: Rate = Rate(1, 5)
    all_proposals: Rate = Rate(4, 20)


TCP_LIMITS = ConsoleLimits()
"""Of the console on TCP."""

LOCAL_LIMITS = ConsoleLimits(connection=Bounds(connections=64, per_address=64), readers_per_address=32)
"""Of the local socket, whose clients all count as one address."""


class TooMany(Refused):
    """More than a limit allows. ``status`` is the HTTP status: 429 for one client's limit, 503 for a limit of all together."""

    def __init__(self, message: str, *, code: str, remedy: str, status: int, retry_after_s: int) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.status = status
        self.retry_after_s = retry_after_s
