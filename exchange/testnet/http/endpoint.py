"""One REST endpoint as data, and its handler's argument. The ``rest_*`` modules list endpoints, the app routes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exchange.model import Millis
from exchange.testnet.access.auth import ApiKey, Permission
from exchange.testnet.conditions.faults import Operation
from exchange.testnet.venue import SimulatedVenue

Schema = Mapping[str, object]
"""A JSON Schema, as OpenAPI 3.1 writes it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has passed every check. ``account`` is empty, and ``key`` ``None``, on a public endpoint."""

    venue: SimulatedVenue
    params: Mapping[str, str]
    account: str
    now: Millis
    key: ApiKey | None = None


Handler = Callable[[Call], object]
"""Returns a JSON value, or bytes that already are JSON. Refuses by raising ``WireRefusal``. Never waits."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an endpoint, sent in the query or in a form body."""

    name: str
    schema: Schema
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method and a path, its kind of operation, the permission it needs (``None``: public) and its handler.

    The rest describes it for ``GET /openapi.json``: one sentence, its own parameters (without key, timestamp and signature)
    and the schema of a successful reply.
    """

    method: str
    path: str
    operation: Operation
    permission: Permission | None
    handler: Handler
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()
    reply: Schema = field(default_factory=dict)
