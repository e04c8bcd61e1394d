"""What a run collects of its fills, against figures computed by hand (execution-safety.md §4.1)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import DataSource, Millis, OrderType, Side
from gates.collecting import Collected, Ended, Lot, Trade, Watched, dropped, traded
from gates.measure import Tally, metrics
from gates.series import GRID_MS, EquityPoint, RoundTrip
from policies.rules import MetricName
from policies.stage import Environment

D = Decimal
START = Millis(1_800_000_000_000)
FLAT = Tally.begin(DataSource.LIVE, at=START, cap_eur=D(10), accelerated=False, quote_per_eur=D("1.25"))


def trade(side: Side, quantity: str, quote: str, **changes: Any) -> Trade:
    made = Trade(
        client_id=f"{side}1",
        symbol="BTCUSDT",
        side=side,
        quantity=D(quantity),
        quote=D(quote),
        fee=D(0),
        fee_base=D(0),
        mid=D(100),
        at=START,
    )
    return replace(made, **changes)


def booked(*trades: Trade) -> Tally:
    """A run with these fills, each the only one of its order."""
    tally = FLAT
    for one in trades:
        tally, kept = tally.with_trade(one, Watched(D(100)), valued=True)
        tally = tally.with_ended(over(one, kept), cancel_requested=False)
    return tally


def over(one: Trade, kept: Watched | None, **changes: Any) -> Ended:
    made = Ended(
        symbol=one.symbol,
        side=one.side,
        type=OrderType.LIMIT,
        admitted_at=START,
        ended_at=Millis(START + 5_000),
        ordered=one.quantity,
        ordered_quote=None,
        complete=True,
        filled=one.quantity,
        filled_quote=one.quote,
        mid_at_end=D(101),
        watched=kept or Watched(D(100)),
    )
    return replace(made, **changes)


def value(tally: Tally, name: MetricName) -> Decimal | None:
    (found,) = (metric.value for metric in metrics(tally, Environment.REHEARSAL) if metric.name is name)
    return found


def trips(tally: Tally) -> list[RoundTrip]:
    return list(tally.series.round_trips)


def test_a_sale_ends_what_was_bought_first() -> None:
    tally = booked(
        trade(Side.BUY, "1", "100", client_id="a", at=Millis(START + 1)),
        trade(Side.BUY, "1", "110", client_id="b", at=Millis(START + 2)),
        trade(Side.SELL, "1", "108", at=Millis(START + 9)),
    )
    assert trips(tally) == [RoundTrip("BTCUSDT", Millis(START + 1), Millis(START + 9), D(100), D(8))]
    (left,) = tally.collected.held("BTCUSDT").lots
    assert (left.client_id, left.quantity, left.cost) == ("b", D(1), D(110))


def test_one_sale_over_two_purchases_is_one_round_trip() -> None:
    tally = booked(
        trade(Side.BUY, "1", "100", client_id="a"), trade(Side.BUY, "1", "110", client_id="b"), trade(Side.SELL, "1.5", "165")
    )
    assert [(one.cost_quote, one.pnl_quote) for one in trips(tally)] == [(D(155), D(10))]


def test_fees_in_the_quote_asset_lower_the_result_of_both_sides() -> None:
    tally = booked(trade(Side.BUY, "2", "200", fee=D("0.4")), trade(Side.SELL, "1", "105", fee=D("0.3")))
    assert [one.pnl_quote for one in trips(tally)] == [D(105) - D(100) - D("0.2") - D("0.3")]
    assert value(tally, MetricName.FEES_EUR) == D("0.7") / D("1.25")


def test_a_fee_in_the_base_asset_makes_the_lot_smaller() -> None:
    tally = booked(trade(Side.BUY, "1", "100", fee=D("0.1"), fee_base=D("0.001")), trade(Side.SELL, "0.999", "101", client_id="s"))
    assert tally.collected.held("BTCUSDT").lots == ()
    assert [(one.cost_quote, one.pnl_quote) for one in trips(tally)] == [(D(100), D(1))]
    assert value(tally, MetricName.FEES_EUR) == D("0.08")


def test_a_sale_pays_its_fee_in_the_base_asset_out_of_the_lots() -> None:
    tally = booked(trade(Side.BUY, "1", "100"), trade(Side.SELL, "0.9", "99", fee=D(11), fee_base=D("0.1")))
    assert tally.collected.held("BTCUSDT").lots == ()
    assert [one.pnl_quote for one in trips(tally)] == [D(-1)]


def test_what_was_not_bought_in_the_run_ends_nothing() -> None:
    assert trips(booked(trade(Side.SELL, "1", "100"))) == []


def test_of_a_sale_only_the_part_that_was_bought_counts() -> None:
    tally = booked(trade(Side.BUY, "1", "100"), trade(Side.SELL, "2", "220", fee=D(2)))
    assert [(one.cost_quote, one.pnl_quote) for one in trips(tally)] == [(D(100), D(9))]


def test_partial_fills_of_one_sale_are_one_round_trip() -> None:
    tally, kept = FLAT.with_trade(trade(Side.BUY, "2", "200"), Watched(D(100)), valued=True)
    kept = Watched(D(100))
    for at in (1, 2):
        tally, found = tally.with_trade(trade(Side.SELL, "1", "103", at=Millis(START + at)), kept, valued=True)
        assert found is not None
        kept = found
    assert trips(tally) == []
    tally = tally.with_ended(over(trade(Side.SELL, "2", "206"), kept), cancel_requested=False)
    assert trips(tally) == [RoundTrip("BTCUSDT", START, Millis(START + 2), D(200), D(6))]
    assert value(tally, MetricName.REALISED_PNL_EUR) == D("4.8")


def test_fills_of_one_purchase_are_one_lot() -> None:
    collected, _ = traded(Collected(), trade(Side.BUY, "1", "100", fee=D(1)))
    collected, _ = traded(collected, trade(Side.BUY, "2", "230", fee=D(2), at=Millis(START + 9)))
    assert collected.held("BTCUSDT").lots == (Lot("BUY1", START, D(3), D(330), D(3)),)


def test_a_holding_that_was_withdrawn_ends_no_round_trip() -> None:
    collected, _ = traded(Collected(), trade(Side.BUY, "2", "200"))
    collected = dropped(collected, "BTCUSDT", D("1.5"))
    (left,) = collected.held("BTCUSDT").lots
    assert (left.quantity, left.cost) == (D("0.5"), D(50))


def test_symbols_have_lots_of_their_own() -> None:
    tally = booked(trade(Side.BUY, "1", "100"), trade(Side.SELL, "1", "9", symbol="ETHUSDT"))
    assert trips(tally) == []
    assert len(tally.collected.held("BTCUSDT").lots) == 1


@pytest.mark.parametrize(("side", "quote", "slippage"), [(Side.BUY, "203", "2.4"), (Side.SELL, "203", "-2.4")])
def test_slippage_is_what_a_price_is_worse_than_the_mid(side: Side, quote: str, slippage: str) -> None:
    assert value(booked(trade(side, "2", quote)), MetricName.SLIPPAGE_EUR) == D(slippage)


def test_a_fee_without_a_known_price_leaves_no_cost_known() -> None:
    tally, _ = FLAT.with_trade(trade(Side.BUY, "1", "100"), None, valued=False)
    assert value(tally, MetricName.FEES_EUR) is None


def test_the_fill_ratio_weighs_each_order_by_its_value() -> None:
    tally = FLAT
    for ordered, filled, mid in (("1", "1", 100), ("2", "0.5", 300)):
        one = over(trade(Side.BUY, filled, "0"), Watched(D(mid)), ordered=D(ordered), complete=ordered == filled)
        tally = tally.with_ended(one, cancel_requested=False)
    # (1 · 100 + 0.5 · 300) / (1 · 100 + 2 · 300)
    assert value(tally, MetricName.FILL_RATIO) == D("0.357142857142")


@pytest.mark.parametrize(("side", "cost"), [(Side.BUY, D(50)), (Side.SELL, D(-50))])
def test_opportunity_cost_is_what_the_price_did_to_the_rest(side: Side, cost: Decimal) -> None:
    one = over(trade(side, "1", "100"), Watched(D(100)), ordered=D(2), complete=False)
    tally = FLAT.with_ended(one, cancel_requested=True)
    # side · (101 - 100) · 1 / (100 · 2)
    assert value(tally, MetricName.OPPORTUNITY_COST_BPS) == cost


def test_without_the_price_at_the_end_there_is_no_opportunity_cost() -> None:
    one = over(trade(Side.BUY, "1", "100"), Watched(D(100)), ordered=D(2), complete=False, mid_at_end=None)
    assert value(FLAT.with_ended(one, cancel_requested=True), MetricName.OPPORTUNITY_COST_BPS) is None


@pytest.mark.parametrize(
    ("changes", "ordered"),
    [
        ({"ordered": None, "ordered_quote": D(200), "filled": D(0), "filled_quote": D(0), "complete": False}, D(2)),
        (
            {"ordered": None, "ordered_quote": D(200), "filled": D(1), "filled_quote": D(102), "complete": False},
            D("1.960784313726"),
        ),
        ({"ordered": None, "ordered_quote": D(200), "filled": D("1.9"), "complete": True}, D("1.9")),
    ],
)
def test_an_amount_that_was_ordered_becomes_a_quantity(changes: dict[str, Any], ordered: Decimal) -> None:
    tally = FLAT.with_ended(over(trade(Side.BUY, "1", "100"), None, **changes), cancel_requested=False)
    assert [one.ordered for one in tally.series.executions] == [ordered]


def test_a_cancellation_comes_too_late_for_an_order_that_filled() -> None:
    one = trade(Side.BUY, "1", "100")
    tally = FLAT.with_ended(over(one, None), cancel_requested=True)
    tally = tally.with_ended(over(one, None, filled=D("0.5"), complete=False), cancel_requested=True)
    tally = tally.with_ended(over(one, None), cancel_requested=False)
    assert value(tally, MetricName.CANCEL_TOO_LATE_RATIO) == D("0.5")


def sample(tally: Tally, at: int, equity: str | None, mid: str | None = "100") -> Tally:
    """A covered sample so many ms after the start."""
    return tally.with_sample(
        None if equity is None else D(equity),
        covered=True,
        interval_ms=1_000,
        at=Millis(START + at),
        unknown_open=0,
        oldest_unknown_ms=0,
        mid=None if mid is None else D(mid),
    )


def points(tally: Tally) -> list[tuple[int, Decimal]]:
    return [(point.at - START, point.equity_eur) for point in tally.series.equity]


def test_the_first_known_equity_is_the_first_point() -> None:
    assert START % GRID_MS == 0
    assert points(sample(sample(FLAT, 1_000, None), 2_000, "100")) == [(0, D(100))]


def test_a_point_of_the_grid_has_the_last_equity_before_it() -> None:
    tally = sample(sample(sample(FLAT, 1_000, "100"), GRID_MS - 1, "101"), GRID_MS + 1, "102")
    assert points(tally) == [(0, D(100)), (GRID_MS, D(101))]


def test_a_sample_exactly_on_the_grid_is_its_point() -> None:
    assert points(sample(sample(FLAT, 1_000, "100"), GRID_MS, "103"))[-1] == (GRID_MS, D(103))


def test_every_point_of_a_long_gap_is_there() -> None:
    tally = sample(sample(FLAT, 1_000, "100"), 3 * GRID_MS + 1, "90")
    assert points(tally) == [(0, D(100)), (GRID_MS, D(100)), (2 * GRID_MS, D(100)), (3 * GRID_MS, D(100))]


def test_a_clock_set_forward_by_years_adds_two_points() -> None:
    years = 2_000_000 * GRID_MS
    tally = sample(sample(FLAT, 1_000, "100"), years + 1, "90")
    assert points(tally) == [(0, D(100)), (GRID_MS, D(100)), (years, D(100))]


def test_a_clock_that_was_set_back_makes_no_point_twice() -> None:
    tally = sample(sample(sample(FLAT, 1_000, "100"), GRID_MS + 1, "101"), GRID_MS - 5, "102")
    assert [at for at, _ in points(sample(tally, GRID_MS + 2, "103"))] == [0, GRID_MS]


def test_a_deposit_is_no_step_of_the_curve() -> None:
    tally = sample(FLAT, 1_000, "100").with_shift(D(50))
    assert points(sample(sample(tally, 2_000, "150"), GRID_MS + 1, "151"))[-1] == (GRID_MS, D(100))


def test_another_signed_rate_is_no_step_of_the_curve() -> None:
    # The same 100 units of the quote asset are worth a tenth more euros at the new rate.
    tally = replace(sample(FLAT, 1_000, "100").with_unit(D("1.1")), equity_last=D(110))
    assert points(sample(sample(tally, 2_000, "110"), GRID_MS + 1, "111"))[-1] == (GRID_MS, D(100))


def test_a_point_carries_what_the_fills_cost_until_then() -> None:
    tally, _ = sample(FLAT, 1_000, "100").with_trade(trade(Side.BUY, "2", "203", fee=D("0.5")), None, valued=True)
    found = list(sample(tally, GRID_MS + 1, "99", "101").series.equity)[-1]
    assert found == EquityPoint(Millis(START + GRID_MS), D(100), D(100), D("0.4"), D("2.4"))


def test_a_midnight_counts_when_its_time_is_covered() -> None:
    day = 86_400_000
    before = sample(FLAT, (day - START % day) - 500, "100")
    assert sample(before, (day - START % day) + 400, "100").midnights == 1
    uncovered = before.with_sample(
        D(100), covered=False, interval_ms=1_000, at=Millis(START - START % day + day + 400), unknown_open=0, oldest_unknown_ms=0
    )
    assert uncovered.midnights == 0


FILLS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(90, 110), st.integers(0, 9), st.booleans()), max_size=30
)


@given(FILLS)
def test_lots_and_round_trips_add_up_to_what_was_traded(fills: list[tuple[Side, int, int, int, bool]]) -> None:
    """No quantity, cost or fee appears from nowhere: what is left plus what was sold is what was bought."""
    collected, sold = Collected(), D(0)
    bought = cost = fees = proceeds = pnl = closed_cost = D(0)
    for number, (side, quantity, price, fee, _) in enumerate(fills):
        held = sum((lot.quantity for lot in collected.held("BTCUSDT").lots), D(0))
        amount = min(D(quantity), held) if side is Side.SELL else D(quantity)
        if not amount:
            continue
        one = trade(side, str(amount), str(amount * price), fee=D(fee), client_id=str(number))
        collected, closing = traded(collected, one)
        if side is Side.BUY:
            bought, cost, fees = bought + amount, cost + one.quote, fees + fee
        else:
            assert closing is not None
            sold, proceeds = sold + amount, proceeds + one.quote - fee
            pnl, closed_cost = pnl + closing.pnl, closed_cost + closing.cost
    lots = collected.held("BTCUSDT").lots
    assert sum((lot.quantity for lot in lots), D(0)) == bought - sold
    assert sum((lot.cost for lot in lots), D(0)) + closed_cost == cost
    assert pnl == proceeds - closed_cost - (fees - sum((lot.fee for lot in lots), D(0)))
