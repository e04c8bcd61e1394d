"""Listen keys and private streams: whose news a stream gets, and when it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from controller.gateway.stream_limits import StreamLimits
from controller.gateway.stream_port import AccountEnded, BalanceNews, FillNews, OrderNews
from exchange.model import Fill, Millis, OrderReport, OrderStatus, OrderType, Side
from exchange.wire.push import BalanceReason, BalanceUpdate, OrderExtras
from policies.silence import HeardBy
from tests.unit.gateway.fake_port import START
from tests.unit.gateway.gateway_client import ALPHA, BETA
from tests.unit.gateway.stream_kit import ACCOUNT, DEPTH, FILLS, ORDERS, Gateway, gateway

D = Decimal
REPORT = OrderReport(
    "MXUSDT", "gh-1", "mine", Side.BUY, OrderType.LIMIT, OrderStatus.NEW, D("2.5"), D(4), D(0), D(0), created_at=START
)
FILL = Fill("t1", "gh-1", "mine", "MXUSDT", Side.BUY, D("2.5"), D(4), D(10), D("0.005"), "USDT", True, START)
UPDATE = BalanceUpdate("USDT", D(90), D(-10), D(10), D(10), BalanceReason.FREEZE, START)


def order(bot: str = "alpha", status: OrderStatus = OrderStatus.NEW) -> OrderNews:
    return OrderNews(bot, replace(REPORT, status=status), OrderExtras(), START)


async def test_a_listen_key_is_made_listed_renewed_and_closed() -> None:
    async with gateway() as served:
        first, second = await served.listen_key(), await served.listen_key()
        assert (await served.ask("GET", "userDataStream")).json() == {"listenKey": [first, second]}
        assert (await served.ask("PUT", "userDataStream", listenKey=first)).json() == {"listenKey": first}
        assert (await served.ask("DELETE", "userDataStream", listenKey=second)).json() == {"listenKey": second}
        assert (await served.ask("GET", "userDataStream")).json() == {"listenKey": [first]}
        assert (await served.ask("GET", "userDataStream", BETA)).json() == {"listenKey": []}


async def test_a_listen_key_lives_for_an_hour_after_its_last_renewal() -> None:
    async with gateway() as served:
        key = await served.listen_key()
        served.port.clock = Millis(START + 3_599_000)
        assert (await served.ask("PUT", "userDataStream", listenKey=key)).status_code == 200
        served.port.clock = Millis(START + 3_600_000 + 3_598_000)
        assert (await served.ask("GET", "userDataStream")).json() == {"listenKey": [key]}
        served.port.clock = Millis(START + 3_600_000 + 3_599_000)
        reply = await served.ask("PUT", "userDataStream", listenKey=key)
        assert (reply.status_code, reply.json()["code"]) == (400, 33333)


async def test_a_bot_has_sixty_listen_keys_at_most() -> None:
    async with gateway() as served:
        keys = [await served.listen_key() for _ in range(61)]
    assert len(set(keys)) == 60
    assert keys[60] == keys[59]


async def test_a_new_key_is_not_given_the_listen_keys_of_a_revoked_one() -> None:
    async with gateway() as served:
        for _ in range(60):
            await served.listen_key()
        issued = replace(ALPHA, key="alphaissuedanew")
        served.keys.keys[issued.key] = issued
        del served.keys.keys[ALPHA.key]
        async with served.stream(await served.listen_key(issued)) as stream:
            assert await stream.subscribe(ORDERS) == ORDERS


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_listen_key_of_another_bot_is_not_renewed_or_closed(method: str) -> None:
    async with gateway() as served:
        key = await served.listen_key()
        reply = await served.ask(method, "userDataStream", BETA, listenKey=key)
        assert (reply.status_code, reply.json()["code"]) == (400, 33333)
        assert (await served.ask(method, "userDataStream", BETA)).json()["code"] == 700004
        async with served.stream(key) as stream:
            assert await stream.subscribe(ORDERS) == ORDERS


async def test_a_bot_gets_its_own_news_in_order_and_once() -> None:
    async with gateway() as served:
        keys = [await served.listen_key(), await served.listen_key(BETA)]
        async with served.stream(keys[0]) as mine, served.stream(keys[1]) as theirs:
            assert await mine.subscribe(ORDERS, FILLS, ACCOUNT) == f"{ORDERS},{FILLS},{ACCOUNT}"
            await theirs.subscribe(ORDERS, FILLS)
            assert set(served.port.streams.listening()) == {"alpha", "beta"}
            for news in (order("beta"), order(), FillNews("alpha", FILL), BalanceNews(UPDATE)):
                served.port.streams.say(news)
            pushed = [await mine.push() for _ in range(3)]
            other = (await theirs.push()).body
            assert await theirs.say({"method": "PING"}) == "PONG"
    assert [type(push.body) for push in pushed] == [OrderReport, Fill, BalanceUpdate]
    assert isinstance(other, OrderReport)
    first = pushed[0].body
    assert isinstance(first, OrderReport)
    assert (first.order_id, first.client_id, first.status) == ("gh-1", "mine", OrderStatus.NEW)
    assert pushed[1].body == FILL
    assert pushed[2].body == UPDATE


async def test_balances_begin_with_their_subscription_and_are_forgotten_after_it() -> None:
    async with gateway() as served, served.stream(await served.listen_key()) as stream:
        await stream.subscribe(ACCOUNT)
        assert served.port.streams.balances_wanted == ["refresh"]
        await stream.say({"method": "UNSUBSCRIPTION", "params": [ACCOUNT]})
        assert served.port.streams.balances_wanted[-1] == "forget"
        served.port.streams.say(BalanceNews(UPDATE))
        assert await stream.say({"method": "PING"}) == "PONG"


async def test_a_bots_stream_shows_that_it_is_there_and_anybodys_does_not() -> None:
    async with gateway() as served:
        key = await served.listen_key()
        served.port.signs.clear()
        async with served.stream() as anybody:
            await anybody.say({"method": "PING"})
            assert served.port.signs == []
        async with served.stream(key) as stream:
            await stream.say({"method": "PING"})
            assert [by for _, by in served.port.signs] == [HeardBy.STREAM] * 2, "once for the open stream, once for what it said"


@pytest.mark.parametrize("key", ["", "nope", "0" * 64])
async def test_an_unknown_listen_key_gets_mexcs_text_and_the_reason(key: str) -> None:
    async with gateway() as served, served.stream(key) as stream:
        assert await stream.socket.recv() == "Invalid listen key"
        code, reason = await stream.ending()
    assert code == 1008
    assert "Make one with POST /api/v3/userDataStream" in str(reason)


async def _closed(served: Gateway, key: str) -> None:
    await served.ask("DELETE", "userDataStream", listenKey=key)


async def _expired(served: Gateway, _: str) -> None:
    served.port.clock = Millis(START + 3_600_000)


async def _revoked(served: Gateway, _: str) -> None:
    del served.keys.keys[ALPHA.key]


@pytest.mark.parametrize(("end", "why"), [(_closed, "the listen key"), (_expired, "the listen key"), (_revoked, "was revoked")])
async def test_a_key_that_ends_ends_its_stream_before_the_next_news(end: object, why: str) -> None:
    async with gateway() as served:
        key = await served.listen_key()
        async with served.stream(key) as stream:
            await stream.subscribe(ORDERS)
            await end(served, key)  # type: ignore[operator]
            served.port.streams.say(order())
            code, reason = await stream.ending()
            assert code == 1008
            assert why in str(reason)
            with pytest.raises(ConnectionClosedError):
                await stream.socket.recv()


async def test_a_revoked_key_ends_a_silent_stream_and_opens_none() -> None:
    async with gateway() as served:
        key = await served.listen_key()
        async with served.stream(key) as stream:
            await stream.subscribe(DEPTH)
            await _revoked(served, key)
            assert (await stream.ending())[0] == 1008
        async with served.stream(key) as again:
            assert await again.socket.recv() == "Invalid listen key"


async def test_another_account_ends_private_streams_only() -> None:
    async with gateway() as served, served.stream() as public, served.stream(await served.listen_key()) as private:
        await private.subscribe(ORDERS)
        served.port.streams.say(order())
        served.port.streams.say(AccountEnded("gatehouse: the stage is MOCK now"))
        assert isinstance((await private.push()).body, OrderReport)
        assert await private.ending() == (1013, "gatehouse: the stage is MOCK now")
        assert await public.say({"method": "PING"}) == "PONG"


async def test_a_listen_key_opens_five_streams_and_a_bot_twenty() -> None:
    async with gateway(StreamLimits(per_bot=6)) as served:
        keys = [await served.listen_key(), await served.listen_key()]
        opened = [served.stream(keys[0]) for _ in range(5)] + [served.stream(keys[1])]
        for one in opened:
            await one.__aenter__()
        refusals = []
        for key in (keys[1], await served.listen_key(BETA)):
            try:
                async with served.stream(key):
                    refusals.append("")
            except InvalidStatus as refusal:
                refusals.append(json.loads(refusal.response.body or b"")["msg"])
        await opened[5].__aexit__(None, None, None)
        with pytest.raises(InvalidStatus) as sixth:
            async with served.stream(keys[0]):
                pass
        for one in opened[:5]:
            await one.__aexit__(None, None, None)
    assert refusals[0].startswith("gatehouse: streams: 6 private streams of this bot are open")
    assert refusals[1] == ""
    assert b"five streams of this listen key are open" in (sixth.value.response.body or b"")
