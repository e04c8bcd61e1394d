"""Cases 80 to 89: the account itself, its groups, and everything that could move money."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import ccxt
import pytest

from exchange.model import OrderStatus, OrderType, Side
from exchange.testnet.server import RunningTestnet
from exchange.wire.errors import ErrorCode
from tests.conformance.cases import case
from tests.conformance.ccxt_trader import CcxtTrader
from tests.conformance.pymexc_trader import PymexcTrader
from tests.conformance.trader import LITTLE, SYMBOL, Denied, intent
from tests.conformance.venue_trader import OwnTrader

pytestmark = pytest.mark.asyncio(loop_scope="module")


@case(80)
async def test_80_the_average_price_is_read(trader: PymexcTrader) -> None:
    average = await trader.ask(trader.http.avg_price, SYMBOL)
    assert average["mins"] == 5
    assert Decimal(average["price"]) > 0


@case(81)
async def test_81_the_symbols_open_to_all_and_to_this_key_are_read(trader: PymexcTrader | OwnTrader) -> None:
    if isinstance(trader, OwnTrader):
        lists = [await trader.venue.account.self_symbols()]
    else:
        lists = [(await trader.ask(call))["data"] for call in (trader.http.default_symbols, trader.http.get_default_symbols)]
    assert all(SYMBOL in symbols for symbols in lists)


@case(82)
async def test_82_the_account_s_owner_and_number_are_read(trader: PymexcTrader) -> None:
    level = (await trader.ask(trader.http.get_kyc_status))["status"]
    uid = (await trader.ask(trader.http.get_uid))["uid"]
    assert level in {"1", "2", "3", "4"}
    assert uid.isdigit()


@case(83)
async def test_83_paying_fees_in_mx_is_switched_on_and_off(trader: PymexcTrader) -> None:
    assert await mx(trader) is False
    for wanted in (True, False):
        assert await mx(trader, switch=wanted) is wanted
        assert await mx(trader) is wanted


@case(84)
async def test_84_a_strategy_group_is_created_filled_cleared_and_deleted(trader: PymexcTrader) -> None:
    http, ask = trader.http, trader.ask
    group, uid = await joined(trader)
    assert [one["tradeGroupName"] for one in (await ask(http.query_stp_strategy_group))["data"]] == ["mine"]
    members = await ask(http.call, "GET", "api/v3/strategy/group/uid", params={"tradeGroupId": group})
    assert members["data"]["tradeGroupUid"] == uid
    assert (await ask(http.delete_uid_from_stp_strategy_group, uid, group))["code"] == 200
    assert (await ask(http.delete_stp_strategy_group, group))["code"] == 200
    assert (await ask(http.query_stp_strategy_group))["data"] == []


@case(85)
async def test_85_an_order_that_would_trade_with_its_group_follows_its_mode(trader: PymexcTrader, testnet: RunningTestnet) -> None:
    await joined(trader)
    testnet.venue.pause()
    _, bids, asks = await trader.book()
    between = asks[0][0] - Decimal("0.01")
    assert between > bids[0][0]
    sale = intent(Side.SELL, OrderType.LIMIT_MAKER, LITTLE, between)
    await trader.place(sale)
    names = {"cancel_taker": "taker-ends", "cancel_both": "both-end"}
    for mode, name in names.items():
        buy = replace(sale, side=Side.BUY, type=OrderType.LIMIT, client_id=name)
        await trader.place(buy, stp_mode=mode)
        assert (await trader.order(name)).status is OrderStatus.CANCELED
        alive = OrderStatus.NEW if mode == "cancel_taker" else OrderStatus.CANCELED
        assert (await trader.order(sale.client_id)).status is alive


@case(86)
async def test_86_older_names_and_notices_of_the_market_are_read(trader: CcxtTrader) -> None:
    client = trader.client
    assert isinstance(await client.spot_public_get_historicaltrades({"symbol": SYMBOL}), list)
    assert (await client.spot_public_get_symbol_offline())["data"] == []
    assert (await client.spot_public_get_announcements())["code"] in {0, "0"}
    with pytest.raises(ccxt.InvalidOrder, match="30014"):
        await client.spot_public_get_etf_info({"symbol": SYMBOL})


@case(87)
async def test_87_a_key_that_may_move_money_cannot_move_any_here(trader: PymexcTrader) -> None:
    trader.http.session.headers.update({"X-MEXC-APIKEY": "mx0rich"})
    before = await trader.balance()
    await denied(trader, ErrorCode.WITHDRAWAL_ADDRESS_UNKNOWN, ErrorCode.TRANSFER_DISABLED)
    with pytest.raises(Denied) as refused:
        await trader.ask(trader.http.cancel_withdraw, "1")
    assert refused.value.code == ErrorCode.NO_SUCH_RECORD
    assert await trader.ask(trader.http.withdraw_history) == await trader.ask(trader.http.deposit_history) == []
    assert (await trader.ask(trader.http.user_universal_transfer_history, "SPOT", "FUTURES"))["total"] == 0
    assert await trader.balance() == before


@case(88)
async def test_88_a_trading_key_cannot_ask_for_a_withdrawal_or_a_transfer(trader: CcxtTrader | PymexcTrader) -> None:
    if isinstance(trader, PymexcTrader):
        await denied(trader, ErrorCode.NO_PERMISSION, ErrorCode.NO_PERMISSION)
        return
    with pytest.raises(ccxt.AuthenticationError, match="700007"):
        await trader.client.spot_private_post_capital_withdraw({"coin": "USDT", "address": "x", "amount": "1"})
    with pytest.raises(ccxt.AuthenticationError, match="700007"):
        await trader.client.transfer("USDT", 1, "spot", "swap")


@case(89)
async def test_89_the_currencies_are_read(trader: PymexcTrader) -> None:
    names = {one["coin"] for one in await trader.ask(trader.http.get_currency_info)}
    assert names >= {"BTC", "USDT"}


async def mx(trader: PymexcTrader, *, switch: bool | None = None) -> bool:
    """Whether fees are paid in MX, switched first if asked. pymexc writes booleans in Python's way, so it gets text."""
    if switch is None:
        return bool((await trader.ask(trader.http.query_mx_deduct_status))["data"]["mxDeductEnable"])
    return bool((await trader.ask(trader.http.enable_mx_deduct, str(switch).lower()))["data"]["mxDeductEnable"])


async def joined(trader: PymexcTrader) -> tuple[str, str]:
    """A new group with this account in it: the group's id and the account's uid."""
    uid = (await trader.ask(trader.http.get_uid))["uid"]
    group = str((await trader.ask(trader.http.create_stp_strategy_group, "mine"))["data"]["tradeGroupId"])
    assert (await trader.ask(trader.http.add_uid_to_stp_strategy_group, uid, group))["code"] == 200
    return group, uid


async def denied(trader: PymexcTrader, withdrawal: ErrorCode, transfer: ErrorCode) -> None:
    """A withdrawal and a transfer, each refused with its code."""
    for code, call, args in (
        (withdrawal, trader.http.withdraw, ("USDT", "x", "1")),
        (transfer, trader.http.user_universal_transfer, ("SPOT", "FUTURES", "USDT", "1")),
    ):
        with pytest.raises(Denied) as refused:
            await trader.ask(call, *args)
        assert refused.value.code == code
