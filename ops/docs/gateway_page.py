"""The page that says what the gateway serves to bots, how that differs from MEXC, and what it refuses and why."""

from __future__ import annotations

from typing import Any

from controller.gateway.app import endpoints
from controller.gateway.differences import DIFFERS, HEARTBEAT, REFUSED
from controller.gateway.requests import Lane
from controller.gateway.stream_limits import StreamLimits
from controller.gateway.streams.keys import StreamKeys
from controller.gateway.streams.session import GOING_AWAY, POLICY, TRY_AGAIN
from controller.runtime.venues.candle_pages import FRESH_MS, HEAD_AGE_MS, SETTLE_MS
from controller.runtime.venues.candles import MOST_LOOKED, MOST_PAGES
from controller.serving.websocket import FRAMES_PER_SECOND
from exchange.mexc.ratelimit import HISTORY_PER_WINDOW, QUERIES_KEPT
from exchange.push.listenkeys import MAX_CONNECTIONS, MAX_KEYS
from exchange.wire.market import KLINES_MAX, Interval
from policies.floors import SILENCE_CEILING_MS
from policies.silence import SILENCE_FLAT_MS, SILENCE_WITH_ORDERS_MS

_BOUNDS = StreamLimits()
_ENDS = (
    f"{_BOUNDS.lifetime_s / 3600:g} hours, {_BOUNDS.idle_s:g} s without traffic, or {_BOUNDS.unsubscribed_s:g} s without a "
    "subscription"
)
_MOST = (
    f"Too slow is a reader for whom {_BOUNDS.messages:,} messages or {_BOUNDS.queue_bytes // 1024} KiB wait. "
    f"At most {_BOUNDS.public} public and {_BOUNDS.private} private streams are open, "
    f"{_BOUNDS.per_bot} for each bot and\n{MAX_CONNECTIONS} for each listen "
    f"key; a bot has {MAX_KEYS} listen keys at most, a stream {_BOUNDS.subscriptions} subscriptions.\n"
    f"A handshake beyond that gets 429 with the reason. All streams together have {_BOUNDS.channels} different public channels,"
    f"\n{_BOUNDS.histories} of them of candles and mini tickers; to open one of those counts as a request for candles."
)
_NO_KEY = frozenset({Lane.PUBLIC, Lane.HISTORY})
_INTERVALS = ", ".join(f"`{one.value}`" for one in Interval if one is not Interval.HOUR8)

_HEAD = """# The gateway: what a bot can ask

Generated from `controller/gateway/app.py` and `controller/gateway/differences.py` by `make docs`. A bot is governed by its base
URL: the paths, parameters and replies are those of [MEXC's spot API](mexc-spot-v3.md), and this page says where they differ.

## Served

| endpoint | needs | how it differs from MEXC |
|---|---|---|
"""

_REFUSED = """
## Refused

Everything else that MEXC or the [testnet](testnet.md) serves. The gateway answers 404 with the reason, for money also on paths that
are not in this table.

| endpoint | why |
|---|---|
"""

