"""Reads and writes balances, trades, fees and listen keys (mexc-spot-v3.md §4.11, §7.7). Clients and venues call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from exchange.model import Balance, Fill, Millis, Side
from exchange.wire.errors import ErrorCode, MalformedReply, refuse
from exchange.wire.fields import Fields, as_list
from exchange.wire.numbers import parse_integer, plain
from exchange.wire.orders import parse_symbol

MY_TRADES_PAGE = 100
"""Default and maximum of ``myTrades`` per call (§4.11)."""

ALL_ORDERS_DEFAULT, ALL_ORDERS_MAX = 500, 1_000


@dataclass(frozen=True, slots=True)
class Account:
    """The reply of ``GET account``: whether it may trade, and its balances by asset. Zero balances may be absent."""

    can_trade: bool
    balances: Mapping[str, Balance]


@dataclass(frozen=True, slots=True)
class TradeFee:
    """Fees of one symbol as fractions of the notional."""

    maker: Decimal
    taker: Decimal


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """The parameters of ``allOrders`` and ``myTrades``. Both bounds are inclusive instants."""

    symbol: str
    limit: int
    order_id: str | None = None
    start: Millis | None = None
    end: Millis | None = None


def account_json(balances: Iterable[Balance], *, can_trade: bool = True, zeros: bool = False) -> dict[str, object]:
    """The ``account`` reply. ``zeros``: with the balances of nothing, which MEXC leaves out (mexc-spot-v3.md §4.11)."""
    return {
        "makerCommission": None,
        "takerCommission": None,
        "buyerCommission": None,
        "sellerCommission": None,
        "canTrade": can_trade,
        "canWithdraw": False,
        "canDeposit": False,
        "updateTime": None,
        "accountType": "SPOT",
        "balances": [
            {"asset": one.asset, "free": plain(one.free), "locked": plain(one.locked), "available": plain(one.free)}
            for one in balances
            if zeros or one.total != 0
        ],
        "permissions": ["SPOT"],
    }


def parse_account(decoded: object) -> Account:
    """Read ``GET account``. Raises ``MalformedReply``, also when an asset is listed twice."""
    fields = Fields("account", decoded)
    balances: dict[str, Balance] = {}
    for item in fields.items("balances"):
        one = Fields("balance", item)
        asset = one.text("asset")
        if asset in balances:
            raise MalformedReply(f"account lists {asset} twice")
        balances[asset] = Balance(asset, one.amount("free"), one.amount("locked"))
    return Account(fields.flag("canTrade"), balances)


def fill_json(fill: Fill) -> dict[str, object]:
    """One element of ``myTrades``."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": plain(fill.price),
        "qty": plain(fill.quantity),
        "quoteQty": plain(fill.quote),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at,
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.maker,
        "isBestMatch": True,
        "isSelfTrade": False,
        "clientOrderId": fill.client_id,
    }


def parse_fill(decoded: object) -> Fill:
    """Read one element of ``myTrades``; a trade may name no asset for its fee. Raises ``MalformedReply``."""
    fields = Fields("trade", decoded)
    return Fill(
        trade_id=fields.venue_id("id"),
        order_id=fields.venue_id("orderId"),
        client_id=fields.client_id_or_empty("clientOrderId"),
        symbol=fields.text("symbol"),
        side=Side.BUY if fields.flag("isBuyer") else Side.SELL,
        price=fields.amount("price"),
        quantity=fields.amount("qty"),
        quote=fields.amount("quoteQty"),
        fee=fields.decimal("commission"),
        fee_asset=fields.text_or_empty("commissionAsset"),
        maker=fields.flag("isMaker"),
        at=fields.millis("time"),
    )


def parse_my_trades(decoded: object) -> tuple[Fill, ...]:
    """Read ``myTrades``, in the venue's order. Raises ``MalformedReply``."""
    return tuple(parse_fill(item) for item in as_list("myTrades", decoded))


def parse_history(params: Mapping[str, str], *, default: int, most: int) -> HistoryQuery:
    """Read the parameters of ``allOrders`` or ``myTrades``; a limit above ``most`` is lowered to it, as MEXC does.

    Raises:
        WireRefusal: 700004, -1121, 700008, or -1128 for a start after the end.
    """
    start, end = _optional_millis(params, "startTime"), _optional_millis(params, "endTime")
    if start is not None and end is not None and start > end:
        raise refuse(ErrorCode.BAD_COMBINATION, "Combination of optional parameters invalid.")
    return HistoryQuery(parse_symbol(params), parse_limit(params, default, most), params.get("orderId") or None, start, end)


def history_params(query: HistoryQuery) -> list[tuple[str, str]]:
    """The parameters of ``allOrders`` or ``myTrades``."""
    params = [("symbol", query.symbol)]
    if query.order_id is not None:
        params.append(("orderId", query.order_id))
    if query.start is not None:
        params.append(("startTime", str(query.start)))
    if query.end is not None:
        params.append(("endTime", str(query.end)))
    params.append(("limit", str(query.limit)))
    return params


def parse_limit(params: Mapping[str, str], default: int, most: int) -> int:
    """An optional ``limit`` between 1 and ``most``. Raises ``WireRefusal`` (700008) when it is not a number."""
    text = params.get("limit", "")
    return max(1, min(parse_integer("limit", text), most)) if text else default


def trade_fee_body(fee: TradeFee, at: Millis) -> bytes:
    """The ``tradeFee`` reply as bytes: its fees are JSON numbers with 18 decimals, which no float represents exactly (§4.11)."""
    maker, taker = (format(value, ".18f") for value in (fee.maker, fee.taker))
    return (
        f'{{"data":{{"makerCommission":{maker},"takerCommission":{taker}}},"code":0,"msg":"success","timestamp":{at}}}'
    ).encode()


def parse_trade_fee(decoded: object) -> TradeFee:
    """Read ``tradeFee``. Raises ``MalformedReply``."""
    data = Fields("tradeFee", decoded).fields("data")
    return TradeFee(data.decimal("makerCommission"), data.decimal("takerCommission"))


def listen_key_json(key: str) -> dict[str, object]:
    """The reply to creating, renewing or closing a listen key."""
    return {"listenKey": key}


def listen_keys_json(keys: Sequence[str]) -> dict[str, object]:
    """The reply to listing listen keys."""
    return {"listenKey": list(keys)}


def parse_listen_key(decoded: object) -> str:
    """Read a created listen key. Raises ``MalformedReply``."""
    return Fields("userDataStream", decoded).text("listenKey")


def symbol_list_json(symbols: Sequence[str]) -> dict[str, object]:
    """The ``selfSymbols`` and ``defaultSymbols`` reply."""
    return {"code": 200, "data": list(symbols), "msg": None}


def parse_symbol_list(decoded: object) -> tuple[str, ...]:
    """Read ``selfSymbols`` or ``defaultSymbols``. Raises ``MalformedReply``."""
    return tuple(Fields("symbols", {"data": item}).text("data") for item in Fields("symbols", decoded).items("data"))


def _optional_millis(params: Mapping[str, str], name: str) -> Millis | None:
    text = params.get(name, "")
    return Millis(parse_integer(name, text)) if text else None
