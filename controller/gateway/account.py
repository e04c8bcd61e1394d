"""The account endpoints of the gateway: balances, trades and fees (mexc-spot-v3.md §4.11). ``gateway.app`` routes to it."""

from __future__ import annotations

from hashlib import sha256

from controller.gateway.orders import DAY, ORDER_ID, window_of
from controller.gateway.port import GatewayPort
from controller.gateway.requests import Call
from exchange.wire.account import (
    MY_TRADES_PAGE,
    TradeFee,
    account_json,
    fill_json,
    parse_history,
    symbol_list_json,
    trade_fee_body,
)
from exchange.wire.errors import ErrorCode, refuse
from exchange.wire.orders import parse_symbol
from exchange.wire.profile import KycLevel, kyc_json, mx_deduct_json, uid_json

_MONTH = 30 * DAY


class AccountViews:
    """The signed queries of one gateway that are not about single orders."""

    def __init__(self, port: GatewayPort) -> None:
        self._port = port

    async def account(self, call: Call) -> object:
        """``account``: the balances the bot may use. It can neither deposit nor withdraw.

        What the bot holds of an asset may have become nothing because the stage moved, so a balance of nothing is shown too: a bot
        that has just bought looks the asset up without asking whether it is there.
        """
        return account_json(self._port.balances(call.bot).values(), zeros=True)

    async def my_trades(self, call: Call) -> object:
        """``myTrades``: at most 100, at most the last month, newest first."""
        query = parse_history(call.params, default=MY_TRADES_PAGE, most=MY_TRADES_PAGE)
        if query.order_id is not None and ORDER_ID.fullmatch(query.order_id) is None:
            raise refuse(ErrorCode.INVALID_ORDER_IDS, "Invalid order ids.")
        window = window_of(query.start, query.end, self._port.now(), usual=_MONTH, most=_MONTH)
        fills = self._port.fills(call.bot, query.symbol, query.order_id, window, query.limit)
        return [fill_json(fill) for fill in fills]

    async def trade_fee(self, call: Call) -> object:
        """``tradeFee`` of one symbol."""
        symbol = parse_symbol(call.params)
        rules = self._port.rules((symbol,)).get(symbol)
        if rules is None:
            raise refuse(ErrorCode.BAD_SYMBOL, "Invalid symbol.")
        return trade_fee_body(TradeFee(rules.maker_fee, rules.taker_fee), self._port.now())

    async def self_symbols(self, call: Call) -> object:  # noqa: ARG002 - every endpoint has one signature
        """``selfSymbols``: the symbols that may be traded here."""
        return symbol_list_json(sorted(self._port.rules(None)))

    async def currencies(self, call: Call) -> object:  # noqa: ARG002
        """``capital/config/getall``: an empty list; clients ask for it on start, and a bot can neither deposit nor withdraw."""
        return []

    async def contracts(self, call: Call) -> object:  # noqa: ARG002
        """``/api/v1/contract/detail``: an empty list; clients ask for it on start, and there are no futures here."""
        return {"success": True, "code": 0, "data": []}

    async def kyc(self, call: Call) -> object:  # noqa: ARG002
        """``kyc/status``: not identified. Who the owner is has no place in a bot's answers."""
        return kyc_json(KycLevel.NONE)

    async def uid(self, call: Call) -> object:
        """``uid``: a number made of the bot's name, the same after every start. It is no account of MEXC."""
        return uid_json(str(int.from_bytes(sha256(call.bot.encode()).digest()[:5])))

    async def heartbeat(self, call: Call) -> object:
        """``heartbeat``: how long the bot may say nothing, and whether it counts as connected. The request itself is heard."""
        found = self._port.liveness(call.bot)
        return {
            "bot": call.bot,
            "live": found is not None and found.live,
            "silenceMaxMs": None if found is None else found.allowed_ms,
            "serverTime": self._port.now(),
        }

    async def mx_deduction(self, call: Call) -> object:  # noqa: ARG002
        """``mxDeduct/enable``: off, because a fee in MX halts (``core.decisions.fee_assets``)."""
        return mx_deduct_json(enabled=False, at=self._port.now())
