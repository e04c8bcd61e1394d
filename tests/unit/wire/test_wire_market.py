"""Market data, account and symbol rules on the wire (mexc-spot-v3.md §3, §4.11)."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import Balance, Fill, MarketTrade, Millis, OrderType, Side, SymbolRules
from exchange.wire import account, market
from exchange.wire.errors import ErrorCode, MalformedReply, WireRefusal, dump_json, load_json
from exchange.wire.symbols import exchange_info_json, parse_exchange_info, parse_symbol_rules, symbol_json
from tests.support.wire_readers import parse_agg_trades, parse_price, parse_trades

AMOUNT = st.decimals(min_value=0, max_value=Decimal(10) ** 9, places=8)
POSITIVE = st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal(10) ** 9, places=8)
TIME = st.integers(2**40, 2**42).map(Millis)
SIDE = st.sampled_from(list(Side))
RULES = SymbolRules(
    symbol="MXUSDT",
    base="MX",
    quote="USDT",
    quantity_precision=2,
    price_precision=4,
    min_quantity=Decimal("0.01"),
    min_notional=Decimal(1),
    min_notional_market=Decimal(2),
    max_notional=Decimal(1_000),
    max_notional_market=Decimal(500),
    maker_fee=Decimal(0),
    taker_fee=Decimal("0.0005"),
    order_types=frozenset(OrderType),
    trading=True,
    api_allowed=True,
)


def over_the_wire(value: object) -> object:
    return load_json(dump_json(value))


@given(
    st.builds(
        replace,
        st.just(RULES),
        quantity_precision=st.integers(0, 18),
        price_precision=st.integers(0, 18),
        min_quantity=AMOUNT,
        min_notional=AMOUNT,
        max_notional=AMOUNT,
        taker_fee=AMOUNT,
        trading=st.booleans(),
        api_allowed=st.booleans(),
        buy_allowed=st.booleans(),
        sell_allowed=st.booleans(),
        order_types=st.sampled_from([frozenset(OrderType), frozenset({OrderType.MARKET}), frozenset()]),
    )
)
def test_symbol_rules_survive_the_wire(rules: SymbolRules) -> None:
    assert parse_symbol_rules(over_the_wire(symbol_json(rules))) == rules


def test_a_recorded_listing_with_many_digits_and_text_side_type_is_read() -> None:
    listing = {**symbol_json(RULES), "quoteAmountPrecision": "1.000000000000000000000000000000", "tradeSideType": "2", "st": False}
    rules = parse_symbol_rules(listing)
    assert (rules.min_notional, rules.buy_allowed, rules.sell_allowed) == (1, True, False)


def test_immediate_types_are_never_listed_yet_accepted_wherever_limit_is() -> None:
    listing = symbol_json(RULES)
    assert listing["orderTypes"] == ["LIMIT", "MARKET", "LIMIT_MAKER"]
    assert parse_symbol_rules(listing).order_types == frozenset(OrderType)


@pytest.mark.parametrize("status", ["2", "3", "", None, "ENABLED"])
def test_only_status_one_is_trading(status: object) -> None:
    assert not parse_symbol_rules({**symbol_json(RULES), "status": status}).trading


@pytest.mark.parametrize(
    "field", ["baseAssetPrecision", "quotePrecision", "baseSizePrecision", "tradeSideType", "maxQuoteAmount", "takerCommission"]
)
def test_a_listing_without_a_rule_is_unreadable(field: str) -> None:
    listing = symbol_json(RULES)
    del listing[field]
    with pytest.raises(MalformedReply):
        parse_symbol_rules(listing)


def test_an_unreadable_listing_does_not_hide_the_wanted_one() -> None:
    info = exchange_info_json([RULES], Millis(1))
    info["symbols"] = [{"symbol": "ODD"}, symbol_json(RULES)]
    assert parse_exchange_info(info, {"MXUSDT", "NOPE"}) == {"MXUSDT": RULES}


@given(st.dictionaries(st.sampled_from(["MX", "USDT", "EUR"]), st.tuples(POSITIVE, AMOUNT), max_size=3))
def test_an_account_survives_the_wire(amounts: dict[str, tuple[Decimal, Decimal]]) -> None:
    balances = {asset: Balance(asset, free, locked) for asset, (free, locked) in amounts.items()}
    assert account.parse_account(over_the_wire(account.account_json(balances.values()))) == account.Account(True, balances)


def test_zero_balances_are_left_out_and_a_repeated_asset_is_unreadable() -> None:
    assert account.account_json([Balance("MX", Decimal(0), Decimal(0))])["balances"] == []
    twice = {"canTrade": True, "balances": [{"asset": "MX", "free": "1", "locked": "0"}] * 2}
    with pytest.raises(MalformedReply):
        account.parse_account(twice)


@given(SIDE, POSITIVE, POSITIVE, AMOUNT, st.booleans(), TIME)
def test_a_fill_survives_the_wire(side: Side, price: Decimal, quantity: Decimal, fee: Decimal, maker: bool, at: Millis) -> None:
    quote = (price * quantity).quantize(Decimal("1e-8"))
    fill = Fill("505X1", "C02__1", "gh-1", "MXUSDT", side, price, quantity, quote, fee, "USDT", maker, at)
    assert account.parse_my_trades(over_the_wire([account.fill_json(fill)])) == (fill,)


@pytest.mark.parametrize("field", ["id", "orderId", "price", "qty", "commission", "time", "isBuyer", "isMaker"])
def test_a_fill_without_a_needed_field_is_unreadable(field: str) -> None:
    one = Decimal(1)
    shown = account.fill_json(Fill("1", "2", "", "MXUSDT", Side.BUY, one, one, one, one, "USDT", True, Millis(1)))
    with pytest.raises(MalformedReply):
        account.parse_fill({**shown, field: None})


@given(AMOUNT, AMOUNT)
def test_a_trade_fee_is_sent_as_exact_json_numbers(maker: Decimal, taker: Decimal) -> None:
    fee = account.TradeFee(maker, taker)
    assert account.parse_trade_fee(load_json(account.trade_fee_body(fee, Millis(1)))) == fee


@given(st.none() | TIME, st.none() | TIME, st.integers(1, 100), st.none() | st.just("C02__1"))
def test_a_history_query_survives_the_wire(start: Millis | None, end: Millis | None, limit: int, order_id: str | None) -> None:
    query = account.HistoryQuery("MXUSDT", limit, order_id, start, end)
    params = dict(account.history_params(query))
    if start is not None and end is not None and start > end:
        with pytest.raises(WireRefusal):
            account.parse_history(params, default=100, most=100)
    else:
        assert account.parse_history(params, default=100, most=100) == query


@pytest.mark.parametrize(("text", "limit"), [("", 100), ("0", 1), ("50", 50), ("99999", 5_000)])
def test_a_limit_is_brought_into_range(text: str, limit: int) -> None:
    assert market.parse_depth_query({"symbol": "MXUSDT", "limit": text}) == ("MXUSDT", limit)


def test_a_listen_key_and_symbol_lists_survive_the_wire() -> None:
    assert account.parse_listen_key(over_the_wire(account.listen_key_json("abc"))) == "abc"
    assert account.parse_symbol_list(over_the_wire(account.symbol_list_json(["MXUSDT"]))) == ("MXUSDT",)


@given(st.lists(st.tuples(POSITIVE, AMOUNT), max_size=5).map(tuple), st.integers(0, 10**12), st.none() | TIME)
def test_a_depth_snapshot_survives_the_wire(levels: market.Levels, version: int, at: Millis | None) -> None:
    snapshot = market.DepthReply(version, levels, levels[::-1], at)
    assert market.parse_depth(over_the_wire(market.depth_json(snapshot))) == snapshot


@pytest.mark.parametrize("levels", [[["1"]], ["1"], [["NaN", "1"]], [[None, "1"]], None, {}])
def test_a_depth_level_that_cannot_be_read_is_a_typed_error(levels: object) -> None:
    with pytest.raises(MalformedReply):
        market.parse_depth({"lastUpdateId": 1, "bids": levels, "asks": []})


@given(SIDE, POSITIVE, POSITIVE, TIME)
def test_public_trades_survive_the_wire_without_ids(side: Side, price: Decimal, quantity: Decimal, at: Millis) -> None:
    trade = MarketTrade("MXUSDT", price, quantity, side, at, "")
    assert parse_trades("MXUSDT", over_the_wire(market.trades_json([trade]))) == (trade,)
    assert parse_agg_trades("MXUSDT", over_the_wire(market.agg_trades_json([trade]))) == (trade,)


def test_a_buying_taker_is_a_bid_and_the_buyer_is_not_maker() -> None:
    [shown] = market.trades_json([MarketTrade("MXUSDT", Decimal(1), Decimal(1), Side.BUY, Millis(1), "")])
    assert (shown["isBuyerMaker"], shown["tradeType"], shown["id"]) == (False, "BID", None)


def candle(open_time: int, *, prices: tuple[str, str, str, str] = ("2", "3", "1", "2"), length: int = 60_000) -> market.Candle:
    amounts = [Decimal(price) for price in prices]
    return market.Candle(Millis(open_time), *amounts, Decimal("1.5"), Millis(open_time + length), Decimal(3))


@given(st.lists(st.integers(2**40, 2**42), max_size=3, unique=True), st.lists(POSITIVE, min_size=4, max_size=4), AMOUNT)
def test_candles_survive_the_wire_in_rows_of_eight(opened: list[int], prices: list[Decimal], volume: Decimal) -> None:
    high, low = max(prices), min(prices)
    candles = [
        market.Candle(Millis(at), prices[0], high, low, prices[3], volume, Millis(at + 60_000), volume) for at in sorted(opened)
    ]
    rows = market.klines_json(candles)
    assert all(len(row) == 8 for row in rows)
    assert market.parse_klines(over_the_wire(rows)) == tuple(candles)


@pytest.mark.parametrize(
    "candles",
    [
        [candle(2**40), candle(2**40)],
        [candle(2**40 + 60_000), candle(2**40)],
        [candle(2**40, length=0)],
        [candle(2**40, prices=("2", "3", "1", "4"))],
        [candle(2**40, prices=("2", "3", "2.5", "3"))],
    ],
)
def test_rows_that_cannot_be_candles_are_a_typed_error(candles: list[market.Candle]) -> None:
    with pytest.raises(MalformedReply):
        market.parse_klines(over_the_wire(market.klines_json(candles)))


@pytest.mark.parametrize("interval", ["1h", "8h", "1w", "", "60"])
def test_an_interval_rest_does_not_have_is_refused(interval: str) -> None:
    with pytest.raises(WireRefusal):
        market.parse_klines_query({"symbol": "MXUSDT", "interval": interval})


def test_the_hour_of_rest_is_named_sixty_minutes() -> None:
    assert market.parse_klines_query({"symbol": "MXUSDT", "interval": "60m"}).interval is market.Interval.MIN60


def test_a_single_time_bound_is_refused() -> None:
    with pytest.raises(WireRefusal) as caught:
        market.parse_trades_query({"symbol": "MXUSDT", "startTime": "1"})
    assert caught.value.error.code == ErrorCode.BAD_COMBINATION


@given(st.builds(market.DayTicker, st.just("MXUSDT"), *[AMOUNT] * 10, TIME, TIME))
def test_a_day_ticker_survives_the_wire(ticker: market.DayTicker) -> None:
    assert market.parse_day_ticker(over_the_wire(market.day_ticker_json(ticker))) == ticker


def test_small_replies_survive_the_wire() -> None:
    ticker = market.BookTicker("MXUSDT", Decimal("1.1"), Decimal(2), Decimal("1.2"), Decimal(3))
    assert market.parse_book_ticker(over_the_wire(market.book_ticker_json(ticker))) == ticker
    assert parse_price(over_the_wire(market.price_json("MXUSDT", Decimal("1.1")))) == ("MXUSDT", Decimal("1.1"))
    assert market.parse_average_price(over_the_wire(market.average_price_json(Decimal("1.1")))) == Decimal("1.1")
    assert market.parse_time(over_the_wire(market.time_json(Millis(5)))) == 5
