"""Channels, control frames and pushes (mexc-spot-v3.md §7)."""

import sys
from decimal import Decimal
from importlib import util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Fill, MarketTrade, Millis, OrderReport, OrderStatus, OrderType, Side
from exchange.orders import WORKING
from exchange.wire import stream
from exchange.wire.errors import MalformedReply, WireRefusal
from exchange.wire.market import BookTicker, Candle, Interval
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from exchange.wire.push import (
    BalanceReason,
    BalanceUpdate,
    BookTickerBatch,
    DepthBatch,
    DepthLevels,
    DepthStep,
    DepthUpdate,
    KlineUpdate,
    MiniTicker,
    MiniTickers,
    OrderExtras,
    PublicBody,
    Push,
    TradeBatch,
)
from exchange.wire.push_decode import decode_push
from exchange.wire.push_encode import encode_push
from exchange.wire.stream import Channel, ControlMethod, ControlRequest, Speed, Topic, parse_channel
from tests.support import channels

ROOT = Path(__file__).resolve().parents[3]
AMOUNT = st.decimals(min_value=0, max_value=Decimal(10) ** 9, places=8)
TIME = st.integers(2**40, 2**42).map(Millis)
SECONDS = st.integers(2**30, 2**32).map(lambda seconds: Millis(seconds * 1_000))
SIDE = st.sampled_from(list(Side))
LEVELS = st.lists(st.tuples(AMOUNT, AMOUNT), max_size=4).map(tuple)
STATES = [OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED, OrderStatus.CANCELED, OrderStatus.PARTIALLY_CANCELED]
TRADES = st.lists(st.builds(MarketTrade, st.just("MXUSDT"), AMOUNT, AMOUNT, SIDE, TIME, st.sampled_from(["", "505X1"])), max_size=3)
VERSION = st.integers(0, 10**11)
TICKERS = st.builds(BookTicker, st.just("MXUSDT"), AMOUNT, AMOUNT, AMOUNT, AMOUNT)
MINIS = st.builds(MiniTicker, st.just("MXUSDT"), *[AMOUNT] * 11)
PUBLIC = st.one_of(
    st.tuples(
        st.just(stream.depth_channel("MXUSDT")),
        st.builds(DepthUpdate, st.just("MXUSDT"), st.integers(0, 10**11), st.integers(0, 10**11), LEVELS, LEVELS),
    ),
    st.tuples(st.just(stream.deals_channel("MXUSDT", Speed.MS10)), st.builds(TradeBatch, st.just("MXUSDT"), TRADES.map(tuple))),
    st.tuples(
        st.just(channels.book_ticker_channel("MXUSDT")),
        st.builds(BookTicker, st.just("MXUSDT"), AMOUNT, AMOUNT, AMOUNT, AMOUNT, st.none() | VERSION),
    ),
    st.tuples(
        st.just(channels.book_ticker_batch_channel("MXUSDT")),
        st.builds(BookTickerBatch, st.just("MXUSDT"), st.lists(TICKERS, max_size=3).map(tuple), st.none() | VERSION),
    ),
    st.tuples(
        st.just(channels.depth_batch_channel("MXUSDT")),
        st.builds(DepthBatch, st.just("MXUSDT"), st.lists(st.builds(DepthStep, VERSION, LEVELS, LEVELS), max_size=3).map(tuple)),
    ),
    st.tuples(st.just(channels.mini_ticker_channel("MXUSDT", "UTC+8")), MINIS),
    st.tuples(st.just(channels.mini_tickers_channel()), st.builds(MiniTickers, st.lists(MINIS, max_size=3).map(tuple))),
    st.tuples(
        st.just(channels.limit_depth_channel("MXUSDT", 20)),
        st.builds(DepthLevels, st.just("MXUSDT"), st.integers(0, 10**11), LEVELS, LEVELS),
    ),
    st.tuples(
        st.just(channels.kline_channel("MXUSDT", Interval.HOUR8)),
        st.builds(
            KlineUpdate,
            st.just("MXUSDT"),
            st.just(Interval.HOUR8),
            st.builds(Candle, SECONDS, AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, SECONDS, AMOUNT),
        ),
    ),
)
FILLS = st.builds(
    Fill,
    st.just("505979017439002624X1"),
    st.just("C02__505979017439002624115"),
    st.sampled_from(["", "gh-1"]),
    st.just("MXUSDT"),
    SIDE,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    st.just("USDT"),
    st.booleans(),
    TIME,
)
BALANCES = st.builds(
    BalanceUpdate, st.just("USDT"), AMOUNT, AMOUNT, AMOUNT, AMOUNT, st.sampled_from([r for r in BalanceReason if r.value]), TIME
)
CHANNELS = [
    stream.depth_channel("MXUSDT"),
    stream.deals_channel("MXUSDT", Speed.MS10),
    channels.book_ticker_channel("MXUSDT"),
    channels.limit_depth_channel("MXUSDT", 5),
    *(channels.kline_channel("MXUSDT", interval) for interval in Interval),
    channels.book_ticker_batch_channel("MXUSDT"),
    channels.depth_batch_channel("MXUSDT"),
    channels.mini_ticker_channel("MXUSDT"),
    channels.mini_ticker_channel("MXUSDT", "UTC+5:30"),
    channels.mini_tickers_channel("UTC-10"),
    *stream.PRIVATE_CHANNELS,
]


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_every_channel_reads_back_from_its_name(channel: Channel) -> None:
    assert parse_channel(channel.name) == channel


