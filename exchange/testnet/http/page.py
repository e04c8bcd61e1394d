"""The testnet's web page: its market, accounts, orders, fills and faults. The app routes it. It is read-only and loads nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from exchange.matching.events import FillRecord
from exchange.model import Millis
from exchange.testnet.conditions.faults import ArmedFault
from exchange.testnet.http.picture import HEIGHT, LEVELS, WIDTH, depth_picture
from exchange.testnet.venue import SimulatedVenue
from exchange.wire.numbers import plain

if TYPE_CHECKING:
    from jinja2 import Template

_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
_FILLS = 20
_TRADES_NAMED = 3
_STATUS = {1: "online", 2: "paused", 3: "offline"}
_SIDES = {1: "both sides", 2: "buys only", 3: "sells only", 4: "closed"}


def route(venue: SimulatedVenue) -> Route:
    """The page over one venue."""

    async def show(_: Request) -> Response:
        template = await asyncio.to_thread(_template)
        return HTMLResponse(template.render(_facts(venue)), headers=_HEADERS)

    return Route("/", show, methods=["GET"])


@cache
def _template() -> Template:
    # Once for all venues of a process, when somebody opens the page: compiling would take most of a venue's start.
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("exchange.testnet.http"), autoescape=True)
    environment.filters["plain"] = plain
    return environment.get_template("venue.html")


def _facts(venue: SimulatedVenue) -> dict[str, object]:
    now = venue.clock.now()
    market = venue.market
    return {
        "source": market.source.value,
        "now": _utc(now),
        "position": _utc(market.position) if market.position is not None else "nothing yet",
        "records": market.records,
        "paused": market.paused,
        "speed": market.speed,
        "skew": venue.clock.skew_ms,
        "width": WIDTH,
        "height": HEIGHT,
        "symbols": [_symbol(venue, symbol, now) for symbol in venue.engine.rules],
        "accounts": [_account(venue, name) for name in venue.account_names],
        "faults": [_fault(armed) for armed in venue.faults.armed()],
        "fills": [_fill(record) for record in reversed(venue.engine.fill_log()[-_FILLS:])],
        "digest": venue.engine.fills_digest(),
        "sessions": len(venue.hub.sessions),
    }


def _symbol(venue: SimulatedVenue, symbol: str, now: Millis) -> dict[str, object]:
    listing = venue.listings[symbol]
    version, bids, asks = venue.engine.depth(symbol, LEVELS)
    quote = venue.engine.quote(symbol, now)
    return {
        "name": symbol,
        "base": venue.engine.rules[symbol].base,
        "quote": quote,
        "spread": quote.ask - quote.bid if quote is not None else None,
        "version": version,
        "book": venue.engine.book_status(symbol).value,
        "standing": f"{_STATUS[listing.status]}, {_SIDES[listing.trade_side_type]}",
        "last": venue.history.last_price(symbol),
        "picture": depth_picture(bids, asks) if quote is not None else None,
    }


def _account(venue: SimulatedVenue, name: str) -> dict[str, object]:
    return {
        "name": name,
        "uid": venue.uids[name],
        "balances": [balance for balance in venue.engine.balances(name).values() if balance.total],
        "orders": [view.report for view in venue.engine.open_orders(name)],
    }


def _fault(armed: ArmedFault) -> dict[str, object]:
    fault = armed.fault
    params = fault.params.model_dump(mode="json", exclude_none=True)
    return {
        "kind": fault.kind.value,
        "struck": armed.struck,
        "left": "no limit" if fault.count is None else fault.count - armed.struck,
        "probability": fault.probability,
        "params": ", ".join(f"{key} {value}" for key, value in params.items()),
        "spent": armed.spent,
    }


def _fill(record: FillRecord) -> dict[str, object]:
    trades = record.evidence.trade_ids
    named = ", ".join(trades[-_TRADES_NAMED:])
    earlier = len(trades) - _TRADES_NAMED
    return {
        "account": record.account,
        "fill": record.fill,
        "at": _utc(record.fill.at),
        "version": record.evidence.book_version,
        "trades": f"{named} and {earlier} before" if earlier > 0 else named,
    }


def _utc(at: Millis) -> str:
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
