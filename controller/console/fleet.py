"""The fleet page: several deployments of this machine on one screen, read-only (ADR 75). ``gatehouse fleet`` serves it.

Each deployment is red by itself: when it is HALTED, when it does not answer, and when what it said is old. Nothing is green because
nothing was heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from controller.console.boundary import LOOPBACK_NAMES, Boundary, error_response
from controller.console.pages.drawing import DRAWER
from controller.console.pages.frame import STATIC, is_real_money, old_facts, templates
from controller.console.schema import StatusView
from policies.stage import Stage

OLD_AFTER_MS = 5_000
"""What a deployment said longer ago than this is not shown as if it were so now."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of one deployment: its folder, what it said last, how long ago, and why it says nothing now."""

    folder: str
    status: StatusView | None
    age_ms: int | None
    problem: str = ""

    @property
    def is_old(self) -> bool:
        """Whether what it said may not be so any more."""
        return self.status is None or self.age_ms is None or self.age_ms > OLD_AFTER_MS or bool(old_facts(self.status))

    @property
    def red(self) -> str:
        """Why it is red; empty when it is not."""
        if self.status is None:
            return self.problem or "nothing was heard of it yet"
        if self.age_ms is None or self.age_ms > OLD_AFTER_MS:
            since = "" if self.age_ms is None else f" for {self.age_ms // 1000} s"
            return f"nothing was heard of it{since}: {self.problem or 'it does not answer'}"
        if old := old_facts(self.status):
            return old
        if self.status.stage is Stage.HALTED:
            return f"HALTED: {self.status.halt_reason}"
        return "" if self.status.armed or self.status.standby is not None else f"not armed: {self.status.not_armed_because}"

    @property
    def real_money(self) -> bool:
        """Whether its orders use real money, as far as is known."""
        return self.status is not None and is_real_money(self.status)


Fleet = Callable[[], Sequence[Heard]]


def create_fleet_app(fleet: Fleet, hosts: Iterable[str] = ()) -> ASGIApp:
    """The page over what ``fleet`` knows now. ``hosts``: names to accept besides those of loopback."""

    async def show(_request: Request) -> Response:
        seen = sorted(fleet(), key=lambda one: (not one.red, not one.real_money, one.folder))
        with DRAWER.admitted():
            text = await DRAWER.draw(lambda: templates().get_template("fleet.html").render(fleet=seen))
        return HTMLResponse(text)

    async def alive(_request: Request) -> Response:
        return Response("ok", media_type="text/plain")

    async def refused(_request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        return error_response(code, "not-found", "the fleet page has no such path", "Open /.")

    routes = [Route("/", show), Route("/livez", alive), Mount("/static", StaticFiles(directory=STATIC))]
    return Boundary(Starlette(routes=routes, exception_handlers={HTTPException: refused}), LOOPBACK_NAMES.union(hosts))
