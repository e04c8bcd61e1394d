"""A venue that does not answer, as the status shows it. Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View
from exchange.ports import VenueName


class UnreachedView(View):
    """A venue that does not answer since ``since_ms``. ``line`` says why, and what waits for it."""

    venue: VenueName
    since_ms: int
    why: str
    line: str
