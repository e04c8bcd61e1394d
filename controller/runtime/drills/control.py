"""Reaches the control endpoint of the deployment's testnet, for the drills in which the venue itself misbehaves.

It works on this machine only, as the endpoint does (``exchange.testnet.http.control``). ``controller.bootstrap`` makes one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from exchange.errors import GatehouseError

ANSWER_WITHIN_S = 5.0
MAX_REPLY = 1 << 24


class ControlRefused(GatehouseError):
    """The testnet's control endpoint cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            code="testnet-control",
            remedy="Start the testnet with --control-token-file FILE, and set drills.control_token_file to FILE in gatehouse.toml.",
        )


class TestnetControl:
    """Arms and lifts faults of one testnet. ``token`` is read at each use and raises ``GatehouseError`` when there is none."""

    __test__ = False

    def __init__(self, rest_url: str, token: Callable[[], str]) -> None:
        self._url = rest_url
        self._token = token

    async def arm(self, *faults: Mapping[str, object]) -> tuple[int, ...]:
        """Arm faults, and return their numbers. Raises ``GatehouseError``."""
        answer = await self._ask("POST", "faults", list(faults))
        return tuple(int(number) for number in answer["armed"])

    async def struck(self, number: int) -> int:
        """How often a fault struck. Raises ``GatehouseError``."""
        answer = await self._ask("GET", "faults")
        return next((int(fault["struck"]) for fault in answer["faults"] if fault["id"] == number), 0)

    async def lift(self, kind: str) -> None:
        """Remove every fault of a kind. Raises ``GatehouseError``."""
        await self._ask("DELETE", f"faults?kind={kind}")

    async def received(self, client_id: str) -> int:
        """How many orders with this client id reached the testnet. Raises ``GatehouseError``."""
        accounts = (await self._ask("GET", "state"))["accounts"].values()
        return sum(int(account["receipts"].get(client_id, {}).get("received", 0)) for account in accounts)

    async def _ask(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        return await asyncio.to_thread(self._ask_now, method, path, document, self._token())

    def _ask_now(self, method: str, path: str, document: object, token: str) -> dict[str, Any]:
        where = urlsplit(self._url)
        if where.scheme != "http" or not _is_loopback(where.hostname or ""):
            raise ControlRefused(f"{self._url} is not a testnet on this machine")
        connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=ANSWER_WITHIN_S)
        try:
            headers = {"X-Testnet-Control": token, "content-type": "application/json"}
            body = None if document is None else json.dumps(document).encode()
            connection.request(method, f"/__control/{path}", body=body, headers=headers)
            reply = connection.getresponse()
            text = reply.read(MAX_REPLY)
        except (OSError, http.client.HTTPException) as error:
            raise ControlRefused(f"the testnet's control endpoint does not answer: {error}") from None
        finally:
            connection.close()
        if reply.status != http.client.OK:
            raise ControlRefused(f"the testnet's control endpoint answered HTTP {reply.status} to {path.partition('?')[0]}")
        answer: dict[str, Any] = json.loads(text)
        return answer


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