def test_channel_names_are_mexcs() -> None:
    assert stream.depth_channel("MXUSDT").name == "spot@public.aggre.depth.v3.api.pb@100ms@MXUSDT"
    assert channels.kline_channel("MXUSDT", Interval.MIN60).name == "spot@public.kline.v3.api.pb@MXUSDT@Min60"
    assert channels.limit_depth_channel("MXUSDT", 5).name == "spot@public.limit.depth.v3.api.pb@MXUSDT@5"
    assert channels.mini_ticker_channel("MXUSDT").name == "spot@public.miniTicker.v3.api.pb@MXUSDT@24H"
    assert channels.mini_tickers_channel("UTC+8").name == "spot@public.miniTickers.v3.api.pb@UTC+8"


def test_a_clients_spelling_is_read_and_kept() -> None:
    without_speed = parse_channel("spot@public.aggre.deals.v3.api.pb@MXUSDT")
    reversed_levels = parse_channel("spot@public.limit.depth.v3.api.pb@5@MXUSDT")
    assert without_speed == Channel("spot@public.aggre.deals.v3.api.pb@MXUSDT", Topic.AGGRE_DEALS, "MXUSDT", speed=Speed.MS100)
    assert reversed_levels == Channel("spot@public.limit.depth.v3.api.pb@5@MXUSDT", Topic.LIMIT_DEPTH, "MXUSDT", levels=5)


@pytest.mark.parametrize(
    "name",
    [
        "", "@", "spot", "spot@public.aggre.depth.v3.api.pb", "spot@public.aggre.depth.v3.api@100ms@MXUSDT",
        "spot@public.aggre.depth.v3.api.pb@50ms@MXUSDT", "spot@public.aggre.depth.v3.api.pb@100ms@mxusdt",
        "spot@public.limit.depth.v3.api.pb@MXUSDT@6", "spot@public.kline.v3.api.pb@MXUSDT@60m",
        "spot@private.orders.v3.api.pb@MXUSDT", "spot@public.miniTicker.v3.api.pb@MXUSDT@48H",
        "spot@public.miniTicker.v3.api.pb@24H", "spot@public.miniTickers.v3.api.pb@MXUSDT@24H", "spot@public.miniTickers.v3.api.pb",
        "spot@public.miniTickers.v3.api.pb@UTC+15", "spot@public.bookTicker.batch.v3.api.pb@100ms@MXUSDT",
        "spot@public.increase.depth.batch.v3.api.pb",
    ],
)  # fmt: skip
def test_an_unsupported_channel_is_none(name: str) -> None:
    assert parse_channel(name) is None


def test_a_subscription_survives_the_wire() -> None:
    [frame] = stream.subscribe_frames(CHANNELS[:3], first_id=7)
    expected = ControlRequest(ControlMethod.SUBSCRIPTION, tuple(channel.name for channel in CHANNELS[:3]), 7)
    assert stream.parse_request(frame) == expected


def test_many_channels_are_split_into_frames_within_the_limit() -> None:
    channels = [stream.depth_channel(f"TOKEN{n}USDT") for n in range(30)]
    frames = stream.subscribe_frames(channels, first_id=1)
    requests = [stream.parse_request(frame) for frame in frames]
    assert max(len(frame) for frame in frames) <= stream.MAX_CLIENT_FRAME
    assert [name for request in requests for name in request.channels] == [channel.name for channel in channels]
    assert [request.id for request in requests] == list(range(1, len(frames) + 1))


def test_more_channels_than_a_connection_takes_is_an_error() -> None:
    with pytest.raises(ValueError, match="31 channels"):
        stream.subscribe_frames([stream.depth_channel(f"T{n}USDT") for n in range(31)])


