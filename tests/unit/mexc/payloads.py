"""Synthetic copies of published MEXC payloads: the shape is the source's, ids and amounts may be ours. Each names its source.

Sources:

- docs: MEXC's Spot V3 documentation, www.mexc.com/api-docs/spot-v3, as of January 2026 and in mexcdevelop/apidocs of 2025-08-08
- ccxt: recorded replies in ccxt/ccxt, ts/src/test/static/response/mexc.json and the comments of ts/src/mexc.ts, version 4.5.90
- Mexc.Net: recorded replies in JKorf/Mexc.Net, Mexc.Net.UnitTests/Endpoints/SpotApi, version 6.6.0 of 2026-08-21
"""

from __future__ import annotations

from typing import Any

POST_ORDER: dict[str, Any] = {  # ccxt: createOrder of 2025-04-28
    "symbol": "FARTCOINUSDT", "orderId": "C02__342252993005723644225", "orderListId": "-1", "price": "1.1", "origQty": "6.3",
    "type": "IMMEDIATE_OR_CANCEL", "side": "SELL", "transactTime": "1745852205223",
}  # fmt: skip
DELETE_ORDER: dict[str, Any] = {  # docs: cancel order
    "symbol": "LTCBTC", "origClientOrderId": "myOrder1", "orderId": 4, "clientOrderId": "cancelMyOrder1", "price": "2.00000000",
    "origQty": "1.00000000", "executedQty": "0.00000000", "cummulativeQuoteQty": "0.00000000", "status": "CANCELED",
    "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
}  # fmt: skip
GET_ORDER: dict[str, Any] = {  # ccxt: fetchOrder of 2022-03-19
    "symbol": "BTCUSDT", "orderId": "133734823834147272", "orderListId": "-1", "clientOrderId": None, "price": "30000",
    "origQty": "0.0002", "executedQty": "0", "cummulativeQuoteQty": "0", "status": "CANCELED", "timeInForce": None, "type": "LIMIT",
    "side": "BUY", "stopPrice": None, "icebergQty": None, "time": "1647667102000", "updateTime": "1647708567000", "isWorking": True,
    "origQuoteOrderQty": "6",
}  # fmt: skip
GET_ORDER_DOCUMENTED: dict[str, Any] = {  # docs: query order, with ``Qty`` and an integer order id
    "symbol": "LTCBTC", "orderId": 1, "orderListId": -1, "clientOrderId": "myOrder1", "price": "0.1", "Qty": "1.0",
    "executedQty": "0.0", "cummulativeQuoteQty": "0.0", "status": "NEW", "timeInForce": "GTC", "type": "LIMIT", "side": "BUY",
    "stopPrice": "0.0", "time": 1499827319559, "updateTime": 1499827319559, "isWorking": True, "origQuoteOrderQty": "0.000000",
}  # fmt: skip
FILLED_MARKET_ORDER: dict[str, Any] = {  # ccxt: fetchOrders of 2024-02-11; the price of MARKET is its collar
    "symbol": "ATLASUSDT", "orderId": "C02__385413065019117569043", "orderListId": "-1", "clientOrderId": None,
    "price": "0.004327", "origQty": "1220", "executedQty": "1220", "cummulativeQuoteQty": "5.54124", "status": "FILLED",
    "timeInForce": None, "type": "MARKET", "side": "SELL", "stopPrice": None, "icebergQty": None, "time": "1707671871000",
    "updateTime": "1707671871000", "isWorking": True, "origQuoteOrderQty": "5.27894",
}  # fmt: skip
OPEN_ORDERS: list[dict[str, Any]] = [  # ccxt: fetchOpenOrders of 2022-03-19
    {
        "symbol": "BTCUSDT", "orderId": "133949373632483328", "orderListId": "-1", "clientOrderId": "", "price": "45000",
        "origQty": "0.0002", "executedQty": "0", "cummulativeQuoteQty": "0", "status": "NEW", "timeInForce": None,
        "type": "LIMIT", "side": "SELL", "stopPrice": None, "icebergQty": None, "time": "1647718255199", "updateTime": None,
        "isWorking": True, "origQuoteOrderQty": "9",
    }
]  # fmt: skip
MY_TRADES: list[dict[str, Any]] = [  # ccxt: fetchMyTrades of 2024-02-11
    {
        "symbol": "ATLASUSDT", "id": "dd44f79dda764c2e927a190ac5e7a1e5", "orderId": "C02__385413065019117569043",
        "orderListId": "-1", "price": "0.004542", "qty": "1220", "quoteQty": "5.54124", "commission": "0",
        "commissionAsset": "USDT", "time": "1707671871000", "isBuyer": False, "isMaker": False, "isBestMatch": True,
        "isSelfTrade": False, "clientOrderId": None,
    }
]  # fmt: skip
ACCOUNT: dict[str, Any] = {  # docs: account information
    "canTrade": True, "canWithdraw": True, "canDeposit": True, "updateTime": None, "accountType": "SPOT",
    "balances": [{"asset": "NBNTEST", "free": "1111078", "locked": "33"}, {"asset": "MAIN", "free": "1020000", "locked": "0"}],
    "permissions": ["SPOT"],
}  # fmt: skip
BOOK_TICKER: dict[str, Any] = {  # docs and Mexc.Net: symbol order book ticker
    "symbol": "AEUSDT", "bidPrice": "0.11001", "bidQty": "115.59", "askPrice": "0.11127", "askQty": "215.48",
}  # fmt: skip
DAY_TICKER: dict[str, Any] = {  # ccxt: fetchTickers
    "symbol": "BTCUSDT", "priceChange": "184.34", "priceChangePercent": "0.00400048", "prevClosePrice": "46079.37",
    "lastPrice": "46263.71", "lastQty": "", "bidPrice": "46260.38", "bidQty": "", "askPrice": "46260.41", "askQty": "",
    "openPrice": "46079.37", "highPrice": "47550.01", "lowPrice": "45555.5", "volume": "1732.461487", "quoteVolume": None,
    "openTime": 1641349500000, "closeTime": 1641349582808, "count": None,
}  # fmt: skip
KLINE: dict[str, Any] = {  # ccxt: fetchOHLCV; a row of eight, named here by what docs say of each place
    "openTime": 1640804880000, "open": "47482.36", "high": "47482.36", "low": "47416.57", "close": "47436.1",
    "volume": "3.550717", "closeTime": 1640804940000, "quoteVolume": "168387.3",
}  # fmt: skip
AVERAGE_PRICE: dict[str, Any] = {"mins": 5, "price": "9.35751834"}  # docs: current average price
DEPTH: dict[str, Any] = {  # ccxt: fetchOrderBook of 2024-01-10
    "lastUpdateId": 1112416, "bids": [["15.00000", "49999.00000"]], "asks": [["16.0000", "1.0000"]], "timestamp": "1704908526228",
}  # fmt: skip
LISTING: dict[str, Any] = {  # docs: exchange information; it lists no MARKET and leaves the limits of MARKET out
    "symbol": "TOMO3LUSDT", "status": "1", "baseAsset": "TOMO3L", "baseAssetPrecision": 2, "quoteAsset": "USDT",
    "quotePrecision": 3, "quoteAssetPrecision": 3, "baseCommissionPrecision": 2, "quoteCommissionPrecision": 3,
    "orderTypes": ["LIMIT", "LIMIT_MAKER"], "quoteOrderQtyMarketAllowed": False, "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False, "quoteAmountPrecision": "5", "baseSizePrecision": "0.0001", "permissions": ["SPOT", "LIMIT"],
    "filters": [], "maxQuoteAmount": "5000000", "makerCommission": "0.002", "takerCommission": "0.002", "tradeSideType": "1",
}  # fmt: skip
TRADE_FEE: dict[str, Any] = {  # docs: query symbol commission
    "data": {"makerCommission": 0.003, "takerCommission": 0.003}, "code": 0, "msg": "success", "timestamp": 1669109672717,
}  # fmt: skip
BATCH: list[dict[str, Any]] = [  # docs: batch orders, with the refused element first
    {"newClientOrderId": "123456", "msg": "The minimum transaction volume cannot be less than:0.5USDT", "code": 30002},
    {"symbol": "BTCUSDT", "orderId": "1196315350023612316", "newClientOrderId": "hio8279hbdsds", "orderListId": -1},
]  # fmt: skip
PRIVATE_ORDER: dict[str, Any] = {  # docs: spot account orders
    "id": "C02__505979017439002624115", "price": "3.5121", "quantity": "1", "amount": "0", "avgPrice": "3.6962", "orderType": 5,
    "tradeType": 2, "remainAmount": "0", "remainQuantity": "0", "lastDealQuantity": "1", "cumulativeQuantity": "1",
    "cumulativeAmount": "3.6962", "status": 2, "createTime": 1736417034259,
}  # fmt: skip
PRIVATE_DEAL: dict[str, Any] = {  # docs: spot account deals
    "price": "3.6962", "quantity": "1", "amount": "3.6962", "tradeType": 2, "tradeId": "505979017439002624X1",
    "orderId": "C02__505979017439002624115", "feeAmount": "0.0003998377369698171", "feeCurrency": "MX", "time": 1736417034280,
}  # fmt: skip
PRIVATE_ACCOUNT: dict[str, Any] = {  # docs: spot account update
    "vcoinName": "USDT", "coinId": "128f589271cb4951b03e71e6323eb7be", "balanceAmount": "21.94210356004384",
    "balanceAmountChange": "10", "frozenAmount": "0", "frozenAmountChange": "0", "type": "CONTRACT_TRANSFER", "time": 1736416910000,
}  # fmt: skip
DEPOSIT: dict[str, Any] = {  # docs: deposit history
    "amount": "50000", "coin": "EOS", "network": "EOS", "status": 5, "address": "0x20b7cf77db93d6ef1ab979c49142ec168427fdee",
    "txId": "01391d1c1397ef0a3cbb3c7f99a90846f7c8c2a8dddcddcf84f46b530dede203e1bc804", "insertTime": 1659513342000,
    "unlockConfirm": "10", "confirmTimes": "24", "memo": "xxyy1122",
}  # fmt: skip
WITHDRAWAL: dict[str, Any] = {  # docs: withdraw history, with the status of one that is complete
    "id": "bb17a2d452684f00a523c015d512a341", "txId": None, "coin": "EOS", "network": "EOS", "address": "zzqqqqqqqqqq",
    "amount": "10", "transferType": 0, "status": 7, "transactionFee": "0", "confirmNo": None, "applyTime": 1665300874000,
    "remark": "", "memo": "MX10086", "transHash": "0x0ced593b8b5adc9f600334d0d7335456a7ed772ea5547beda7ffc4f33a065c",
    "updateTime": 1712134082000, "coinId": "128f589271cb495b03e71e6323eb7be", "vcoinId": "af42c6414b9a46c8869ce30fd51660f",
}  # fmt: skip
