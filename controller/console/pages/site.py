"""Every page of the console as routes. An error of a page is a page too, with its code, its message and what to do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.console.boundary import http_status
from controller.console.pages.alerts import AlertPage
from controller.console.pages.approvals import ApprovalPage
from controller.console.pages.charts import ChartPage
from controller.console.pages.drawing import DRAWER
from controller.console.pages.frame import Handler, show
from controller.console.pages.halting import Halting, HaltsAs, MayHalt, by_a_page
from controller.console.pages.journal import JournalPages
from controller.console.pages.orders import OrderPages
from controller.console.pages.overview import Page
from controller.console.pages.plain import PlainPages, SettingsInForce
from controller.console.port import OperatorPort
from exchange.errors import GatehouseError

_NOT_FOUND = frozenset({"no-such-order", "no-such-entry"})


def page_routes(port: OperatorPort, may_halt: MayHalt, settings: SettingsInForce, halts_as: HaltsAs = by_a_page) -> list[Route]:
    """The routes of the pages and of the forms on them."""
    orders, journal = OrderPages(port), JournalPages(port)

    def page(path: str, handler: Handler, *, here: str = "", methods: tuple[str, ...] = ("GET",)) -> Route:
        return Route(path, _with_errors(port, handler, here or path), methods=list(methods))

    approvals, plain = ApprovalPage(port), PlainPages(port, settings)
    return [
        page("/", Page(port).show),
        page("/charts", ChartPage(port).show),
        page("/gates", plain.gates),
        page("/approvals", approvals.show),
        page("/approvals/check", approvals.check, here="/approvals", methods=("POST",)),
        page("/approvals/submit", approvals.submit, here="/approvals", methods=("POST",)),
        page("/alerts", AlertPage(port).show),
        page("/drills", plain.drills),
        page("/streams", plain.streams),
        page("/settings", plain.settings),
        page("/orders", orders.many),
        page("/orders/{client_id}", orders.one, here="/orders"),
        page("/journal", journal.many),
        page("/journal/{seq:int}", journal.one, here="/journal"),
        page("/halt", Halting(port, may_halt, halts_as).halt, methods=("POST",)),
    ]


def _with_errors(port: OperatorPort, handler: Handler, here: str) -> Handler:
    async def answer(request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            # A halt and a command are never refused because too many pages are looked at.
            return await answered(request)
        with DRAWER.admitted():
            return await answered(request)

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except GatehouseError as error:
            code = 404 if error.code in _NOT_FOUND else http_status(error)
            return await show(port, "problem.html", here, code=code, posted=request.method == "POST", error=error)

    return answer
