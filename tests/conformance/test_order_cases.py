"""Cases 10 to 25, 27 and 28: the life of an order."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from exchange.model import OrderStatus, OrderType, Side
from exchange.testnet.server import RunningTestnet
from exchange.wire.errors import ErrorCode
from policies.headroom import STEP
from tests.conformance.cases import Case, Client, case
from tests.conformance.trader import (
    BASE,
    LITTLE,
    QUOTE,
    Denied,
    ForeignTrader,
    Trader,
    crossing,
    intent,
    larger_than_the_top,
    limit,
    resting,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@case(10)
async def test_10_a_resting_buy_is_open_and_locks_its_notional_and_its_fee(trader: Trader) -> None:
    order = await resting(trader)
    assert order.price is not None
    placed = await trader.place(order)
    found = await trader.order(order.client_id)
    assert (found.order_id, found.status, found.price, found.quantity) == (placed, OrderStatus.NEW, order.price, LITTLE)
    assert [one.order_id for one in await trader.open_orders()] == [placed]
    assert (await trader.balance())[QUOTE].locked == order.price * LITTLE * Decimal("1.0005")


@case(11)
async def test_11_a_resting_sell_locks_its_quantity(trader: Trader) -> None:
    before = await trader.balance()
    await trader.place(await resting(trader, Side.SELL))
    after = await trader.balance()
    assert (after[BASE].locked, before[BASE].free - after[BASE].free) == (LITTLE, LITTLE)


@case(12)
async def test_12_a_crossing_buy_fills_below_its_limit_and_pays_a_quote_fee(trader: Trader) -> None:
    order = await crossing(trader)
    assert order.price is not None
    placed = await trader.place(order)
    filled = await trader.order(order.client_id)
    trades = [one for one in await trader.trades() if one.order_id == placed]
    assert (filled.status, filled.executed) == (OrderStatus.FILLED, LITTLE)
    assert sum(one.quantity for one in trades) == LITTLE
    assert all(one.price < order.price and one.fee_asset == QUOTE and not one.maker for one in trades)
    assert all(one.fee == one.quote * Decimal("0.0005") for one in trades)


@case(13)
async def test_13_a_post_only_order_that_would_cross_ends_canceled(trader: Trader) -> None:
    order = await limit(trader, Side.BUY, away="0.005", type_=OrderType.LIMIT_MAKER)
    await trader.place(order)
    ended = await trader.order(order.client_id)
    assert (ended.status, ended.executed) == (OrderStatus.CANCELED, 0)


@case(14)
async def test_14_a_post_only_order_that_does_not_cross_rests(trader: Trader) -> None:
    order = await limit(trader, Side.BUY, away="-0.005", type_=OrderType.LIMIT_MAKER)
    await trader.place(order)
    assert (await trader.order(order.client_id)).status is OrderStatus.NEW
    await trader.cancel(order.client_id)


@case(15)
async def test_15_an_immediate_order_that_finds_nothing_ends_canceled(trader: Trader) -> None:
    order = await limit(trader, Side.BUY, away="-0.005", type_=OrderType.IMMEDIATE_OR_CANCEL)
    await trader.place(order)
    assert (await trader.order(order.client_id)).status is OrderStatus.CANCELED


@case(16)
async def test_16_a_fill_or_kill_order_fills_completely_or_not_at_all(trader: Trader, testnet: RunningTestnet) -> None:
    too_large = await larger_than_the_top(trader, testnet, OrderType.FILL_OR_KILL)
    fitting = replace(too_large, client_id=too_large.client_id + "-fits", quantity=LITTLE)
    for order in (too_large, fitting):
        await trader.place(order)
    ended = [await trader.order(order.client_id) for order in (too_large, fitting)]
    assert [(one.status, one.executed) for one in ended] == [(OrderStatus.CANCELED, 0), (OrderStatus.FILLED, LITTLE)]


@case(17)
async def test_17_a_market_buy_by_cost_spends_at_most_its_cost(trader: Trader) -> None:
    order = intent(Side.BUY, OrderType.MARKET, None, None, quote=Decimal(2))
    placed = await trader.place(order)
    spent = sum(one.quote for one in await trader.trades() if one.order_id == placed)
    assert (await trader.order(order.client_id)).executed > 0
    # A market buy by cost spends what its quantity at the collar of 5 % costs at the market (mexc-spot-v3.md §4.3).
    assert Decimal("1.8") < spent <= 2


@case(18)
async def test_18_a_market_sell_by_quantity_fills(trader: Trader) -> None:
    await trader.place(await crossing(trader))
    order = intent(Side.SELL, OrderType.MARKET, LITTLE, None)
    await trader.place(order)
    assert (await trader.order(order.client_id)).executed == LITTLE


@case(19)
async def test_19_a_canceled_order_is_no_longer_open_and_frees_its_funds(trader: Trader) -> None:
    before = (await trader.balance())[QUOTE]
    order = await resting(trader)
    await trader.place(order)
    await trader.cancel(order.client_id)
    assert (await trader.order(order.client_id)).status is OrderStatus.CANCELED
    assert await trader.open_orders() == []
    assert (await trader.balance())[QUOTE] == before


@case(20)
async def test_20_an_order_is_found_and_canceled_by_its_client_id(trader: Trader) -> None:
    order = await resting(trader)
    placed = await trader.place(order)
    found = await trader.order(order.client_id)
    await trader.cancel(order.client_id)
    assert (found.order_id, found.client_id) == (placed, order.client_id)
    assert await trader.open_orders() == []


@case(21)
async def test_21_open_filled_and_canceled_orders_are_listed_apart(trader: ForeignTrader) -> None:
    rests, fills = await resting(trader), await crossing(trader)
    dies = await limit(trader, Side.BUY, away="-0.005", type_=OrderType.IMMEDIATE_OR_CANCEL)
    for order in (rests, fills, dies):
        await trader.place(order)
    lists = [await trader.open_orders(), await trader.filled_orders(), await trader.canceled_orders()]
    assert [one.client_id for one in lists[0]] == [rests.client_id]
    for name, listed, absent in ((fills.client_id, 1, 2), (dies.client_id, 2, 1)):
        assert name in {one.client_id for one in lists[listed]}
        assert name not in {one.client_id for one in lists[absent]}


@case(22)
async def test_22_all_orders_of_a_symbol_are_canceled_in_one_call(trader: Trader) -> None:
    for _ in range(2):
        await trader.place(await resting(trader))
    assert len(await trader.open_orders()) == 2
    await trader.cancel_symbol()
    assert await trader.open_orders() == []


@case(23)
async def test_23_all_orders_of_the_account_are_canceled_in_one_call(trader: ForeignTrader) -> None:
    await trader.place(await resting(trader))
    await trader.cancel_everything()
    assert await trader.open_orders() == []


@case(24)
async def test_24_a_batch_places_the_valid_orders_and_reports_the_others(trader: ForeignTrader) -> None:
    fine = await resting(trader)
    hopeless = replace(await resting(trader), quantity=Decimal(100))
    assert await trader.batch([fine, hopeless]) == [True, False]
    assert [one.quantity for one in await trader.open_orders()] == [LITTLE]


@case(25)
async def test_25_a_test_order_reaches_no_book(trader: ForeignTrader) -> None:
    order = await crossing(trader)
    await trader.dry_run(order)
    assert await trader.open_orders() == []
    with pytest.raises(Denied) as unknown:
        await trader.order(order.client_id)
    assert unknown.value.code == ErrorCode.NO_SUCH_ORDER


@case(27)
async def test_27_the_trades_of_one_order_are_read(trader: ForeignTrader) -> None:
    await trader.place(await crossing(trader))
    second = await trader.place(await crossing(trader))
    assert {one.order_id for one in await trader.trades_of(second)} == {second}


@case(28)
async def test_28_the_trades_explain_the_balance_to_the_last_digit(trader: Trader, subject: tuple[Case, Client]) -> None:
    before, earlier = await trader.balance(), {one.trade_id for one in await trader.trades()}
    for side in (Side.BUY, Side.BUY, Side.SELL):
        await trader.place(await crossing(trader, side))
    fresh = [one for one in await trader.trades() if one.trade_id not in earlier]
    after = await trader.balance()
    signs = {Side.BUY: 1, Side.SELL: -1}
    assert len({one.order_id for one in fresh}) == 3
    had = before[BASE].total if BASE in before else Decimal(0)
    assert after[BASE].total - had == sum(signs[one.side] * one.quantity for one in fresh)
    paid = sum(signs[one.side] * one.quote + one.fee for one in fresh)
    # The gateway shows what a bot may spend, rounded down to this step (policies.headroom); a venue shows the balance itself.
    step = STEP if subject[1] is Client.GATEWAY else Decimal(0)
    assert abs(before[QUOTE].total - after[QUOTE].total - paid) <= step
