"""Every fault has its named effect on a client, exactly as often as configured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from exchange.errors import ConfigError
from exchange.testnet.conditions.faults import FaultKind, load_faults
from exchange.testnet.config import TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.support.loopback import http_at


async def test_a_lost_ack_leaves_an_order_behind(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.LOST_ACK)
    with pytest.raises(httpx.TransportError):
        await trader.place(newClientOrderId="lost")
    assert (await trader.get("order", symbol="BTCUSDT", origClientOrderId="lost"))["status"] == "NEW"
    assert testnet.received("bot", "lost") == 1


async def test_a_lost_ack_can_be_aimed_at_cancels(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.LOST_ACK, params={"operation": "cancel"})
    assert (await trader.place(newClientOrderId="one")).status_code == 200
    with pytest.raises(httpx.TransportError):
        await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "one"})
    assert (await trader.get("order", symbol="BTCUSDT", origClientOrderId="one"))["status"] == "CANCELED"


async def test_an_error_after_accept_leaves_an_order_behind(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.ERROR_AFTER_ACCEPT, params={"status": 504})
    reply = await trader.place(newClientOrderId="after")
    assert (reply.status_code, reply.json()["code"]) == (504, 504)
    assert len(await trader.get("openOrders")) == 1


async def test_an_error_before_accept_leaves_only_a_receipt(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.ERROR_BEFORE_ACCEPT)
    reply = await trader.place(newClientOrderId="before")
    assert reply.status_code == 500
    assert await trader.get("openOrders") == []
    assert testnet.received("bot", "before") == 1


async def test_a_connection_reset_happens_before_the_order_arrives(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.CONNECTION_RESET)
    with pytest.raises(httpx.TransportError):
        await trader.place(newClientOrderId="reset")
    assert testnet.received("bot", "reset") == 0


async def test_a_lagging_read_side_does_not_know_a_new_order(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.NOT_FOUND_LAG, params={"ms": 60_000})
    await trader.place(newClientOrderId="lag")
    assert (await trader.get("order", symbol="BTCUSDT", origClientOrderId="lag"))["code"] == -2013
    assert await trader.get("openOrders") == []


async def test_a_lagging_read_side_catches_up(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.NOT_FOUND_LAG, params={"ms": 20})
    await trader.place(newClientOrderId="lag")
    await eventually(lambda: trader.get("openOrders"), lambda orders: len(orders) == 1)


async def test_an_order_can_fill_after_its_cancel_was_answered(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.LATE_FILL_AFTER_CANCEL, params={"ms": 60_000})
    await trader.place(newClientOrderId="late")
    reply = await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "late"})
    testnet.arm(FaultKind.PRICE_GAP, params={"symbol": "BTCUSDT", "factor": "0.5"})
    assert reply.status_code == 200
    assert (await trader.get("order", symbol="BTCUSDT", origClientOrderId="late"))["status"] == "FILLED"


async def test_a_late_cancel_takes_effect_in_the_end(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.LATE_FILL_AFTER_CANCEL, params={"ms": 50})
    await trader.place(newClientOrderId="late")
    await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "late"})
    await eventually(
        lambda: trader.get("order", symbol="BTCUSDT", origClientOrderId="late"), lambda found: found["status"] == "CANCELED"
    )


@pytest.mark.parametrize(
    ("kind", "status", "wait"),
    [(FaultKind.RATE_LIMITED, 429, "7"), (FaultKind.IP_BANNED, 418, "7"), (FaultKind.FORBIDDEN_HTML, 403, None)],
)
async def test_the_firewall_refuses_requests_before_any_other_check(
    testnet: RunningTestnet, trader: Any, kind: FaultKind, status: int, wait: str | None
) -> None:
    testnet.arm(kind, params={} if wait is None else {"retry_after_s": 7})
    reply = await trader.place(newClientOrderId="wall")
    assert (reply.status_code, reply.headers.get("retry-after")) == (status, wait)
    assert testnet.received("bot", "wall") == 0
    assert (await trader.place()).status_code == 200


async def test_the_firewall_s_page_is_html(testnet: RunningTestnet, http: httpx.AsyncClient) -> None:
    testnet.arm(FaultKind.FORBIDDEN_HTML)
    assert (await http.get("/api/v3/ping")).headers["content-type"].startswith("text/html")


async def test_a_slow_reply_comes_after_the_order_took_effect(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.SLOW_REPLY, params={"operation": "place", "ms": 60_000})
    placing = asyncio.create_task(trader.place(newClientOrderId="slow"))
    await eventually(lambda: trader.get("openOrders"), lambda orders: len(orders) == 1)
    assert not placing.done()
    placing.cancel()


async def test_a_skewed_venue_refuses_honest_timestamps(testnet: RunningTestnet, trader: Any) -> None:
    testnet.arm(FaultKind.CLOCK_SKEW, params={"ms": 30_000})
    shown = (await trader.http.get("/api/v3/time")).json()["serverTime"]
    assert shown - time.time() * 1000 > 29_000
    assert (await trader.get("account"))["code"] == 700003


async def test_a_price_gap_moves_every_price(testnet: RunningTestnet, http: httpx.AsyncClient) -> None:
    testnet.venue.pause()
    before = (await http.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT")).json()
    testnet.arm(FaultKind.PRICE_GAP, params={"symbol": "BTCUSDT", "factor": "0.9"})
    after = (await http.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT")).json()
    assert abs(Decimal(after["bidPrice"]) - Decimal(before["bidPrice"]) * Decimal("0.9")) <= Decimal("0.01")


async def test_a_fault_strikes_exactly_count_times(testnet: RunningTestnet, http: httpx.AsyncClient) -> None:
    testnet.arm(FaultKind.RATE_LIMITED, count=2)
    statuses = [(await http.get("/api/v3/ping")).status_code for _ in range(4)]
    assert statuses == [429, 429, 200, 200]


async def test_equal_seeds_give_equal_faults(changed: Callable[..., TestnetConfig]) -> None:
    runs = [await statuses(changed(seed=seed)) for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]
    assert {200, 429} == set(runs[0])


async def statuses(config: TestnetConfig) -> list[int]:
    async with running_testnet(config) as running, http_at(running.base_url) as http:
        running.arm(FaultKind.RATE_LIMITED, count=None, probability="0.5")
        return [(await http.get("/api/v3/ping")).status_code for _ in range(40)]


async def test_a_faults_file_is_in_force_from_the_start(changed: Callable[..., TestnetConfig], tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "rate-limited"\ncount = 1\n[fault.params]\nretry_after_s = 3\n')
    async with (
        running_testnet(changed(faults=path)) as running,
        http_at(running.base_url) as http,
    ):
        assert (await http.get("/api/v3/ping")).headers["retry-after"] == "3"


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        '[[fault]]\nkind = "earthquake"\n',
        '[[fault]]\nkind = "price-gap"\n',
        '[[fault]]\nkind = "lost-ack"\nprobability = 2\n',
        '[[fault]]\nkind = "lost-ack"\n[fault.params]\nunknown = 1\n',
        "faults = 1\n",
    ],
)
def test_a_faults_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_faults(path)
    assert refused.value.code == "faults-file-unusable"


async def eventually(ask: Callable[[], Any], good: Callable[[Any], bool]) -> None:
    async with asyncio.timeout(5):
        while not good(await ask()):  # noqa: ASYNC110 - the far side of a socket has no event to wait for
            await asyncio.sleep(0.01)
