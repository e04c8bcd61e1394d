"""kill -9 around the send of an order: at most one order at the venue, nothing guessed, not armed until reconciled."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from controller.core.event_codec import decode
from controller.core.events import Event
from controller.core.state import State
from controller.journal.sqlite import read_journal
from exchange.model import Millis
from exchange.ports import VenueName
from tests.support.counting import Counted
from tests.support.folding import fold
from tests.support.rig import Rig, rig

KILLER = Path(__file__).parents[1] / "support" / "killed_while_placing.py"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        yield built


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def restarted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Rig, str]]:
    """A deployment that was killed after the venue took its order and runs again, with the client id of that order."""
    async with rig(tmp_path_factory.mktemp("restarted") / "deployment") as built:
        client_id = await _killed_at(built, "after")
        assert built.testnet.received("testnet", client_id) == 1
        await built.start()
        await built.until(lambda status: status["armed"] and status["unknown_orders"] == 0)
        yield built, client_id


async def _killed_at(deployment: Rig, when: str) -> str:
    """Bring the deployment to the testnet and kill it around its next order. Returns the order's client id."""
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    await deployment.start(script=(str(KILLER), when))
    await deployment.takes_orders()
    price = await deployment.resting_price()
    with pytest.raises(Exception, match=r"disconnected|reset|closed|Connection|peer"):
        await deployment.buy(price, "0.00003", "doomed")
    assert await deployment.exit_code() == -9
    admitted = [entry for entry in _journal(deployment) if entry[0] == "order-admitted"]
    return str(admitted[-1][1]["client_id"])


def _journal(deployment: Rig) -> list[tuple[str, dict[str, object]]]:
    reader = read_journal(deployment.directory / "var" / "journal.db")
    try:
        return [(entry.kind, decode(entry.kind, entry.body).model_dump(mode="json")) for entry in reader.read()]
    finally:
        reader.close()


def _entries(deployment: Rig, *, upto: int) -> list[tuple[Event, Millis]]:
    reader = read_journal(deployment.directory / "var" / "journal.db")
    try:
        return [(decode(entry.kind, entry.body), entry.at) for entry in reader.read(limit=upto)]
    finally:
        reader.close()


async def test_an_order_killed_before_its_send_is_proven_never_to_have_existed(deployment: Rig, counted: Counted) -> None:
    client_id = await _killed_at(deployment, "before")
    assert deployment.testnet.received("testnet", client_id) == 0
    await deployment.start()
    await deployment.armed()
    async with deployment.bot_trading():
        await deployment.until(lambda status: status["unknown_orders"] == 0)
    assert deployment.testnet.received("testnet", client_id) == 0
    kinds = [(kind, body) for kind, body in _journal(deployment) if body.get("client_id") == client_id]
    assert [kind for kind, _ in kinds][:2] == ["order-admitted", "order-unknown"]
    assert kinds[-1][0] == "order-rejected"
    assert kinds[-1][1]["code"] == -2013
    counted("kill points")


async def test_an_order_killed_after_its_send_is_found_and_not_sent_again(restarted: tuple[Rig, str], counted: Counted) -> None:
    deployment, client_id = restarted
    assert deployment.testnet.received("testnet", client_id) == 1
    found = await deployment.bot("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="doomed")
    assert found.json()["status"] == "NEW"
    counted("kill points")


async def test_the_same_signed_request_makes_one_order_across_a_kill(deployment: Rig, counted: Counted) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.00003", "price": await deployment.resting_price()}
    placed, tested = await deployment.signed(**order), await deployment.signed(**order, recvWindow="59999")
    assert (await deployment.send("POST", "/api/v3/order", placed)).status_code == 200
    assert (await deployment.send("POST", "/api/v3/order/test", tested)).status_code == 200
    await deployment.kill()
    await deployment.start()
    await deployment.takes_orders()
    for query in (placed, tested):
        again = await deployment.send("POST", "/api/v3/order", query)
        assert (again.status_code, again.json()["code"]) == (400, 700003)
    assert len(deployment.testnet.venue.engine.orders("testnet", "BTCUSDT")) == 1
    assert (await deployment.buy(order["price"], "0.00003", "signed-anew")).status_code == 200
    counted("kill points")


async def test_after_a_kill_the_controller_arms_only_after_reconciling(restarted: tuple[Rig, str]) -> None:
    kinds = [kind for kind, _ in _journal(restarted[0])]
    last_start = len(kinds) - 1 - kinds[::-1].index("controller-started")
    after = kinds[last_start:]
    assert after.index("reconciled") < after.index("armed")
    assert "order-admitted" not in after[: after.index("armed")]


async def test_a_restarted_controller_shows_the_fold_of_its_journal(restarted: tuple[Rig, str]) -> None:
    deployment, _ = restarted
    status = await deployment.status()
    balances = (await deployment.ask("GET", "/v1/balances")).json()
    orders = (await deployment.ask("GET", "/v1/orders", params={"limit": 100})).json()
    folded = fold(State(), _entries(deployment, upto=status["seq"]))
    assert str(folded.position) == status["position"]
    assert {order["client_id"]: order["status"] for order in orders} == {
        client_id: order.status.value for client_id, order in folded.orders.items()
    }
    totals = folded.ledgers[VenueName.TESTNET].totals
    assert totals is not None
    assert {one["asset"]: Decimal(one["total"]) for one in balances if one["venue"] == "testnet"} == dict(totals)
