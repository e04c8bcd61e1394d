"""What MEXC publishes of its replies and pushes: synthetic copies with the same fields and kinds of value, and where they are from.

The golden tests compare the testnet with them, and ``ops/docs/testnet.md`` names their sources. Where a recording of ccxt writes a
number as text, the copy has the number (mexc-spot-v3.md §0). Each field in which the testnet differs is named with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

V3 = "/api/v3"
DOC25 = ("mexcdevelop/apidocs, branch spot_v3_en", "2025-08-08")
CCXT = ("ccxt/ccxt, ts/src/test/static/response/mexc.json", "recorded")
JKORF = ("JKorf/Mexc.Net, Mexc.Net.UnitTests/Endpoints/SpotApi", "recorded 2025-01-23")
DOC26 = "mexc.com/api-docs/spot-v3, undated, 2026"
LATER = f"added since: {DOC26}"
CAPTURED = "recorded replies differ: ccxt/ccxt 2024-02-11 and mexcdevelop/mexc-api-sdk issue 77 of 2024-06-06"


@dataclass(frozen=True, slots=True)
class Published:
    """One payload. ``differs`` gives the reason for every field in which the testnet has another shape."""

    source: str
    date: str
    payload: Any
    differs: Mapping[str, str] = field(default_factory=dict)


_ORDER = {
    "symbol": "KASUSDT",
    "orderId": "C02__100000000000000001015",
    "orderListId": -1,
    "clientOrderId": None,
    "price": "0.2",
    "origQty": "30.5",
    "executedQty": "30.5",
    "cummulativeQuoteQty": "5.8",
    "status": "FILLED",
    "timeInForce": None,
    "type": "MARKET",
    "side": "BUY",
    "stopPrice": None,
    "icebergQty": None,
    "time": 1_700_000_000_000,
    "updateTime": 1_700_000_000_000,
    "isWorking": True,
    "origQuoteOrderQty": "6.1",
}
_NEWER_ORDER = {"stpMode": LATER, "cancelReason": LATER}
_CANCELED = {
    "symbol": "LTCBTC",
    "origClientOrderId": "mine",
    "orderId": 4,
    "clientOrderId": "cancel-mine",
    "price": "2.0",
    "origQty": "1.0",
    "executedQty": "0.0",
    "cummulativeQuoteQty": "0.0",
    "status": "CANCELED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
}
_OLD_CANCELED = {"orderId": CAPTURED, "timeInForce": CAPTURED}
_DAY = {
    "symbol": "BTCUSDT",
    **dict.fromkeys(("priceChange", "priceChangePercent", "prevClosePrice", "lastPrice", "bidPrice", "bidQty"), "1.5"),
    **dict.fromkeys(("askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume"), "1.5"),
    "openTime": 1_700_000_000_149,
    "closeTime": 1_700_000_020_172,
    "count": None,
}
_LISTING = {
    "symbol": "AAAUSDT",
    "status": "1",
    "baseAsset": "AAA",
    "baseAssetPrecision": 2,
    "quoteAsset": "USDT",
    "quotePrecision": 5,
    "quoteAssetPrecision": 5,
    "baseCommissionPrecision": 2,
    "quoteCommissionPrecision": 5,
    "orderTypes": ["LIMIT"],
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "quoteAmountPrecision": "1",
    "baseSizePrecision": "0",
    "permissions": ["SPOT"],
    "filters": [],
    "maxQuoteAmount": "2000000",
    "makerCommission": "0.0005",
    "takerCommission": "0.0005",
    "quoteAmountPrecisionMarket": "1",
    "maxQuoteAmountMarket": "100000",
    "fullName": "Aaa",
    "tradeSideType": 1,
}
_JKORF_MODEL = "added since: JKorf/Mexc.Net 6.6.0, Objects/Models/Spot/MexcSymbol.cs, 2026-08-21"
_LISTEN_KEY = Published(*DOC25, {"listenKey": "pqia"})

REPLIES: Mapping[str, Published] = {
    f"GET {V3}/ping": Published(*DOC25, {}),
    f"GET {V3}/time": Published(*DOC25, {"serverTime": 1_645_539_742_000}),
    f"GET {V3}/defaultSymbols": Published(
        *JKORF, {"data": ["AAAUSDT"], "code": 0, "msg": "success", "timestamp": 1_737_600_000_056}
    ),
    f"GET {V3}/exchangeInfo": Published(
        *JKORF,
        {"timezone": "CST", "serverTime": 1_737_600_000_453, "rateLimits": [], "exchangeFilters": [], "symbols": [_LISTING]},
        {"contractAddress": _JKORF_MODEL, "st": _JKORF_MODEL},
    ),
    f"GET {V3}/depth": Published(
        CCXT[0],
        "recorded 2024-01-10",
        {"lastUpdateId": 9, "bids": [["1.0", "2"]], "asks": [["1.1", "2"]], "timestamp": 1_704_908_526_228},
    ),
    f"GET {V3}/trades": Published(
        *JKORF,
        [
            {
                "id": None,
                "price": "3219.5",
                "qty": "0.04",
                "quoteQty": "128.78",
                "time": 1_737_623_988_881,
                "isBuyerMaker": False,
                "isBestMatch": True,
                "tradeType": "BID",
            }
        ],
    ),
    f"GET {V3}/aggTrades": Published(
        CCXT[0],
        "recorded 2024-03-13",
        [{"a": None, "f": None, "l": None, "p": "73238.7", "q": "0.0001", "T": 1_710_327_661_000, "m": False, "M": True}],
    ),
    f"GET {V3}/klines": Published(
        CCXT[0], "recorded 2024-03-13", [[1_710_327_600_000, "1.0", "1.2", "0.9", "1.1", "49.5", 1_710_331_200_000, "55.5"]]
    ),
    f"GET {V3}/avgPrice": Published(*DOC25, {"mins": 5, "price": "9.35"}),
    f"GET {V3}/ticker/24hr": Published(CCXT[0], "recorded 2024-03-13", _DAY),
    f"GET {V3}/ticker/price": Published(*DOC25, {"symbol": "BTCUSDT", "price": "184.3"}),
    f"GET {V3}/ticker/bookTicker": Published(
        *DOC25, {"symbol": "AEUSDT", "bidPrice": "0.11", "bidQty": "115", "askPrice": "0.12", "askQty": "215"}
    ),
    f"GET {V3}/announcements": Published(
        JKORF[0], "recorded 2025-10-28", {"code": 0, "data": [{"details": [], "totalPage": "123"}], "msg": ""}
    ),
    f"POST {V3}/order": Published(
        "mexcdevelop/mexc-api-sdk, issue 77",
        "2024-06-06",
        {
            "symbol": "KASUSDT",
            "orderId": "C02__100000000000000001015",
            "orderListId": -1,
            "price": "0.2",
            "origQty": "30.5",
            "type": "MARKET",
            "side": "BUY",
            "transactTime": 1_700_000_000_066,
        },
        {"stpMode": LATER},
    ),
    f"POST {V3}/order/test": Published(*DOC25, {}),
    f"POST {V3}/batchOrders": Published(
        *DOC25,
        [
            {"symbol": "BTCUSDT", "orderId": "1196315350023612316", "newClientOrderId": "a", "orderListId": -1},
            {"newClientOrderId": "b", "msg": "The minimum transaction volume cannot be less than:0.5USDT", "code": 30002},
            {"symbol": "BTCUSDT", "orderId": "1196315350023612318", "orderListId": -1},
        ],
    ),
    f"DELETE {V3}/order": Published(*DOC25, _CANCELED, _OLD_CANCELED),
    f"DELETE {V3}/openOrders": Published(
        *DOC25, [{**_CANCELED, "orderListId": -1}], {**_OLD_CANCELED, "orderListId": "absent in every other published cancel"}
    ),
    f"DELETE {V3}/order/all": Published(
        "ccxt/ccxt, python/ccxt/mexc.py, cancelAllOrders",
        "2026-05-14",
        {"code": 200, "msg": "success", "timestamp": 1_778_744_778_528},
    ),
    f"GET {V3}/order": Published("mexcdevelop/mexc-api-sdk, issue 77", "2024-06-06", _ORDER, _NEWER_ORDER),
    f"GET {V3}/openOrders": Published(
        *DOC25,
        [{**_ORDER, "orderId": 1, "clientOrderId": "mine", "timeInForce": "GTC", "stopPrice": "0.0", "icebergQty": "0.0"}],
        {**_NEWER_ORDER, **dict.fromkeys(("orderId", "timeInForce", "stopPrice", "icebergQty"), CAPTURED)},
    ),
    f"GET {V3}/allOrders": Published(CCXT[0], "recorded 2024-02-11", [_ORDER], _NEWER_ORDER),
    f"GET {V3}/account": Published(
        *DOC25,
        {
            **dict.fromkeys(("canTrade", "canWithdraw", "canDeposit"), True),
            "updateTime": None,
            "accountType": "SPOT",
            "balances": [{"asset": "AAA", "free": "1111", "locked": "33"}],
            "permissions": ["SPOT"],
        },
        {
            **dict.fromkeys(
                ("makerCommission", "takerCommission", "buyerCommission", "sellerCommission"),
                "in recorded replies, mexc-spot-v3.md §4.11",
            ),
            "available": "in recorded replies, mexc-spot-v3.md §4.11",
        },
    ),
    f"GET {V3}/myTrades": Published(
        CCXT[0],
        "recorded 2024-02-11",
        [
            {
                "symbol": "AAAUSDT",
                "id": "dd44f79d",
                "orderId": "C02__385413065019117569043",
                "orderListId": -1,
                **dict.fromkeys(("price", "qty", "quoteQty", "commission"), "1.5"),
                "commissionAsset": "USDT",
                "time": 1_707_671_871_000,
                "isBuyer": False,
                "isMaker": False,
                "isBestMatch": True,
                "isSelfTrade": False,
                "clientOrderId": None,
            }
        ],
    ),
    f"GET {V3}/tradeFee": Published(
        *DOC25,
        {"data": {"makerCommission": 0.003, "takerCommission": 0.003}, "code": 0, "msg": "success", "timestamp": 1_669_109_672_717},
    ),
    f"GET {V3}/kyc/status": Published(*DOC25, {"status": "1"}),
    f"GET {V3}/selfSymbols": Published(*DOC25, {"code": 200, "data": ["AAAUSDT"], "msg": None}),
    f"GET {V3}/mxDeduct/enable": Published(
        *DOC25, {"data": {"mxDeductEnable": True}, "code": 0, "msg": "success", "timestamp": 1_669_109_672_280}
    ),
    f"POST {V3}/mxDeduct/enable": Published(
        *DOC25, {"data": {"mxDeductEnable": True}, "code": 0, "msg": "success", "timestamp": 1_669_109_672_280}
    ),
    f"GET {V3}/capital/deposit/hisrec": Published(
        *DOC25,
        [
            {
                "amount": "50",
                "coin": "EOS",
                "network": "EOS",
                "status": 5,
                "address": "0x20",
                "txId": "0139",
                "insertTime": 1_659_513_342_000,
                "unlockConfirm": "10",
                "confirmTimes": "241",
                "memo": "x",
            }
        ],
        {"memo": "a simulated network has no memo"},
    ),
    f"GET {V3}/capital/withdraw/history": Published(
        *DOC25,
        [
            {
                "id": "bb17",
                "txId": None,
                **dict.fromkeys(("coin", "network", "address"), "EOS"),
                "amount": "10",
                "transferType": 0,
                "status": 3,
                "transactionFee": "0",
                "confirmNo": None,
                "applyTime": 1_665_300_874_000,
                "remark": "",
                "memo": "x",
                "transHash": "0x0c",
                "updateTime": 1_712_134_082_000,
                "coinId": "128f",
                "vcoinId": "af42",
            }
        ],
        {"memo": "a simulated network has no memo", "txId": "null while a withdrawal waits; a simulated one is done at once"},
    ),
    f"POST {V3}/userDataStream": _LISTEN_KEY,
    f"PUT {V3}/userDataStream": _LISTEN_KEY,
    f"DELETE {V3}/userDataStream": _LISTEN_KEY,
    f"GET {V3}/userDataStream": Published(*DOC25, {"listenKey": ["pqia"]}),
}
"""By method and path."""

_LEVEL = [{"price": "93180.1", "quantity": "0.2"}]
_TRADE_ID = "added since: mexcdevelop/websocket-proto, 2026-06-17"

PUSHES: Mapping[str, Published] = {
    "spot@public.aggre.deals.v3.api.pb": Published(
        *DOC25,
        {"deals": [{"price": "93220.0", "quantity": "0.04", "tradeType": 2, "time": "1736409765051"}], "eventType": "x"},
        {"tradeId": _TRADE_ID},
    ),
    "spot@public.aggre.depth.v3.api.pb": Published(
        *DOC25, {"asks": _LEVEL, "bids": _LEVEL, "eventType": "x", "fromVersion": "10", "toVersion": "10"}
    ),
    "spot@public.limit.depth.v3.api.pb": Published(*DOC25, {"asks": _LEVEL, "bids": _LEVEL, "eventType": "x", "version": "36"}),
    "spot@public.aggre.bookTicker.v3.api.pb": Published(
        *DOC25, dict.fromkeys(("bidPrice", "bidQuantity", "askPrice", "askQuantity"), "1.5"), {"version": _TRADE_ID}
    ),
    "spot@public.bookTicker.batch.v3.api.pb": Published(
        *DOC25,
        {"items": [dict.fromkeys(("bidPrice", "bidQuantity", "askPrice", "askQuantity"), "1.5")]},
        {"version": _TRADE_ID},
    ),
    "spot@public.kline.v3.api.pb": Published(
        *DOC25,
        {
            "interval": "Min15",
            **dict.fromkeys(("windowStart", "windowEnd"), "1736410500"),
            **dict.fromkeys(("openingPrice", "closingPrice", "highestPrice", "lowestPrice", "volume", "amount"), "1.5"),
        },
    ),
    "spot@private.orders.v3.api.pb": Published(
        "ccxt/ccxt, python/ccxt/pro/mexc.py, parse_ws_order",
        "recorded 2025-08-12",
        {
            "id": "C02__100000000000000001043",
            "price": "0.001053",
            "quantity": "2000",
            "amount": "0",
            "avgPrice": "0.001007",
            "orderType": 5,
            "tradeType": 1,
            "remainAmount": "0.092",
            "remainQuantity": "0",
            "lastDealQuantity": "2000",
            "cumulativeQuantity": "2000",
            "cumulativeAmount": "2.014",
            "status": 2,
            "createTime": "1754996075502",
        },
    ),
    "spot@private.deals.v3.api.pb": Published(
        *DOC25,
        {
            **dict.fromkeys(("price", "quantity", "amount"), "3.5"),
            "tradeType": 2,
            "tradeId": "100000000000000001X1",
            "orderId": "C02__100000000000000001115",
            "feeAmount": "0.0003",
            "feeCurrency": "MX",
            "time": "1736417034280",
        },
    ),
    "spot@private.account.v3.api.pb": Published(
        *DOC25,
        {
            "vcoinName": "USDT",
            "coinId": "128f",
            **dict.fromkeys(("balanceAmount", "balanceAmountChange", "frozenAmount", "frozenAmountChange"), "1.5"),
            "type": "ENTRUST",
            "time": "1736416910000",
        },
    ),
}
"""By channel without its symbol, with the field names of the protobuf schema; the printed examples lower some of them."""


def source_of(what: str) -> str:
    """Where the published payload of an endpoint or a channel is from, or ``none found``."""
    found = REPLIES.get(what) or PUSHES.get(what)
    return "none found" if found is None else f"{found.source}, {found.date}"
