"""The testnet's websocket for a plain client: control frames, pushes, limits and ends of a connection."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from exchange.book import Book, DeltaOutcome
from exchange.model import Fill, Millis, OrderReport, OrderStatus
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.config import StreamLimits, TestnetConfig
from exchange.testnet.push.outbox import Outbox
from exchange.testnet.push.session import Session
from exchange.testnet.server import RunningTestnet, running_testnet
from exchange.wire.market import BookTicker
from exchange.wire.push import BalanceUpdate, DepthLevels, DepthUpdate, KlineUpdate, Push, TradeBatch
from exchange.wire.push_decode import decode_push
from exchange.wire.stream import Speed, depth_channel
from tests.support.channels import book_ticker_channel

DEPTH = "spot@public.aggre.depth.v3.api.pb@10ms@BTCUSDT"
PRIVATE = ["spot@private.orders.v3.api.pb", "spot@private.deals.v3.api.pb", "spot@private.account.v3.api.pb"]


@asynccontextmanager
async def stream(testnet: RunningTestnet, listen_key: str | None = None) -> AsyncIterator[ClientConnection]:
    url = testnet.ws_url if listen_key is None else f"{testnet.ws_url}?listenKey={listen_key}"
    async with asyncio.timeout(10), connect(url, proxy=None, close_timeout=0.1) as socket:
        yield socket


async def ask(socket: ClientConnection, **frame: object) -> Any:
    """Send a control frame and wait for the next text frame."""
    await socket.send(json.dumps(frame))
    while True:
        reply = await socket.recv()
        if isinstance(reply, str):
            return json.loads(reply)


async def subscribe(socket: ClientConnection, *channels: str) -> None:
    reply = await ask(socket, method="SUBSCRIPTION", params=list(channels))
    assert reply["msg"] == ",".join(channels)


async def pushes(socket: ClientConnection) -> AsyncIterator[Push]:
    async for frame in socket:
        if isinstance(frame, bytes):
            yield decode_push(frame)


async def key_of(trader: Any) -> str:
    return str((await trader.send("POST", "userDataStream")).json()["listenKey"])


async def test_a_subscription_is_acknowledged_under_the_id_it_came_with(testnet: RunningTestnet) -> None:
    async with stream(testnet) as socket:
        assert await ask(socket, method="SUBSCRIPTION", params=[DEPTH], id=12) == {"id": 12, "code": 0, "msg": DEPTH}
        assert await ask(socket, method="UNSUBSCRIPTION", params=[DEPTH]) == {"id": 0, "code": 0, "msg": DEPTH}


@pytest.mark.parametrize("method", ["PING", "ping"])
async def test_a_ping_in_any_case_is_answered(testnet: RunningTestnet, method: str) -> None:
    async with stream(testnet) as socket:
        assert await ask(socket, method=method) == {"id": 0, "code": 0, "msg": "PONG"}


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"method":"SUBSCRIPTION"}', '{"method":1}', "[" * 5000, b"\x00\x01"])
async def test_an_invalid_frame_is_answered_and_the_connection_stays(testnet: RunningTestnet, text: str | bytes) -> None:
    async with stream(testnet) as socket:
        await socket.send(text)
        assert "invalid" in json.loads(await socket.recv())["msg"]
        assert (await ask(socket, method="PING"))["msg"] == "PONG"


@pytest.mark.parametrize(
    "channel", [*PRIVATE, "spot@public.aggre.depth.v3.api.pb@10ms@NOPEUSDT", "spot@public.deals.v3.api@BTCUSDT", "x"]
)
async def test_a_channel_that_is_not_granted_is_refused_with_code_0(testnet: RunningTestnet, channel: str) -> None:
    async with stream(testnet) as socket:
        reply = await ask(socket, method="SUBSCRIPTION", params=[channel], id=3)
    assert (reply["id"], reply["code"]) == (3, 0)
    assert reply["msg"].startswith(f"Not Subscribed successfully! [{channel}].")


async def test_subscriptions_beyond_the_limit_of_a_connection_are_refused(changed: Callable[..., TestnetConfig]) -> None:
    kline = "spot@public.kline.v3.api.pb@BTCUSDT@Min1"
    async with running_testnet(changed(streams=StreamLimits(subscriptions=1))) as testnet, stream(testnet) as socket:
        await subscribe(socket, DEPTH)
        assert (await ask(socket, method="SUBSCRIPTION", params=[kline]))["msg"].startswith("Not Subscribed")
        await ask(socket, method="UNSUBSCRIPTION", params=[DEPTH])
        await subscribe(socket, kline)
    assert StreamLimits().subscriptions == 30


@pytest.mark.parametrize("channel", [DEPTH, DEPTH.replace("10ms", "100ms")])
async def test_depth_changes_chain_and_continue_the_rest_snapshot(
    changed: Callable[..., TestnetConfig], trader: Any, channel: str
) -> None:
    async with running_testnet(changed(speed=Decimal(10))) as testnet, stream(testnet) as socket:
        trader.http.base_url = testnet.base_url
        await subscribe(socket, channel)
        source = pushes(socket)
        buffered = [await anext(source)]
        snapshot = await trader.get("depth", symbol="BTCUSDT", limit=5000)
        book = Book("BTCUSDT")
        levels = [[(Decimal(p), Decimal(q)) for p, q in snapshot[side]] for side in ("bids", "asks")]
        book.snapshot(snapshot["lastUpdateId"], *levels, Millis(0))
        outcomes = [apply(book, push) for push in buffered]
        while outcomes.count(DeltaOutcome.APPLIED) < 5:
            outcomes.append(apply(book, await anext(source)))
        testnet.venue.pause()
        while book.version < testnet.venue.engine.depth("BTCUSDT", 1)[0]:
            outcomes.append(apply(book, await anext(source)))
    assert set(outcomes) <= {DeltaOutcome.OLD, DeltaOutcome.APPLIED}
    assert (book.version, *book.depth(50)) == testnet.venue.engine.depth("BTCUSDT", 50)


def apply(book: Book, push: Push) -> DeltaOutcome:
    update = push.body
    assert isinstance(update, DepthUpdate)
    return book.delta(update.from_version, update.to_version, update.bids, update.asks, push.at)


async def test_a_slow_reader_gets_every_depth_change_and_one_best_price(
    changed: Callable[..., TestnetConfig],
) -> None:
    session = Session(StreamLimits(), Outbox(1000), opened_ns=0)
    async with running_testnet(changed(speed=Decimal(10))) as testnet:
        for channel in (depth_channel("BTCUSDT", Speed.MS10), book_ticker_channel("BTCUSDT", Speed.MS10)):
            assert testnet.venue.hub.subscribe(session, channel)
        async with asyncio.timeout(5):
            while len(session.outbox) < 8:  # noqa: ASYNC110 - this outbox has no reader, so no event says when it has filled
                await asyncio.sleep(0.01)
        waiting = [decode_push(frame).body for frame in iter(session.outbox.take, None) if isinstance(frame, bytes)]
    depth = [body for body in waiting if isinstance(body, DepthUpdate)]
    assert len(waiting) - len(depth) == 1
    assert all(later.from_version == earlier.to_version + 1 for earlier, later in itertools.pairwise(depth))


@pytest.mark.parametrize(
    ("channel", "kind"),
    [
        ("spot@public.aggre.deals.v3.api.pb@10ms@BTCUSDT", TradeBatch),
        ("spot@public.aggre.bookTicker.v3.api.pb@100ms@BTCUSDT", BookTicker),
        ("spot@public.limit.depth.v3.api.pb@BTCUSDT@5", DepthLevels),
        ("spot@public.kline.v3.api.pb@BTCUSDT@Min1", KlineUpdate),
    ],
)
async def test_a_public_channel_pushes_its_kind_under_the_name_subscribed(
    testnet: RunningTestnet, channel: str, kind: type
) -> None:
    async with stream(testnet) as socket:
        await subscribe(socket, channel)
        push = await anext(pushes(socket))
    assert isinstance(push.body, kind)
    assert push.channel.name == channel


async def test_private_channels_report_an_orders_states_in_order(testnet: RunningTestnet, trader: Any) -> None:
    async with stream(testnet, await key_of(trader)) as socket:
        await subscribe(socket, *PRIVATE)
        source = pushes(socket)
        await trader.place(newClientOrderId="resting")
        placed = [(await anext(source)).body for _ in range(2)]
        await trader.send("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "resting"})
        canceled = [(await anext(source)).body for _ in range(2)]
    assert [type(body) for body in placed] == [BalanceUpdate, OrderReport]
    assert [described(body) for body in placed] == ["ENTRUST_PLACE", OrderStatus.NEW]
    assert {described(body) for body in canceled} == {"ENTRUST_CANCEL", OrderStatus.CANCELED}


def described(body: object) -> object:
    return body.reason.value if isinstance(body, BalanceUpdate) else body.status if isinstance(body, OrderReport) else None


async def test_a_fill_is_pushed_as_order_deal_and_balances(testnet: RunningTestnet, trader: Any) -> None:
    async with stream(testnet, await key_of(trader)) as socket:
        await subscribe(socket, *PRIVATE)
        await trader.place(price="61000")
        bodies: list[object] = []
        async for push in pushes(socket):
            bodies.append(push.body)
            if isinstance(push.body, OrderReport) and push.body.status is OrderStatus.FILLED:
                break
        async for push in pushes(socket):
            bodies.append(push.body)
            if any(isinstance(body, Fill) for body in bodies) and {"ENTRUST", "TRADE_FEE"} <= {described(body) for body in bodies}:
                break
    ids = {body.client_id for body in bodies if isinstance(body, Fill | OrderReport)}
    assert ids == {""}


async def test_another_account_receives_nothing(testnet: RunningTestnet, trader: Any) -> None:
    stranger = testnet.venue.listen_keys.create("reader", testnet.venue.clock.now())
    async with stream(testnet, stranger) as socket:
        await subscribe(socket, *PRIVATE)
        await trader.place()
        assert json.loads(await first_frame(socket))["msg"] == "PONG"


async def test_a_wrong_listen_key_gets_a_plain_text_and_is_disconnected(testnet: RunningTestnet) -> None:
    async with stream(testnet, "f" * 64) as socket:
        assert await socket.recv() == "Invalid listen key"
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_a_sixth_connection_of_one_listen_key_is_refused(testnet: RunningTestnet, trader: Any) -> None:
    key = await key_of(trader)
    sockets = [await connect(f"{testnet.ws_url}?listenKey={key}", proxy=None, close_timeout=0.1) for _ in range(6)]
    try:
        assert await sockets[5].recv() == "Invalid listen key"
        assert (await ask(sockets[4], method="PING"))["msg"] == "PONG"
    finally:
        for socket in sockets:
            await socket.close()


async def test_an_expired_listen_key_ends_its_connections(testnet: RunningTestnet, trader: Any) -> None:
    key = await key_of(trader)
    async with stream(testnet, key) as socket:
        await subscribe(socket, *PRIVATE)
        testnet.arm(FaultKind.LISTENKEY_EXPIRY)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert (await trader.send("PUT", "userDataStream", {"listenKey": key})).status_code == 400


@pytest.mark.parametrize(
    ("limits", "subscribed"),
    [
        (StreamLimits(unsubscribed_ms=50), False),
        (StreamLimits(idle_ms=50), True),
        (StreamLimits(lifetime_ms=50), False),
    ],
    ids=["no subscription", "no traffic", "too old"],
)
async def test_a_connection_is_cut_when_its_time_is_up(
    changed: Callable[..., TestnetConfig], limits: StreamLimits, subscribed: bool
) -> None:
    async with running_testnet(changed(streams=limits)) as testnet, stream(testnet) as socket:
        if subscribed:
            testnet.venue.pause()
            await subscribe(socket, DEPTH)
        await closed(socket)


async def test_a_client_that_does_not_read_is_disconnected(changed: Callable[..., TestnetConfig]) -> None:
    async with running_testnet(changed(streams=StreamLimits(queue=5))) as testnet, stream(testnet) as socket:
        for _ in range(50):
            await socket.send('{"method":"PING"}')
        session = testnet.venue.hub.sessions[0]
        for _ in range(10):
            session.send(b"x" * 100)
        await asyncio.wait_for(session.ended.wait(), 5)
        await closed(socket)
    assert session.reason == "reads too slowly"


async def closed(socket: ClientConnection) -> None:
    """Read until the venue closes the connection."""
    with suppress(ConnectionClosed):
        async for _ in socket:
            continue
    assert socket.close_code is not None


async def test_a_version_gap_breaks_the_chain_once(testnet: RunningTestnet) -> None:
    async with stream(testnet) as socket:
        await subscribe(socket, DEPTH)
        source = pushes(socket)
        previous = (await anext(source)).body
        testnet.arm(FaultKind.VERSION_GAP)
        gaps = []
        while len(gaps) < 8 and (sum(gaps) == 0 or gaps[-1]):
            update = (await anext(source)).body
            assert isinstance(previous, DepthUpdate)
            assert isinstance(update, DepthUpdate)
            gaps.append(update.from_version != previous.to_version + 1)
            previous = update
    assert sum(gaps) == 1


async def test_a_frozen_stream_answers_pings_but_pushes_nothing(testnet: RunningTestnet, trader: Any) -> None:
    async with stream(testnet, await key_of(trader)) as socket:
        await subscribe(socket, *PRIVATE)
        testnet.arm(FaultKind.STREAM_FREEZE, params={"ms": 60_000, "channel": "private"})
        await trader.place()
        assert json.loads(await first_frame(socket))["msg"] == "PONG"


async def first_frame(socket: ClientConnection) -> str | bytes:
    await socket.send('{"method":"PING"}')
    return await socket.recv()


async def test_duplicated_private_events_arrive_twice(testnet: RunningTestnet, trader: Any) -> None:
    async with stream(testnet, await key_of(trader)) as socket:
        await subscribe(socket, PRIVATE[0])
        testnet.arm(FaultKind.DUPLICATE_PRIVATE_EVENTS)
        await trader.place()
        first, second = await socket.recv(), await socket.recv()
    assert first == second
