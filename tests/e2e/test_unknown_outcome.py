"""A venue that takes an order and loses the answer: the order is UNKNOWN, reserved, looked up by its id, and sent once."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.testnet.conditions.faults import FaultKind
from tests.support.rig import Rig, rig


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


async def test_sending_the_same_client_id_again_answers_with_the_first_order(deployment: Rig) -> None:
    price = await deployment.resting_price()
    first = (await deployment.buy(price, "0.00003", "once")).json()
    again = (await deployment.buy(f"{Decimal(price) - 10}", "0.00004", "once")).json()
    assert again["orderId"] == first["orderId"]
    assert again["price"] == first["price"]
    assert deployment.testnet.received("testnet", first["orderId"]) == 1


async def test_an_order_the_venue_never_got_is_released_only_after_the_proof(deployment: Rig) -> None:
    deployment.testnet.arm(FaultKind.ERROR_BEFORE_ACCEPT, count=1, params={"status": 503})
    answer = await deployment.buy(await deployment.resting_price(), "0.00003", "never")
    assert answer.status_code == 504
    await deployment.until(lambda status: status["unknown_orders"] == 0)
    entries = await deployment.entries()
    kinds = [entry["kind"] for entry in entries if entry["body"].get("client_id", "").startswith("gh-")]
    assert kinds.count("lookup-missed") >= 3
    assert kinds[-1] == "order-rejected"
