"""How many descriptors this process may use, and which part of them its servers may use for connections.

A connection, a file and a socket each take one. Without a budget, clients that only connect take all of them, and the controller
can no longer reach a venue. ``controller.bootstrap`` raises the limit at the start and shares it out before it opens the servers.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

from exchange.errors import ConfigError

MOST = 65_536
"""The limit is not raised above this number."""

KEPT = 64
"""Kept for connections to venues, for the journal and for the local socket, whatever clients do."""

FEWEST = 32
"""The servers need at least so many together."""

_SLACK = 32
"""Left out of the shares: for what the process opens after its start, and for dropped connections that still close."""

_LOCAL = (8, 64)
_CONSOLE = (6, 128)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many connections each server may have.

    ``ceiling``: connections over TCP never take a descriptor with this number or a higher one.
    """

    ceiling: int
    local: int
    console: int
    gateway: int


def raise_limit(most: int = MOST) -> None:
    """Raise the soft limit of this process up to its hard limit, at most to ``most``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < raised:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def limit() -> int:
    """The soft limit in force, at most ``MOST``."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)


def in_use() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def share(most: int, used: int, *, gateway: int, console: int = _CONSOLE[1], local: int = _LOCAL[1]) -> Budget:
    """Share out what is left of ``most`` when ``used`` are open and ``KEPT`` are kept; each server gets at most what is named.

    Raises:
        ConfigError: ``too-few-descriptors``.
    """
    left = most - used - KEPT
    if left < FEWEST:
        raise ConfigError(
            f"this process may open {most} files and sockets, but it needs at least {used + KEPT + FEWEST}",
            code="too-few-descriptors",
            remedy="Raise the limit: LimitNOFILE= of the service unit, or `ulimit -n`.",
        )
    room = left - min(_SLACK, left // 4)
    for_local = min(local, max(_LOCAL[0], room // 8))
    for_console = min(console, max(_CONSOLE[0], room // 4))
    return Budget(most - KEPT, for_local, for_console, min(gateway, room - for_local - for_console))
