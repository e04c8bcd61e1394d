"""A shifted market, as in the drill for a price gap."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.book import Book, DeltaOutcome
from exchange.errors import UsageError
from exchange.matching.engine import Engine
from exchange.matching.events import BookChanged, MarketTraded
from exchange.matching.market_book import MarketBook
from exchange.matching.symbols import BTCUSDT, DEFAULT_RULES
from exchange.model import Millis, OrderStatus, OrderType, Side
from exchange.tape import DepthDelta, DepthSnapshot, read

D = Decimal
NOW = Millis(5_000)
SHIPPED = Path(__file__).resolve().parents[3] / "exchange/testnet/tapes/btcusdt-20240808.tape.gz"


def test_a_shift_moves_the_book_in_one_chained_delta(driver):
    (event,) = driver.engine.shift_prices("BTCUSDT", D("0.5"), NOW)
    assert isinstance(event, BookChanged)
    assert (event.from_version, event.to_version) == (2, 2)
    assert driver.engine.depth("BTCUSDT", 5) == (2, [(D(50), D(5)), (D("49.5"), D(7))], [(D("50.5"), D(5)), (D(51), D(7))])


def test_later_records_come_at_shifted_prices_and_keep_chaining(driver):
    driver.engine.shift_prices("BTCUSDT", D("0.5"), NOW)
    (changed,) = driver.delta(bids=[("100", "0"), ("99", "1")])
    assert (changed.from_version, changed.bids) == (3, ((D(50), D(0)), (D("49.5"), D(1))))
    (traded,) = driver.sold("99", "1")
    assert isinstance(traded, MarketTraded)
    assert traded.trade.price == D("49.5")


def test_a_gap_fills_the_resting_orders_it_crossed_at_their_own_price(driver):
    order = driver.order(Side.BUY, "99.5", "6")
    far = driver.order(Side.BUY, "80", "1")
    driver.engine.shift_prices("BTCUSDT", D("0.9"), NOW)
    assert driver.filled(order) == [(D("99.5"), D(6))]
    assert driver.status(far) is OrderStatus.NEW


def test_shifts_accumulate(driver):
    driver.engine.shift_prices("BTCUSDT", D("0.5"), NOW)
    driver.engine.shift_prices("BTCUSDT", D(2), NOW)
    assert driver.engine.depth("BTCUSDT", 5)[1:] == ([(D(100), D(5)), (D(99), D(7))], [(D(101), D(5)), (D(102), D(7))])


def test_levels_on_one_tick_are_summed_and_separate_again(make_driver):
    driver = make_driver()
    driver.book([("100.01", "1"), ("100.00", "2")], [("101", "1")])
    driver.engine.shift_prices("BTCUSDT", D("0.5"), NOW)
    assert driver.engine.depth("BTCUSDT", 5)[1] == [(D("50.00"), D(3))]
    driver.delta(bids=[("100.01", "0")])
    assert driver.engine.depth("BTCUSDT", 5)[1] == [(D("50.00"), D(2))]


def test_rounding_never_locks_a_book_one_tick_wide(make_driver):
    driver = make_driver()
    driver.book([("100.00", "1")], [("100.01", "1")])
    driver.engine.shift_prices("BTCUSDT", D("0.001"), NOW)
    assert driver.engine.quote("BTCUSDT", NOW) is not None


def test_a_shift_while_the_book_is_gapped_takes_effect_with_the_next_book(driver):
    driver.gap()
    assert driver.engine.shift_prices("BTCUSDT", D("0.5"), NOW) == []
    driver.book()
    assert driver.engine.quote("BTCUSDT", NOW).bid == 50


def test_a_taker_trades_at_the_shifted_prices(driver):
    driver.engine.shift_prices("BTCUSDT", D("1.1"), NOW)
    order = driver.order(Side.BUY, None, "1", OrderType.MARKET)
    assert driver.filled(order) == [(D("111.10"), D(1))]


@pytest.mark.parametrize("factor", ["0", "-1", "NaN", "Infinity"])
def test_an_invalid_factor_is_refused(driver, factor):
    with pytest.raises(UsageError):
        driver.engine.shift_prices("BTCUSDT", D(factor), NOW)


def test_deltas_alone_rebuild_the_book_through_shifts_on_a_real_tape():
    engine, subscriber, snapshot_sent = Engine(DEFAULT_RULES), Book("BTCUSDT"), False
    for number, record in enumerate(read(SHIPPED)):
        events = engine.feed(record)
        if number in {500, 1_500}:
            events += engine.shift_prices("BTCUSDT", D("0.97"), record.at)
        for event in events:
            if isinstance(event, BookChanged) and not snapshot_sent:
                subscriber.snapshot(event.to_version, event.bids, event.asks, event.at)
                snapshot_sent = True
            elif isinstance(event, BookChanged):
                outcome = subscriber.delta(event.from_version, event.to_version, event.bids, event.asks, event.at)
                assert outcome is DeltaOutcome.APPLIED
        if number == 3_000:
            break
    assert engine.depth("BTCUSDT", 10_000) == (subscriber.version, *subscriber.depth(10_000))
    assert subscriber.quote(NOW) is not None


sides = st.dictionaries(st.integers(1, 30), st.integers(0, 4), max_size=6)
steps = st.one_of(st.tuples(sides, sides), st.sampled_from([D("0.5"), D("0.3"), D(3)]), st.just("snapshot"))


@given(st.lists(steps, max_size=12))
def test_a_shifted_book_is_the_tapes_book_with_each_level_repriced(steps):
    market, plain, factor, version = MarketBook(BTCUSDT), ({}, {}), D(1), 1
    market.apply(DepthSnapshot("BTCUSDT", version, (), (), NOW, NOW))
    for step in steps:
        if isinstance(step, D):
            factor *= step
            market.shift(step, NOW)
        elif step == "snapshot":
            version += 3
            market.apply(DepthSnapshot("BTCUSDT", version, tuple(plain[0].items()), tuple(plain[1].items()), NOW, NOW))
        else:
            version += 1
            # Bids from 100 down, asks from 101 up, so that the tape's book never crosses.
            bids = {D(10_000 - cents) / 100: D(size) for cents, size in step[0].items()}
            asks = {D(10_100 + cents) / 100: D(size) for cents, size in step[1].items()}
            market.apply(DepthDelta("BTCUSDT", version, version, tuple(bids.items()), tuple(asks.items()), NOW, NOW))
            plain[0].update(bids)
            plain[1].update(asks)
    for side, levels, rounding in ((Side.BUY, plain[0], "ROUND_FLOOR"), (Side.SELL, plain[1], "ROUND_CEILING")):
        expected = {}
        for price, size in levels.items():
            tick = (price * factor).quantize(D("0.01"), rounding=rounding)
            expected[tick] = expected.get(tick, 0) + size
        assert dict(market.book.levels(side)) == {price: size for price, size in expected.items() if size}
