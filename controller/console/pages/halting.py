"""HALT from a page: two clicks, by the user of this process or root on this machine (ADR 71)."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from controller.console.boundary import read_form
from controller.console.pages.frame import show
from controller.console.peer import is_own
from controller.console.port import OperatorPort
from exchange.errors import GatehouseError, Unauthorised

FORM_LIMIT = 4 * 1024
BY = "console page"

HaltsAs = Callable[[Scope], str]
"""Who halts, in the journal."""

MayHalt = Callable[[Scope], bool]
"""Whether who has the other end of a connection may halt without a signature."""


def by_a_page(_: Scope) -> str:
    """A browser of the user of this process."""
    return BY


def by_own_user(scope: Scope) -> bool:
    """Whether the user of this process, or root, has the other end on this machine."""
    client, server = scope.get("client"), scope.get("server")
    return is_own(tuple(client) if client else None, tuple(server) if server else None)


class Halting:
    """Takes the form that every page has."""

    def __init__(self, port: OperatorPort, may_halt: MayHalt, halts_as: HaltsAs = by_a_page) -> None:
        self._port = port
        self._halts_as = halts_as
        self._may_halt = may_halt

    async def halt(self, request: Request) -> Response:
        """Halt now. Raises ``Unauthorised`` (``not-this-user``)."""
        form = await read_form(request, FORM_LIMIT)
        if not self._may_halt(request.scope):
            raise Unauthorised(
                "this browser does not run as the user of gatehouse, so the console cannot halt without a signature",
                code="not-this-user",
                remedy="Run `gatehouse halt` as that user on the controller's machine, or hand in a signed halt on Approvals.",
            )
        reason = _reason(form.get("reason", ""))
        receipt = await self._port.halt(reason, by=self._halts_as(request.scope))
        try:
            return await show(self._port, "halted.html", "", posted=True, receipt=receipt)
        except GatehouseError:
            # It is halted; a status that cannot be read must not hide that.
            return Response(receipt.model_dump_json(), media_type="application/json")


def _reason(text: str) -> str:
    """The reason that is journalled. A bad one must not hold a halt up."""
    readable = "".join(one if one.isprintable() else " " for one in text).strip()
    return readable[:200] or "no reason was written"