_CANDLES = f"""
## Traces

A request may have the header `traceparent` (W3C Trace Context); one that is malformed counts as absent. Its orders are then in the
bot's own trace, and the reply has `X-Gatehouse-Trace-Id` ([what is traced](../otel/README.md)).

## Candles

`klines` has the intervals {_INTERVALS}, and at most
{KLINES_MAX} rows in a reply. Page by `startTime` and `endTime`, which is not included. The last row is the candle that has not
closed.

They are of the market that prices the stage: MEXC's at MOCK, LIVE_€10 and RAMPING, the testnet's at TESTNET_VALIDATING and
VALIDATED. The header `X-Gatehouse-Market` says which. A testnet knows only what was traded on it: there
`X-Gatehouse-History-Begins` is when its first candle opened, in ms. In a rehearsal a testnet is in MEXC's place.

| what | how old it can be |
|---|---|
| a candle that closed at least {SETTLE_MS // 1000} s before it was read | it does not change any more |
| a candle that has just closed | 1 s; it is read again until it is final |
| the one that has not closed | as new as the last trade that the feed pushed; see below |
| the same, while the feed is broken | {FRESH_MS // 1000} s: MEXC's row |
| the statistics of `ticker/24hr` | 10 s; its prices are of now |
| `avgPrice` | 2 s |

The candle that has not closed is built from trades. If its window had opened before gatehouse followed the trades, it begins as
MEXC's row; its volume may then lack the trades of one round trip. The row is read again every {HEAD_AGE_MS // 1000} s.

While the market does not answer, the reply is 503 with the reason, and no old candle is shown as a new one. A request looks at
{MOST_LOOKED} spans of {KLINES_MAX} candles at most: where little was traded, a reply may have fewer rows than the limit. Go on from
its last row.

All bots share one cache of {MOST_PAGES} pages. For each symbol and interval one request is under way. Requests to MEXC use at most
{HISTORY_PER_WINDOW} of the 20 a second that gatehouse sends, and only while at least {QUERIES_KEPT} more are left for sweeps and
look-ups. So bots that ask for candles delay no order, no cancel and no sweep.
"""

_SILENCE = f"""
## Silence

Time counts as covered only while every bot that counts is connected: the bots of `[[bots]]` in the policy or, where it names none,
every bot with a gateway key; and any bot with an open order (ADR [55](adr/0055-a-quiet-bot-is-not-a-disconnected-bot.md)). A bot is
connected while one of its streams is open, and for its allowed silence after it was last heard. It is heard by

- any request with a valid signature, also one that is refused;
- `GET {HEARTBEAT}`, signed like any other request, for a bot that has nothing to ask. The answer is
  `{{"bot", "live", "silenceMaxMs", "serverTime"}}`;
- a request for market data on the connection that carried its last signed request, because a bot without a position may ask
  for nothing but candles, and clients send no key with those. Where requests of two bots came over one connection, or where a
  proxy says that it passed the request on (`Forwarded`, `Via`, `X-Forwarded-For`, `X-Real-IP`), market data counts for
  nobody. A proxy that says nothing and joins one bot and another program, such as a dashboard, on one connection makes that
  bot seem connected: connect the other program to MEXC or past the proxy, or have the proxy send one of these headers.

| the policy says | allowed silence |
|---|---|
| `silence_max_ms` for this bot | that, with open orders and without; in production at most {SILENCE_CEILING_MS // 1000} s |
| nothing, and the bot has an open order | {SILENCE_WITH_ORDERS_MS // 1000} s |
| nothing, and it has none | {SILENCE_FLAT_MS // 1000} s |

A silent bot pauses the coverage and is shown in `gatehouse status`; nothing is cancelled and nothing halts. After a start every
bot is unheard until it says something.
"""

_BALANCES = """
## Balances

`account` shows what the bot may use at its stage (ADR [44](adr/0044-the-bot-has-what-gatehouse-gave-it.md) and
[49](adr/0049-a-bot-reads-the-market-through-the-gateway.md)):

- the quote asset: what is left of the stage's cap, and never more than the cap leaves room for. What an order may count beyond its
  amount is held back: the fee, the ask above a limit price, and the 5 % that a MARKET order by quantity counts more. So a bot that
  spends all that is free is not refused for `exposure`, unless the market moved in between;
- every base asset of the policy: what the bot bought through gatehouse, and never the owner's. An asset of which the bot holds
  nothing is there with 0, which MEXC leaves out: after a move a bot that has just bought holds none of it, and many bots stop where
  they look for an asset that is not in the reply.
"""

