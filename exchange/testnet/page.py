"""The testnet's one page: what it is, what it plays, and what is on it. Read-only, nothing loaded from elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from exchange.model import Millis
from exchange.testnet.venue import SimulatedVenue

_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}


def route(venue: SimulatedVenue) -> Route:
    """The page over one venue."""
    environment = Environment(loader=PackageLoader("exchange.testnet"), autoescape=True)
    template = environment.get_template("venue.html")

    async def show(_: Request) -> Response:
        return HTMLResponse(template.render(_facts(venue)), headers=_HEADERS)

    return Route("/", show, methods=["GET"])


def _facts(venue: SimulatedVenue) -> dict[str, object]:
    engine = venue.engine
    now = venue.clock.now()
    return {
        "source": venue.market.source.value,
        "now": _utc(now),
        "position": _utc(venue.market.position) if venue.market.position is not None else "nothing yet",
        "paused": venue.market.paused,
        "speed": venue.market.speed,
        "books": [{"symbol": symbol, "quote": engine.quote(symbol, now)} for symbol in engine.rules],
        "accounts": [_account(venue, name) for name in venue.account_names],
    }


def _account(venue: SimulatedVenue, name: str) -> dict[str, object]:
    return {
        "name": name,
        "balances": [balance for balance in venue.engine.balances(name).values() if balance.total],
        "orders": [view.report for view in venue.engine.open_orders(name)],
    }


def _utc(at: Millis) -> str:
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