@pytest.mark.parametrize("frame", [stream.ping_frame(), '{"method":"ping"}', '{"method":"PING","id":"x"}'])
def test_a_ping_is_read_in_upper_and_lower_case(frame: str) -> None:
    assert stream.parse_request(frame) == ControlRequest(ControlMethod.PING)


@pytest.mark.parametrize(
    "frame",
    ["", "x", "[]", "{}", '{"method":"LOGIN"}', '{"method":"SUBSCRIPTION"}', '{"method":"SUBSCRIPTION","params":[]}',
     '{"method":"SUBSCRIPTION","params":[1]}', '{"method":"SUBSCRIPTION","params":"x"}', "[" * 100_000, "\udcff"],
)  # fmt: skip
def test_an_invalid_frame_is_refused(frame: str) -> None:
    with pytest.raises(WireRefusal):
        stream.parse_request(frame)


def test_an_acknowledgement_accepts_only_the_channels_it_lists() -> None:
    reply = stream.parse_reply(stream.ack_frame([CHANNELS[0].name, CHANNELS[2].name], 3))
    assert (reply.id, reply.accepted(CHANNELS)) == (3, (CHANNELS[0], CHANNELS[2]))


@pytest.mark.parametrize(
    "frame", [stream.ack_frame([]), stream.refused_frame([CHANNELS[0].name]), stream.pong_frame(), stream.format_error_frame()]
)
def test_nothing_else_accepts_a_channel_though_its_code_is_zero(frame: str) -> None:
    reply = stream.parse_reply(frame)
    assert (reply.code, reply.accepted(CHANNELS)) == (0, ())


def test_a_ping_is_answered_with_pong() -> None:
    assert stream.parse_reply(stream.pong_frame()).msg == "PONG"


def test_the_plain_text_of_a_bad_listen_key_is_not_a_reply() -> None:
    with pytest.raises(MalformedReply):
        stream.parse_reply(stream.BAD_LISTEN_KEY)


@given(PUBLIC, st.none() | TIME, st.none() | TIME)
def test_a_public_push_survives_the_wire(
    pushed: tuple[Channel, PublicBody],
    created: Millis | None,
    sent: Millis | None,
) -> None:
    push = Push(pushed[0], pushed[1], created, sent)
    assert decode_push(encode_push(push)) == push


@given(st.sampled_from(STATES), st.sampled_from(list(OrderType)), SIDE, AMOUNT, AMOUNT, st.sampled_from(["", "gh-1"]), TIME)
def test_a_private_order_survives_the_wire_with_its_push_time(
    status: OrderStatus, kind: OrderType, side: Side, price: Decimal, quantity: Decimal, client_id: str, at: Millis
) -> None:
    report = OrderReport("MXUSDT", "C02__1", client_id, side, kind, status, price, quantity, quantity, price, Millis(5), at)
    push = Push(stream.ORDERS, report, created_at=Millis(4), sent_at=at)
    assert decode_push(encode_push(push, OrderExtras(maker=True, last_quantity=Decimal(1)))) == push


def test_status_5_is_an_order_that_ended_and_kept_its_fills() -> None:
    two, three, executed = Decimal(2), Decimal(3), Decimal(1)
    placed = ("MXUSDT", "C02__1", "gh-1", Side.BUY, OrderType.LIMIT)
    partly = OrderReport(*placed, OrderStatus.PARTIALLY_FILLED, two, three, executed, two, Millis(5), Millis(6))
    push = Push(stream.ORDERS, partly, created_at=Millis(4), sent_at=Millis(6))
    wrapper = PushDataV3ApiWrapper()
    wrapper.ParseFromString(encode_push(push, OrderExtras(maker=True, last_quantity=executed)))
    wrapper.privateOrders.status = 5
    ended = decode_push(wrapper.SerializeToString()).body
    assert isinstance(ended, OrderReport)
    assert (ended.status, ended.executed) == (OrderStatus.PARTIALLY_CANCELED, executed)
    assert ended.status not in WORKING


@given(FILLS)
def test_a_private_deal_survives_the_wire(fill: Fill) -> None:
    push = Push(stream.DEALS, fill, Millis(1), Millis(2))
    assert decode_push(encode_push(push)) == push


@given(BALANCES)
def test_a_balance_survives_the_wire(balance: BalanceUpdate) -> None:
    push = Push(stream.ACCOUNT, balance, Millis(1), Millis(2))
    assert decode_push(encode_push(push)) == push