_STREAMS = f"""
## Streams

`/ws` of the gateway has MEXC's messages and protobuf pushes ([mexc-spot-v3.md](mexc-spot-v3.md) §7). A public stream needs no key;
`?listenKey=` opens a private one. Listen keys live for an hour after their last renewal, and not across a restart of gatehouse.

| channel | what it pushes |
|---|---|
| `aggre.depth` | the changes of the stage's book, without a gap; versions are those of `depth` |
| `aggre.deals` | the trades of the stage's market |
| `aggre.bookTicker`, `bookTicker.batch`, `limit.depth` | its best prices and levels |
| `kline` | its candles as `klines` has them: the one that forms at most once a second, and each once more when it has closed |
| `miniTicker`, `miniTickers` | the day every 3 s; what the figures mean is inferred |
| private `orders`, `deals` | the bot's own orders and trades, once the journal has them, in its order; ids as in REST |
| private `account` | the balances that `account` shows. Without a `type` when the room that the cap leaves has moved |

`10ms` is pushed as `100ms`: that is how often the feed brings something. Candles of 8 hours are made of those of 4.
`increase.depth.batch` is refused, and so is every channel of a symbol whose book is not fresh now. The reply names the channel and
the reason.

**A stream is whole or it is closed.** The close code and its text say why; connect again and read REST, which has everything.

| code | why |
|---|---|
| {TRY_AGAIN} | the market data broke off, the stage has another market or account, or the journal grew faster than the stream |
| {POLICY} | read too slowly, over {FRAMES_PER_SECOND} messages in a second, or a listen key or bot's key that ended |
| {GOING_AWAY} | {_ENDS} |

{_MOST}
See ADR [54](adr/0054-a-stream-is-whole-or-it-ends.md).
"""

_MOVES = """
## After a move to another stage

Each venue has an account of its own, and nothing that a bot holds moves with the stage: coins of MOCK do not exist on the testnet,
and coins of the testnet do not exist at MEXC. `gatehouse advance` and `gatehouse status` list what would be left before the move
is signed. What was bought at MEXC stays in the account there; `gatehouse flatten` sells it.

| a bot asks for | after the move |
|---|---|
| `account` | the balances of the new stage's account |
| `myTrades` | the trades of the new stage's account; with `orderId` those of that order, of any stage |
| `openOrders` | the new orders, and those of the old stage until their venue has confirmed the cancel |
| the private streams | the events of the orders of every stage: a trade of an order that the move ended comes there too |
| `order`, `allOrders` | the orders of every stage; those that the move ended are `CANCELED` or `PARTIALLY_CANCELED` |

`cancelReason` of an order that the move ended says `gatehouse: the deployment left MOCK for TESTNET_VALIDATING`, and of one that
a halt ended `gatehouse: the deployment is HALTED`. Between TESTNET_VALIDATING and VALIDATED, and between LIVE_€10 and RAMPING, the
account stays the same, and so does all of this.
"""

_CONTENT_TYPE = """
## Content-Type

A POST, PUT or DELETE without a body needs no `Content-Type`. With a body it is `application/json` or
`application/x-www-form-urlencoded`; the body is `name=value` pairs in either case. MEXC's documents ask for `application/json`
always: with `strict_content_type = true` under `[gateway]` in `gatehouse.toml` the gateway does too, and a testnet that is started
with `--strict` refuses a write that states no type.
"""


def gateway() -> str:
    """The page."""
    nobody: Any = None
    served = sorted(endpoints(nobody, StreamKeys(nobody, nobody)).items(), key=lambda one: one[0][::-1])
    rows = [
        f"| {method} `{path}` | {'no key' if one.lane in _NO_KEY else 'a key'} | {DIFFERS.get((method, path), '')} |\n"
        for (method, path), one in served
    ]
    refused = [f"| {method} `{path}` | {why} |\n" for (method, path), why in sorted(REFUSED.items(), key=lambda one: one[0][::-1])]
    return "".join([_HEAD, *rows, _REFUSED, *refused, _CANDLES, _SILENCE, _BALANCES, _STREAMS, _MOVES, _CONTENT_TYPE])
