"""The gateway's streams over a real socket: what is pushed, acknowledged, refused and cut."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from decimal import Decimal

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from controller.gateway.stream_limits import StreamLimits
from controller.gateway.stream_port import MarketReplaced
from controller.serving.throttle import Rate
from exchange.model import MarketTrade, Side
from exchange.ports import FeedBroken
from exchange.wire.market import BookTicker, Interval
from exchange.wire.push import DepthLevels, DepthUpdate, KlineUpdate, MiniTicker, TradeBatch
from tests.support.loopback import http_at
from tests.unit.gateway.fake_port import CANDLE, START
from tests.unit.gateway.stream_kit import ACCOUNT, DEALS, DEPTH, ORDERS, SYMBOL, TICKER, gateway

D = Decimal


def moved(first: int, last: int, *bids: tuple[str, str]) -> DepthUpdate:
    return DepthUpdate(SYMBOL, first, last, tuple((D(price), D(quantity)) for price, quantity in bids), ())


def traded(price: str, trade_id: str) -> MarketTrade:
    return MarketTrade(SYMBOL, D(price), D(1), Side.BUY, START, trade_id)


async def test_depth_changes_are_joined_and_their_versions_chain() -> None:
    async with gateway() as served, served.stream() as stream:
        assert await stream.subscribe(DEPTH) == DEPTH
        served.port.streams.market(moved(8, 8, ("2.5", "9")))
        served.port.streams.market(moved(9, 9, ("2.5", "0")))
        first = await stream.push()
        served.port.streams.market(moved(10, 11, ("2.4", "1")))
        second = await stream.push()
    assert first.body == DepthUpdate(SYMBOL, 8, 9, ((D("2.5"), D(0)),), ())
    assert second.body == DepthUpdate(SYMBOL, 10, 11, ((D("2.4"), D(1)),), ())
    assert first.channel.name == DEPTH


async def test_trades_best_prices_and_levels_are_pushed() -> None:
    levels = f"spot@public.limit.depth.v3.api.pb@{SYMBOL}@5"
    async with gateway() as served, served.stream() as stream:
        assert await stream.subscribe(DEALS, TICKER, levels) == f"{DEALS},{TICKER},{levels}"
        served.port.streams.market(traded("2.5", "t1"))
        found = {type(push.body): push.body for push in [await stream.push() for _ in range(3)]}
    assert found[TradeBatch] == TradeBatch(SYMBOL, (traded("2.5", "t1"),))
    assert found[BookTicker] == BookTicker(SYMBOL, D("2.5"), D(10), D("2.51"), D(4), 77)
    assert isinstance(found[DepthLevels], DepthLevels)
    assert found[DepthLevels].version == 77


async def test_candles_and_the_day_come_from_what_rest_shows() -> None:
    async with gateway() as served, served.stream() as stream:
        await stream.subscribe(f"spot@public.kline.v3.api.pb@{SYMBOL}@Min1", f"spot@public.miniTicker.v3.api.pb@{SYMBOL}@24H")
        found = {type(push.body): push.body for push in [await stream.push() for _ in range(2)]}
    assert found[KlineUpdate] == KlineUpdate(SYMBOL, Interval.MIN1, CANDLE)
    day = found[MiniTicker]
    assert isinstance(day, MiniTicker)
    assert (day.price, day.high, day.low, day.volume) == (D("2.505"), D("2.505"), D("2.2"), D(1000))


async def test_a_channel_that_fails_unexpectedly_ends_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> object:
        raise RuntimeError("nobody expected it")

    async with gateway() as served, served.stream() as stream:
        await stream.subscribe(f"spot@public.kline.v3.api.pb@{SYMBOL}@Min1")
        await stream.push()
        monkeypatch.setattr(served.port, "candles", broken)
        served.port.streams.market(traded("2.5", "t1"))
        code, reason = await stream.ending()
    assert (code, reason) == (1013, f"gatehouse: spot@public.kline.v3.api.pb@{SYMBOL}@Min1: internal error")


async def test_a_channel_without_data_is_refused_by_name_with_the_reason() -> None:
    kline = f"spot@public.kline.v3.api.pb@{SYMBOL}@Min1"
    async with gateway() as served, served.stream() as stream:
        served.port.market_problem = "no connection"
        assert await stream.subscribe(kline, DEPTH) == DEPTH
        assert "no connection" in str(json.loads(await stream.socket.recv()))
        for name, why in (
            ("spot@public.aggre.depth.v3.api.pb@100ms@BTCUSDT", "BTCUSDT is not traded here; MXUSDT may be"),
            ("spot@public.nope.v3.api.pb", "no such channel"),
            (ORDERS, "needs a connection with ?listenKey="),
        ):
            reply = await stream.subscribe(name)
            assert reply.startswith(f"Not Subscribed successfully! [{name}].  Reason： gatehouse: ")
            assert why in reply
        served.port.streams.problem = "the market data is not fresh"
        assert "is not fresh" in await stream.subscribe(DEALS)


async def test_the_31st_subscription_is_refused_and_a_second_one_is_the_first() -> None:
    names = [f"spot@public.limit.depth.v3.api.pb@{SYMBOL}@{n}" for n in (5, 10, 20)]
    intervals = [one.stream_name for one in Interval]
    names += [f"spot@public.kline.v3.api.pb@{SYMBOL}@{one}" for one in intervals]
    names += [f"spot@public.miniTicker.v3.api.pb@{SYMBOL}@UTC{n:+}" for n in range(-12, 18 - len(names))]
    async with gateway() as served, served.stream() as stream:
        assert await stream.subscribe(*names) == ",".join(names)
        assert await stream.subscribe(names[0]) == names[0]
        assert "30 subscriptions are the most" in await stream.subscribe(DEPTH)
        await stream.say({"method": "UNSUBSCRIPTION", "params": [names[1]]})
        assert await stream.subscribe(DEPTH) == DEPTH


async def test_a_channel_subscribed_twice_is_pushed_once() -> None:
    async with gateway() as served, served.stream() as stream:
        await stream.subscribe(DEPTH)
        await stream.subscribe(DEPTH)
        for version in (8, 9):
            served.port.streams.market(moved(version, version))
            push = await stream.push()
            assert isinstance(push.body, DepthUpdate)
            assert push.body.to_version == version


async def test_messages_are_answered_as_mexc_does() -> None:
    async with gateway() as served, served.stream() as stream:
        assert await stream.say({"method": "ping"}) == "PONG"
        assert await stream.say({"method": "PING"}) == "PONG"
        assert await stream.say({"method": "nope"}) == "msg format invalid"
        assert await stream.say(["no", "object"]) == "msg format invalid"
        await stream.socket.send(b"binary")
        assert json.loads(await stream.socket.recv())["msg"] == "msg format invalid"
        await (await stream.socket.ping())


async def test_a_break_of_the_feed_ends_the_streams_of_its_symbol() -> None:
    async with gateway() as served, served.stream() as stream, served.stream() as other:
        await stream.subscribe(DEPTH)
        assert await other.say({"method": "PING"}) == "PONG"
        served.port.streams.market(FeedBroken(SYMBOL, "a change is missing"))
        code, reason = await stream.ending()
        assert code == 1013
        assert reason == ("gatehouse: the market data of MXUSDT broke off: a change is missing. Connect again and read GET depth.")
        assert await other.say({"method": "PING"}) == "PONG"


async def test_another_market_ends_every_public_stream() -> None:
    async with gateway() as served, served.stream() as stream:
        await stream.subscribe(TICKER)
        served.port.streams.market(MarketReplaced("gatehouse: the stage is MOCK now"))
        assert await stream.ending() == (1013, "gatehouse: the stage is MOCK now")


async def test_a_stream_that_subscribes_to_nothing_or_is_silent_or_old_ends() -> None:
    for limits, channel, why in (
        (StreamLimits(unsubscribed_s=0.1), "", "no valid subscription within 0.1 s"),
        (StreamLimits(idle_s=0.1), DEPTH, "no traffic for 0.1 s. Send PING."),
        (StreamLimits(lifetime_s=0.1), DEPTH, "the longest that a stream may be"),
    ):
        async with gateway(limits) as served, served.stream() as stream:
            if channel:
                await stream.subscribe(channel)
            code, reason = await stream.ending()
            assert code == 1001
            assert why in str(reason)


async def test_a_handshake_that_is_refused_says_why_in_the_body() -> None:
    async with gateway(StreamLimits(public=1)) as served:
        with pytest.raises(InvalidStatus) as elsewhere:
            async with served.stream(path="/wss"):
                pass
        async with served.stream():
            with pytest.raises(InvalidStatus) as full:
                async with served.stream():
                    pass
        served.port.is_ready = False
        with pytest.raises(InvalidStatus) as early:
            async with served.stream():
                pass
        plain = await served.ask("GET", "../../ws")
    bodies = [
        (one.value.response.status_code, json.loads(one.value.response.body or b"")["msg"]) for one in (elsewhere, full, early)
    ]
    assert bodies[0] == (404, "gatehouse: streams are at /ws.")
    assert bodies[1][0] == 429
    assert "1 public streams are open, and that is the most" in bodies[1][1]
    assert bodies[2][0] == 503
    assert "the controller reads its journal" in bodies[2][1]
    assert plain.status_code == 426


async def test_no_log_has_a_listen_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with gateway() as served:
            key = await served.listen_key()
            async with served.stream(key) as stream:
                await stream.subscribe(ACCOUNT)
    ours = [record for record in caplog.records if not record.name.startswith(("websockets.client", "httpx", "httpcore"))]
    assert not any(key in record.getMessage() for record in ours)


async def test_a_client_that_sends_too_much_is_cut() -> None:
    async with gateway() as served, served.stream() as stream:
        with suppress(ConnectionClosed):
            while True:  # A slow machine sends fewer in a second, so it sends until it is cut.
                await stream.socket.send('{"method":"PING"}')
        code, reason = await stream.ending()
    assert (code, reason) == (1008, "gatehouse: more than 100 messages in a second")


async def test_a_market_that_never_stops_leaves_the_loop_its_turns() -> None:
    async with gateway() as served, served.stream() as stream:
        await stream.subscribe(DEPTH, DEALS)
        for version in range(8, 2_008):
            served.port.streams.market(moved(version, version, ("2.5", str(version))))
            served.port.streams.market(traded("2.5", f"t{version}"))
        assert (await served.ask("GET", "openOrders")).status_code == 200
        deals = depth = 0
        while deals < 2_000 or depth < 2_007:
            body = (await stream.push()).body
            if isinstance(body, TradeBatch):
                deals += len(body.trades)
            elif isinstance(body, DepthUpdate):
                assert body.from_version == (depth or 7) + 1
                depth = body.to_version


async def test_many_streams_get_one_encoded_push() -> None:
    async with gateway() as served:
        async with asyncio.timeout(90):
            opened = [served.stream() for _ in range(20)]
            streams = [await one.__aenter__() for one in opened]
            for one in streams:
                await one.subscribe(TICKER)
            served.port.streams.market(moved(8, 8))
            bodies = {(await one.push()).body for one in streams}
            for entered in opened:
                await entered.__aexit__(None, None, None)
    assert len(bodies) == 1


async def test_channels_of_history_are_few_and_count_as_requests() -> None:
    intervals = [f"spot@public.kline.v3.api.pb@{SYMBOL}@{one}" for one in ("Min1", "Min5", "Min15")]
    async with gateway(StreamLimits(histories=2)) as served, served.stream() as stream:
        assert await stream.subscribe(*intervals[:2]) == ",".join(intervals[:2])
        assert "2 different channels of candles and mini tickers are open" in await stream.subscribe(intervals[2])
    async with gateway(history=Rate(1, 2, seconds=60)) as served, served.stream() as stream:
        assert await stream.subscribe(*intervals[:2]) == ",".join(intervals[:2])
        assert "too many requests for candles and statistics" in await stream.subscribe(intervals[2])
        async with http_at(f"http://127.0.0.1:{served.number}") as client:
            reply = await client.get("/api/v3/klines", params={"symbol": SYMBOL, "interval": "1m"})
        assert reply.status_code == 429
