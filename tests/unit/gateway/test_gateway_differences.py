"""What the testnet serves and the gateway does not: one table, which the gateway refuses by."""

from __future__ import annotations

from typing import Any

import pytest

from controller.gateway.app import endpoints
from controller.gateway.differences import DIFFERS, HEARTBEAT, REFUSED
from controller.gateway.streams.keys import StreamKeys
from exchange.testnet.http.endpoints import ENDPOINTS
from tests.unit.gateway.fake_port import FakePort
from tests.unit.gateway.gateway_client import BotClient

NOBODY: Any = None


def test_the_testnets_endpoints_are_served_or_refused_with_a_reason() -> None:
    served = set(endpoints(FakePort(), StreamKeys(NOBODY, NOBODY)))
    tested = {(one.method, one.path) for one in ENDPOINTS}
    assert served | set(REFUSED) >= tested
    assert not served & set(REFUSED)
    assert served - tested == {("GET", HEARTBEAT)}


def test_only_what_is_served_has_differences() -> None:
    assert set(DIFFERS) <= set(endpoints(FakePort(), StreamKeys(NOBODY, NOBODY)))


@pytest.mark.parametrize(("method", "path"), sorted(REFUSED))
async def test_what_is_refused_is_refused_by_name(bot: BotClient, method: str, path: str) -> None:
    reply = await bot.signed(method, path.removeprefix("/api/v3/"))
    assert (reply.status_code, reply.json()["code"]) == (404, 404)
    assert reply.json()["msg"] == f"gatehouse: {method} {path}: {REFUSED[method, path]}"


async def test_another_method_of_a_refused_path_is_not_allowed(bot: BotClient) -> None:
    assert (await bot.signed("PUT", "strategy/group")).status_code == 405
