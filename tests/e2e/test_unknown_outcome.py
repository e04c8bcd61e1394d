"""A venue that takes an order and loses the answer: the order is UNKNOWN, reserved, looked up by its id, and sent once."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from exchange.mexc.rest import RECV_WINDOW
from exchange.model import Side
from exchange.testnet.conditions.faults import FaultKind
from policies.document import load_policy
from tests.support.rig import Rig, quick_policy, rig

QUOTE_PER_EUR = load_policy(quick_policy().encode()).eur_rate.quote_per_eur


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("TESTNET_VALIDATING")
        yield built


def _lose_every_answer(deployment: Rig, *, lag_ms: int = 1500) -> None:
    """The venue takes the order without a reply, without a private event, and for ``lag_ms`` without finding it in a query."""
    deployment.testnet.arm(FaultKind.STREAM_FREEZE, count=None, params={"ms": 20_000, "channel": "private"})
    deployment.testnet.arm(FaultKind.LOST_ACK, count=1)
    deployment.testnet.arm(FaultKind.NOT_FOUND_LAG, count=None, params={"ms": lag_ms})


async def test_an_order_whose_ack_is_lost_is_found_by_its_id_and_sent_once(deployment: Rig) -> None:
    price = await deployment.resting_price()
    _lose_every_answer(deployment)
    answer = await deployment.buy(price, "0.00003", "lost")
    assert answer.status_code == 504
    assert "must not" in answer.text or "Do not send it again" in answer.text
    reserved = await deployment.status()
    assert reserved["unknown_orders"] == 1
    assert "not proven absent because it can still arrive for " in reserved["unproven"][0]
    await deployment.until(lambda status: status["unknown_orders"] == 0)
    order = (await deployment.bot("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="lost")).json()
    assert order["status"] == "NEW"
    assert deployment.testnet.received("testnet", order["orderId"]) == 1


async def test_an_unknown_order_keeps_its_exposure_reserved(deployment: Rig) -> None:
    price = await deployment.resting_price()
    _lose_every_answer(deployment, lag_ms=2500)
    assert (await deployment.buy(price, "0.00008", "lost")).status_code == 504
    second = await deployment.buy(await deployment.resting_price(), "0.00008", "second")
    third = await deployment.buy(await deployment.resting_price(), "0.00008", "third")
    denied = next(answer for answer in (second, third) if answer.status_code == 400)
    assert "exposure" in denied.json()["msg"]


async def test_a_private_event_proves_an_order_whose_ack_is_lost(deployment: Rig) -> None:
    price = await deployment.resting_price()
    deployment.testnet.arm(FaultKind.LOST_ACK, count=1)
    answer = await deployment.buy(price, "0.00003", "proven")
    assert answer.status_code in {200, 504}
    await deployment.until(lambda status: status["unknown_orders"] == 0 and status["working_orders"] == 1)


async def test_sending_the_same_order_again_answers_with_the_first(deployment: Rig) -> None:
    price = await deployment.resting_price()
    first = (await deployment.buy(price, "0.00003", "once")).json()
    again = (await deployment.buy(price, "0.00003", "once")).json()
    assert again == first
    assert deployment.testnet.received("testnet", first["orderId"]) == 1


async def test_an_id_of_another_order_is_refused_after_a_restart_too(deployment: Rig) -> None:
    own = str(UUID(int=1 << 127))
    price = await deployment.resting_price()
    first = (await deployment.buy(price, "0.00003", own)).json()
    await deployment.bot("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=own)
    await deployment.until(lambda status: status["working_orders"] == 0)
    await deployment.kill()
    await deployment.start()
    await deployment.armed()
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "quantity": "0.00004", "price": "99000", "newClientOrderId": own}
    answer = await deployment.bot("POST", "/api/v3/order", **stop)
    assert (answer.status_code, answer.json()["code"]) == (400, 30026), answer.text
    assert f"{first['orderId']}: BUY 0.00003 BTCUSDT LIMIT" in answer.json()["msg"]
    assert "SELL 0.00004 BTCUSDT LIMIT at 99000" in answer.json()["msg"]
    sent = [(view.report.client_id, view.report.side) for view in deployment.testnet.venue.engine.orders("testnet", "BTCUSDT")]
    assert sent == [(first["orderId"], Side.BUY)]


async def test_an_order_the_venue_never_got_is_released_only_after_the_proof(deployment: Rig) -> None:
    deployment.testnet.arm(FaultKind.ERROR_BEFORE_ACCEPT, count=1, params={"status": 503})
    answer = await deployment.buy(await deployment.resting_price(), "0.00003", "never")
    assert answer.status_code == 504
    async with deployment.bot_trading():
        await deployment.until(lambda status: status["unknown_orders"] == 0)
    entries = await deployment.entries()
    never = next(entry["body"]["client_id"] for entry in entries if entry["body"].get("bot_client_id") == "never")
    life = [entry for entry in entries if entry["body"].get("client_id") == never]
    assert [entry["kind"] for entry in life].count("lookup-missed") >= 3
    assert life[-1]["kind"] == "order-rejected"
    lost = next(entry["at_ms"] for entry in life if entry["kind"] == "order-unknown")
    assert life[-1]["at_ms"] - lost >= RECV_WINDOW + 3_000


async def test_a_lost_answer_and_slow_queries_never_exceed_the_cap(tmp_path: Path) -> None:
    """The venue hides an order for longer than the grace period, while the bot buys whenever it may."""
    policy = quick_policy().replace("unknown_grace_ms = 3_000", "unknown_grace_ms = 10_000")
    async with rig(tmp_path / "deployment", policy=policy) as one:
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        one.testnet.arm(FaultKind.STREAM_FREEZE, count=None, params={"ms": 27_000, "channel": "private"})
        one.testnet.arm(FaultKind.NOT_FOUND_LAG, count=1, params={"ms": 27_000})
        one.testnet.arm(FaultKind.LOST_ACK, count=1)
        lost = await one.buy(await one.resting_price(), "0.00009", "lost")
        assert lost.status_code == 504, lost.text
        most, number = Decimal(0), 0
        while (status := await one.status())["unknown_orders"] and status["stage"] != "HALTED":
            # A small order that rests for some sweeps shows that they are new; a large one has no room beside the lost one.
            number += 1
            small = f"small-{number // 12}"
            await one.buy(await one.resting_price(), "0.00003", small)
            await one.buy(await one.resting_price(), "0.00009", f"large-{number}")
            most = max(most, _open_eur(one))
            await asyncio.sleep(0.4)
            if number % 12 == 11:
                await one.bot("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=small)
        assert Decimal(5) < most <= Decimal(10)
        found = (await one.bot("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="lost")).json()
        assert found["status"] in {"NEW", "CANCELED"}
        assert "order-rejected" not in [
            entry["kind"] for entry in await one.entries() if entry["body"].get("client_id") == found["orderId"]
        ]


def _open_eur(deployment: Rig) -> Decimal:
    """What is open and held at the venue, by its own books, in EUR."""
    engine = deployment.testnet.venue.engine
    reports = [view.report for view in engine.open_orders("testnet") if view.report.side is Side.BUY]
    held = engine.balances("testnet").get("BTC")
    price = max((report.price for report in reports), default=Decimal(0)) * Decimal("1.006")
    notional = sum(((report.quantity - report.executed) * report.price for report in reports), Decimal(0))
    return (notional + (held.total * price if held else 0)) / QUOTE_PER_EUR
