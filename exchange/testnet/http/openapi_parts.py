"""The parts of ``GET /openapi.json``: every parameter and reply of the ``rest_*`` endpoints, as JSON Schema.

Schemas are exact: a reply with an extra or a missing field, or with a number in place of text, does not match. Decimals are text,
instants and versions are integers, as on MEXC (mexc-spot-v3.md §3, §4).
"""

from __future__ import annotations

from dataclasses import replace

from exchange import forms
from exchange.model import SYMBOL as SYMBOL_FORM
from exchange.testnet.http.endpoint import Parameter, Schema
from exchange.wire.market import Interval

COMPONENTS: dict[str, Schema] = {}
"""Schemas with a name, as OpenAPI's ``components`` list them."""


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _named(name: str, schema: Schema) -> Schema:
    COMPONENTS[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def _envelope(data: Schema, code: int) -> Schema:
    return _object({"data": data, "code": {"const": code}, "msg": {"const": "success"}, "timestamp": INSTANT})


def _of(*names: str, schema: Schema) -> dict[str, Schema]:
    return dict.fromkeys(names, schema)


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
INSTANT: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970, UTC."}
FLAG: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}
DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
FRACTION: Schema = {"type": "number", "minimum": 0}
_LEVEL: Schema = {"type": "array", "items": DECIMAL, "minItems": 2, "maxItems": 2}
_SYMBOL: Schema = {"type": "string", "pattern": f"^{SYMBOL_FORM}$", "examples": ["BTCUSDT"]}
_SIDE: Schema = {"enum": ["BUY", "SELL"]}
_TYPE: Schema = {"enum": ["LIMIT", "LIMIT_MAKER", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL", "MARKET"]}
_OWN_ID: Schema = {"oneOf": [TEXT, NULL], "description": "Null for an order that was sent without one."}
_STATUS: Schema = {"enum": ["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "PARTIALLY_CANCELED"]}
_STP: Schema = {"enum": ["", "cancel_maker", "cancel_taker", "cancel_both"]}
_AMOUNT: Schema = {
    "type": "string",
    "pattern": rf"^(0|[1-9][0-9]{{0,{forms.DIGITS - 1}}})(\.[0-9]{{1,{forms.DECIMALS}}})?$",
}


# Parameters


def optional(parameter: Parameter) -> Parameter:
    """The same parameter, not required."""
    return replace(parameter, required=False)


def required(parameter: Parameter) -> Parameter:
    """The same parameter, required."""
    return replace(parameter, required=True)


SYMBOL = Parameter("symbol", _SYMBOL, required=True)
SYMBOL_LIST = Parameter("symbol", TEXT, description="Up to 5 symbols, separated by commas.")
SYMBOLS = Parameter("symbols", TEXT, description="Symbols separated by commas; unknown ones are left out.")
LIMIT = Parameter("limit", {"type": "integer", "minimum": 1}, description="More than the endpoint's maximum is lowered to it.")
START = Parameter("startTime", INSTANT)
END = Parameter("endTime", INSTANT)
INTERVAL = Parameter("interval", {"enum": [kind.value for kind in Interval if kind is not Interval.HOUR8]}, required=True)
SIDE = Parameter("side", _SIDE, required=True)
TYPE = Parameter("type", {"enum": [*_TYPE["enum"], "LIMIT_ORDER"]}, required=True)  # type: ignore[misc]
QUANTITY = Parameter("quantity", _AMOUNT, description="In the base asset.")
QUOTE_QUANTITY = Parameter("quoteOrderQty", _AMOUNT, description="MARKET only: in the quote asset.")
PRICE = Parameter("price", _AMOUNT)
CLIENT_ID = Parameter("newClientOrderId", {"type": "string", "pattern": f"^{forms.CLIENT_ID.pattern}$"})
STP_MODE = Parameter("stpMode", _STP, description="Applies within an STP group only.")
ORDER_ID = Parameter("orderId", TEXT)
ORIG_CLIENT_ID = Parameter("origClientOrderId", TEXT)
STATES = Parameter("states", TEXT, description="3 filled, 4 canceled; 1 new, 2 partially filled. Separated by commas.")
BATCH = Parameter("batchOrders", TEXT, required=True, description="A JSON list of at most 20 orders of one symbol.")
LISTEN_KEY = Parameter("listenKey", TEXT, required=True)
MX_DEDUCT_ENABLE = Parameter("mxDeductEnable", {"enum": ["true", "false"]}, required=True)
GROUP_NAME = Parameter("tradeGroupName", {"type": "string", "minLength": 1, "maxLength": 64}, required=True)
GROUP_ID = Parameter("tradeGroupId", NUMBER, required=True)
UIDS = Parameter("uid", TEXT, required=True, description="Uids separated by commas.")
LANGUAGE = Parameter("language", TEXT)
PAGE = Parameter("page", {"type": "integer", "minimum": 1})
COIN = Parameter("coin", TEXT)
WITHDRAWAL = Parameter("id", TEXT, required=True)

ORDER = (SYMBOL, SIDE, TYPE, QUANTITY, QUOTE_QUANTITY, PRICE, CLIENT_ID, STP_MODE)
ORDER_REF = (SYMBOL, ORDER_ID, ORIG_CLIENT_ID)
WINDOW = (START, END, LIMIT)


# Replies

ERROR = _named("Error", _object({"code": NUMBER, "msg": TEXT}, {"_extend": NULL}))
EMPTY = _object({})
TIME = _object({"serverTime": INSTANT})
SYMBOL_NAMES = _object({"code": {"const": 200}, "data": _list(_SYMBOL), "msg": NULL})
DEFAULT_NAMES = _object({"data": _list(_SYMBOL), "code": {"const": 0}, "msg": {"const": "success"}, "timestamp": INSTANT})
DEPTH = _object({"lastUpdateId": NUMBER, "bids": _list(_LEVEL), "asks": _list(_LEVEL), "timestamp": INSTANT})
TRADES = _list(
    _object(
        {
            "id": NULL,
            **_of("price", "qty", "quoteQty", schema=DECIMAL),
            "time": INSTANT,
            "isBuyerMaker": FLAG,
            "isBestMatch": {"const": True},
            "tradeType": {"enum": ["BID", "ASK"]},
        }
    )
)
AGG_TRADES = _list(
    _object({**_of("a", "f", "l", schema=NULL), "p": DECIMAL, "q": DECIMAL, "T": INSTANT, "m": FLAG, "M": {"const": True}})
)
KLINES = _list(
    {
        "type": "array",
        "items": {"oneOf": [INSTANT, DECIMAL]},
        "minItems": 8,
        "maxItems": 8,
        "description": "Open time, open, high, low, close, volume, close time, quote volume; times are numbers, the rest text.",
    }
)
AVERAGE = _object({"mins": {"const": 5}, "price": DECIMAL})
_DAY = _named(
    "DayTicker",
    _object(
        {
            "symbol": _SYMBOL,
            **_of("priceChange", "priceChangePercent", "prevClosePrice", "lastPrice", "openPrice", schema=DECIMAL),
            **_of("bidPrice", "bidQty", "askPrice", "askQty", "highPrice", "lowPrice", "volume", "quoteVolume", schema=DECIMAL),
            "openTime": INSTANT,
            "closeTime": INSTANT,
            "count": NULL,
        }
    ),
)
_PRICE = _named("PriceTicker", _object({"symbol": _SYMBOL, "price": DECIMAL}))
_BEST = _named("BookTicker", _object({"symbol": _SYMBOL, **_of("bidPrice", "bidQty", "askPrice", "askQty", schema=DECIMAL)}))
DAY_TICKER: Schema = {"oneOf": [_DAY, _list(_DAY)]}
PRICE_TICKER: Schema = {"oneOf": [_PRICE, _list(_PRICE)]}
BOOK_TICKER: Schema = {"oneOf": [_BEST, _list(_BEST)]}
_LISTING = _named(
    "Symbol",
    _object(
        {
            **_of("symbol", "baseAsset", "quoteAsset", "fullName", "contractAddress", schema=TEXT),
            "status": {"enum": ["1", "2", "3"]},
            **_of("baseAssetPrecision", "quotePrecision", "quoteAssetPrecision", schema=NUMBER),
            **_of("baseCommissionPrecision", "quoteCommissionPrecision", schema=NUMBER),
            "orderTypes": _list({"enum": ["LIMIT", "MARKET", "LIMIT_MAKER"]}),
            **_of("isSpotTradingAllowed", "isMarginTradingAllowed", "st", schema=FLAG),
            **_of("quoteAmountPrecision", "baseSizePrecision", "maxQuoteAmount", schema=DECIMAL),
            **_of("makerCommission", "takerCommission", schema=DECIMAL),
            **_of("quoteAmountPrecisionMarket", "maxQuoteAmountMarket", schema=DECIMAL),
            "permissions": _list(TEXT),
            "filters": {"type": "array", "maxItems": 0},
            "tradeSideType": {"enum": [1, 2, 3, 4]},
        }
    ),
)
EXCHANGE_INFO = _object(
    {
        "timezone": {"const": "CST"},
        "serverTime": INSTANT,
        **_of("rateLimits", "exchangeFilters", schema={"type": "array", "maxItems": 0}),
        "symbols": _list(_LISTING),
    }
)
OFFLINE = _object({"data": _list(_object({"symbol": _SYMBOL, "state": {"enum": [2, 3]}}, {"offlineTime": INSTANT}))})
ANNOUNCEMENTS = _object(
    {"code": {"const": 0}, "data": _list(_object({"details": _list({}), "totalPage": TEXT})), "msg": {"const": ""}}
)
CONTRACTS = _object({"success": {"const": True}, "code": {"const": 0}, "data": {"type": "array", "maxItems": 0}})

ACK = _named(
    "OrderAck",
    _object(
        {
            **_of("symbol", "orderId", schema=TEXT),
            "orderListId": {"const": -1},
            **_of("price", "origQty", schema=DECIMAL),
            "type": _TYPE,
            "side": _SIDE,
            "stpMode": _STP,
            "transactTime": INSTANT,
        }
    ),
)
BATCH_REPLY = _list(
    {
        "oneOf": [
            _object({"symbol": _SYMBOL, "orderId": TEXT, "orderListId": {"const": -1}}, {"newClientOrderId": TEXT}),
            _object({"code": NUMBER, "msg": TEXT}, {"newClientOrderId": TEXT, "_extend": NULL}),
        ]
    }
)
CANCELED = _named(
    "CanceledOrder",
    _object(
        {
            **_of("symbol", "orderId", schema=TEXT),
            **_of("origClientOrderId", "clientOrderId", schema=_OWN_ID),
            **_of("price", "origQty", "executedQty", "cummulativeQuoteQty", schema=DECIMAL),
            "status": _STATUS,
            "timeInForce": NULL,
            "type": _TYPE,
            "side": _SIDE,
        }
    ),
)
CANCELED_LIST = _list(CANCELED)
CANCELED_ALL = _object({"code": {"const": 200}, "msg": {"const": "success"}, "timestamp": INSTANT})
ORDER_REPLY = _named(
    "Order",
    _object(
        {
            **_of("symbol", "orderId", schema=TEXT),
            "clientOrderId": _OWN_ID,
            "orderListId": {"const": -1},
            **_of("price", "origQty", "executedQty", "cummulativeQuoteQty", "origQuoteOrderQty", schema=DECIMAL),
            "status": _STATUS,
            **_of("timeInForce", "stopPrice", "icebergQty", schema=NULL),
            "type": _TYPE,
            "side": _SIDE,
            "time": INSTANT,
            "updateTime": INSTANT,
            "stpMode": _STP,
            "cancelReason": {"oneOf": [NULL, {"const": "stp_cancel"}]},
            "isWorking": FLAG,
        }
    ),
)
ORDERS = _list(ORDER_REPLY)
ACCOUNT = _object(
    {
        **_of("makerCommission", "takerCommission", "buyerCommission", "sellerCommission", "updateTime", schema=NULL),
        **_of("canTrade", "canWithdraw", "canDeposit", schema=FLAG),
        "accountType": {"const": "SPOT"},
        "balances": _list(_object({"asset": TEXT, **_of("free", "locked", "available", schema=DECIMAL)})),
        "permissions": _list(TEXT),
    }
)
MY_TRADES = _list(
    _object(
        {
            **_of("symbol", "id", "orderId", "commissionAsset", schema=TEXT),
            "clientOrderId": NULL,
            "orderListId": {"const": -1},
            **_of("price", "qty", "quoteQty", "commission", schema=DECIMAL),
            "time": INSTANT,
            **_of("isBuyer", "isMaker", "isBestMatch", "isSelfTrade", schema=FLAG),
        }
    )
)
TRADE_FEE = _envelope(_object(_of("makerCommission", "takerCommission", schema=FRACTION)), 0)
KYC = _object({"status": {"enum": ["1", "2", "3", "4"]}})
UID = _object({"uid": {"type": "string", "pattern": "^[0-9]{1,20}$"}})
MX_DEDUCT = _envelope(_object({"mxDeductEnable": FLAG}), 0)
_GROUP = _named(
    "StrategyGroup",
    _object(
        {"tradeGroupName": TEXT, "tradeGroupId": NUMBER, "createTime": INSTANT, "updateTime": INSTANT}, {"tradeGroupUid": TEXT}
    ),
)
GROUP = _envelope(_GROUP, 200)
GROUPS = _envelope(_list(_GROUP), 200)
DONE = _envelope({"const": True}, 200)
LISTEN_KEY_REPLY = _object({"listenKey": {"type": "string", "pattern": "^[0-9a-f]{64}$"}})
LISTEN_KEYS = _object({"listenKey": _list(TEXT)})
CURRENCIES = _list(_object({"coin": TEXT, "name": TEXT, "networkList": _list({"type": "object"})}))
DEPOSITS = _list(
    _object(
        {
            **_of("coin", "network", "address", "txId", "unlockConfirm", "confirmTimes", schema=TEXT),
            "amount": DECIMAL,
            "status": {"const": 5},
            "insertTime": INSTANT,
            "memo": NULL,
        }
    )
)
WITHDRAWALS = _list(
    _object(
        {
            **_of("id", "txId", "coin", "network", "address", "remark", "transHash", "coinId", "vcoinId", schema=TEXT),
            **_of("amount", "transactionFee", schema=DECIMAL),
            "transferType": {"const": 0},
            "status": {"const": 7},
            **_of("confirmNo", "memo", schema=NULL),
            **_of("applyTime", "updateTime", schema=INSTANT),
        }
    )
)
NO_TRANSFERS = _object({"rows": {"type": "array", "maxItems": 0}, "total": {"const": 0}})
