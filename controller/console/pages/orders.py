"""Orders: the list with its filters, and one order from its admission to its end."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from controller.console.inspection import OrderFilter
from controller.console.pages.frame import show
from controller.console.pages.query import address, number, words
from controller.console.port import OperatorPort
from exchange.errors import UsageError
from exchange.model import OrderStatus, Side

PAGE_ROWS = 50


class OrderPages:
    """Renders both."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def many(self, request: Request) -> Response:
        """The newest orders that pass the filter, a page at a time."""
        wanted = OrderFilter(
            symbol=words(request, "symbol").upper(),
            bot=words(request, "bot"),
            side=_choice(request, "side", tuple(Side)),
            status=_choice(request, "status", tuple(OrderStatus)),
        )
        found = await self._port.inspector.orders(wanted, number(request, "before"), PAGE_ROWS)
        kept = wanted.model_dump()
        return await show(
            self._port,
            "orders.html",
            "/orders",
            found=found,
            wanted=wanted,
            sides=tuple(Side),
            statuses=tuple(OrderStatus),
            newest=address("/orders", **kept),
            older=address("/orders", **kept, before=found.older_than) if found.older_than is not None else "",
            paged=number(request, "before") is not None,
        )

    async def one(self, request: Request) -> Response:
        """One order and every journal entry about it."""
        life = await self._port.inspector.life(request.path_params["client_id"][:64])
        trace = next((str(one.body["trace_id"]) for one in life.entries if one.body.get("trace_id")), "")
        return await show(self._port, "order.html", "/orders", life=life, o=life.order, trace=trace)


def _choice(request: Request, name: str, among: tuple[str, ...]) -> str:
    text = words(request, name).upper()
    if text and text not in among:
        raise UsageError(f"{name} {text!r} does not exist", code="bad-query", remedy=f"Choose one of {', '.join(among)}.")
    return text
