"""``GET /openapi.json``: the testnet's REST API as an OpenAPI 3.1 description, generated from the endpoint table.

Signed endpoints have their permission as ``x-permission``. Every parameter may be sent in the query or in a form body, and the
query wins (mexc-spot-v3.md §2.4); the description names the query. ``timestamp``, ``recvWindow`` and ``signature`` are described
once, as a security scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exchange.testnet.access.auth import Permission
from exchange.testnet.http.endpoint import Endpoint, Parameter, Schema
from exchange.testnet.http.openapi_parts import COMPONENTS, ERROR, INSTANT, TEXT
from exchange.wire.errors import dump_json

PATH = "/openapi.json"

_SIGNED = (
    Parameter("timestamp", INSTANT, required=True, description="When the request was made; checked with recvWindow."),
    Parameter("recvWindow", {"type": "integer", "minimum": 1, "maximum": 60_000}),
    Parameter("signature", TEXT, required=True, description="HMAC-SHA256 over query and body, in hex."),
)
_DENIED = ("400", "401", "403", "418", "429")


def route(endpoints: Iterable[Endpoint]) -> Route:
    """The route that serves the description."""
    body = dump_json(describe(endpoints))

    async def show(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return Route(PATH, show, methods=["GET"])


def describe(endpoints: Iterable[Endpoint]) -> dict[str, object]:
    """The OpenAPI document of an endpoint table."""
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gatehouse testnet: MEXC Spot V3, simulated",
            "version": "3",
            "description": "No order here reaches MEXC or any market.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(COMPONENTS),
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-MEXC-APIKEY"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, object]:
    signed = _SIGNED if endpoint.permission is not None else ()
    described: dict[str, object] = {
        "operationId": f"{endpoint.method.lower()} {endpoint.path}",
        "summary": endpoint.summary,
        "parameters": [_parameter(one) for one in (*endpoint.parameters, *signed)],
        "responses": {
            "200": _response("Done.", endpoint.reply),
            **{status: _response("Refused.", ERROR) for status in _DENIED},
            "5XX": _response("The outcome is unknown: the request may have been carried out.", ERROR),
        },
    }
    return {**described, **_security(endpoint.permission)}


def _security(permission: Permission | None) -> Mapping[str, object]:
    return {"security": []} if permission is None else {"security": [{"ApiKey": []}], "x-permission": permission.value}


def _parameter(parameter: Parameter) -> dict[str, object]:
    described = {"description": parameter.description} if parameter.description else {}
    return {"name": parameter.name, "in": "query", "required": parameter.required, "schema": parameter.schema, **described}


def _response(description: str, schema: Schema) -> dict[str, object]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