def test_a_balance_reason_mexc_adds_later_is_unlisted() -> None:
    wrapper = PushDataV3ApiWrapper(channel=stream.ACCOUNT.name)
    wrapper.privateAccount.vcoinName, wrapper.privateAccount.balanceAmount = "USDT", "1"
    account = wrapper.privateAccount
    account.balanceAmountChange, account.frozenAmount, account.frozenAmountChange = "1", "0", "0"
    account.type = "NEW_REASON"
    body = decode_push(wrapper.SerializeToString()).body
    assert isinstance(body, BalanceUpdate)
    assert body.reason is BalanceReason.UNLISTED


def test_the_order_push_has_average_and_remaining_amounts() -> None:
    report = OrderReport(
        "MXUSDT", "C02__1", "gh-1", Side.BUY, OrderType.LIMIT, OrderStatus.PARTIALLY_FILLED,
        price=Decimal(2), quantity=Decimal(10), executed=Decimal(4), executed_quote=Decimal(6), created_at=Millis(1),
    )  # fmt: skip
    wrapper = PushDataV3ApiWrapper.FromString(encode_push(Push(stream.ORDERS, report)))
    order = wrapper.privateOrders
    assert (order.amount, order.avgPrice, order.remainAmount, order.remainQuantity, order.status) == ("20", "1.5", "12", "6", 3)
    assert not order.HasField("lastDealQuantity")


def test_the_wrapper_uses_mexcs_field_numbers() -> None:
    numbers = {field.name: field.number for field in PushDataV3ApiWrapper.DESCRIPTOR.fields}
    assert (numbers["privateOrders"], numbers["publicAggreBookTicker"]) == (304, 315)
    assert {numbers[name] for name in ("channel", "symbol", "symbolId", "createTime", "sendTime")} == {1, 3, 4, 5, 6}


def test_a_field_mexc_adds_later_is_ignored() -> None:
    push = Push(stream.depth_channel("MXUSDT"), DepthUpdate("MXUSDT", 1, 2, (), ()), Millis(1), Millis(2))
    assert decode_push(encode_push(push) + b"\xfa\x3e\x03abc") == push


@given(st.binary(max_size=200))
def test_random_bytes_are_a_typed_error(frame: bytes) -> None:
    with pytest.raises(MalformedReply):
        decode_push(frame)


def hostile(channel: str, **changes: object) -> PushDataV3ApiWrapper:
    wrapper = PushDataV3ApiWrapper(channel=channel, symbol="MXUSDT")
    order = wrapper.privateOrders
    order.id, order.orderType, order.tradeType, order.status = "C02__1", 1, 1, 1
    order.price, order.quantity, order.cumulativeQuantity, order.cumulativeAmount = "2", "3", "0", "0"
    for name, value in changes.items():
        setattr(order, name, value)
    return wrapper


@pytest.mark.parametrize(
    "changes",
    [{"status": 0}, {"status": 9}, {"tradeType": 0}, {"id": ""}, {"price": "NaN"}, {"quantity": "1_0"},
     {"createTime": -1}],
)  # fmt: skip
def test_an_invalid_private_order_is_a_typed_error(changes: dict[str, object]) -> None:
    assert decode_push(hostile(stream.ORDERS.name).SerializeToString())
    with pytest.raises(MalformedReply):
        decode_push(hostile(stream.ORDERS.name, **changes).SerializeToString())


def test_a_push_for_another_symbol_than_its_channel_is_a_typed_error() -> None:
    push = Push(stream.depth_channel("MXUSDT"), DepthUpdate("BTCUSDT", 1, 2, (), ()))
    with pytest.raises(MalformedReply):
        decode_push(encode_push(push))


def test_a_mini_ticker_of_another_symbol_than_its_channel_is_a_typed_error() -> None:
    wrapper = PushDataV3ApiWrapper(channel=channels.mini_ticker_channel("MXUSDT").name)
    ticker = wrapper.publicMiniTicker
    ticker.symbol, ticker.price, ticker.high, ticker.low = "BTCUSDT", "1", "1", "1"
    with pytest.raises(MalformedReply):
        decode_push(wrapper.SerializeToString())


def test_the_checked_in_protobuf_code_is_what_the_compiler_writes(tmp_path: Path) -> None:
    spec = util.spec_from_file_location("ops_proto", ROOT / "ops" / "proto.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules["ops_proto"] = module
    spec.loader.exec_module(module)
    written = module.generate(tmp_path)
    assert len(written) == 6
    assert [path for path in written if (tmp_path / path).read_bytes() != (ROOT / path).read_bytes()] == []
