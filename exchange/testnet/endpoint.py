"""One REST endpoint as data, and what its handler is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exchange.model import Millis
from exchange.testnet.auth import Permission
from exchange.testnet.faults import Operation
from exchange.testnet.venue import SimulatedVenue


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has passed every check. ``account`` is empty on a public endpoint."""

    venue: SimulatedVenue
    params: Mapping[str, str]
    account: str
    now: Millis


Handler = Callable[[Call], object]
"""Answers with a JSON value, or with bytes that already are one. Refuses by raising ``WireRefusal``. Never waits."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and a path, what it counts as, the permission it needs (``None``: public) and who answers."""

    method: str
    path: str
    operation: Operation
    permission: Permission | None
    handler: Handler
