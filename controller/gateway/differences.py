"""How the gateway differs from MEXC: what it does not serve, and what it answers in its own way. ``gateway.app`` refuses by it.

``ops/docs/gateway.md`` is generated from it, and a test compares it with what the testnet serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

API = "/api/v3/"

HEARTBEAT = "/gatehouse/v1/heartbeat"
"""The one endpoint that MEXC does not have: a bot that has nothing to ask says that it is there."""

_MONEY = "withdrawals and transfers do not exist here, by design: a bot's key can only trade."
_GROUPS = "groups against self-trades belong to the account's owner."
_REFUSED = {
    "POST mxDeduct/enable": "how the account pays its fees is for its owner to set, and a fee in MX halts.",
    "POST strategy/group": _GROUPS,
    "GET strategy/group": _GROUPS,
    "DELETE strategy/group": _GROUPS,
    "POST strategy/group/uid": _GROUPS,
    "GET strategy/group/uid": _GROUPS,
    "DELETE strategy/group/uid": _GROUPS,
    "GET capital/withdraw/history": _MONEY,
    "GET capital/deposit/hisrec": _MONEY,
    "GET capital/transfer": _MONEY,
    "POST capital/withdraw": _MONEY,
    "DELETE capital/withdraw": _MONEY,
    "POST capital/transfer": _MONEY,
    "GET symbol/offline": "only symbols that may be traded are known here. See GET /api/v3/exchangeInfo.",
    "GET announcements": "MEXC's announcements are not read here.",
    "GET etf/info": "leveraged tokens are not traded here.",
    "GET apiKeyInfo": "a gateway key has no permissions but to trade.",
    "POST apiKeyInfo": "an operator issues gateway keys with `gatehouse keys bot NAME` and `gatehouse issue-bot-key`.",
}
_MONEY_MOVES = tuple(API + start for start in ("capital/", "sub-account/", "asset/", "rebate/"))


def _by_path(table: Mapping[str, str]) -> Mapping[tuple[str, str], str]:
    named = ((name.split(), text) for name, text in table.items())
    return MappingProxyType({(method, path if path.startswith("/") else API + path): text for (method, path), text in named})


REFUSED = _by_path(_REFUSED)
"""What MEXC, or the testnet, serves and the gateway does not, by method and path, and why not."""

_DIFFERS = {
    "GET exchangeInfo": "only the symbols of the policy",
    "GET defaultSymbols": "only the symbols of the policy",
    "GET selfSymbols": "only the symbols of the policy",
    "GET depth": "503 while the book is not fresh and unbroken",
    "GET trades": "at most the 1,000 newest",
    "GET historicalTrades": "as `trades`: ids and older trades are not kept",
    "GET aggTrades": "at most the 1,000 newest",
    "GET klines": (
        "of the market that prices the stage; see [below](#candles). `startTime` counts without `endTime` too. 503 while the "
        "market does not answer"
    ),
    "GET avgPrice": "at most 2 s old; 503 while the market does not answer",
    "GET ticker/24hr": "statistics at most 10 s old, prices of now; 503 while one of them cannot be had",
    "GET ticker/price": "503 before the first trade",
    "GET ticker/bookTicker": "503 while the book is not fresh and unbroken",
    "POST order": (
        "decided by the policy first. `orderId` is gatehouse's. `stpMode` is shown and has no effect, as at MEXC in an account "
        "that is in no group"
    ),
    "POST order/test": "checks the form and the symbol's rules, not the limits; spends its signature",
    "POST batchOrders": (
        "every element is decided as an order of its own and counts against the rate of orders. One whose outcome is not known is "
        "shown with its `orderId`, to be queried"
    ),
    "DELETE order/all": "the bot's own orders only",
    "DELETE openOrders": "the bot's own orders only",
    "GET openOrders": "the bot's own orders only",
    "GET allOrders": "the bot's own orders only",
    "GET myTrades": "the bot's own trades only",
    "GET account": "what the bot may use at its stage; see [below](#balances)",
    "GET kyc/status": "always 1: gatehouse has identified nobody, and MEXC's answer is about the owner",
    "GET uid": "a number made of the bot's name, not the owner's",
    "GET mxDeduct/enable": "always off: a fee in MX halts",
    "GET capital/config/getall": "an empty list: clients ask for it on start",
    "POST userDataStream": "a listen key opens `/ws` of this gateway; see [below](#streams)",
    "PUT userDataStream": "33333 for a listen key that has ended: make another one",
    "DELETE userDataStream": "its streams end within a second",
    "GET /api/v1/contract/detail": "an empty list: clients ask for it on start",
    f"GET {HEARTBEAT}": "gatehouse's own: whether the bot is connected, and how long it may be silent; see [below](#silence)",
}


DIFFERS = _by_path(_DIFFERS)
"""What the gateway serves in its own way, by method and path, and how."""


def why_not(method: str, path: str) -> str:
    """Why the gateway does not serve this; empty for what MEXC does not serve either."""
    if found := REFUSED.get((method, path)):
        return found
    return _MONEY if path.startswith(_MONEY_MOVES) else ""
