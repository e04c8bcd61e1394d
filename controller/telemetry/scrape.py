"""``GET /metrics``, for Prometheus: the console serves it on its own port. ``bootstrap.servers`` makes it.

On the event loop it only looks at what is true now, for some 100 µs. The text is made on the thread of ``Meters``.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from controller.telemetry.meters import Meters


class Scrape:
    """Answers a scrape. ``refresh`` publishes what is seen at this moment, on the event loop."""

    def __init__(self, meters: Meters, refresh: Callable[[], None] = lambda: None) -> None:
        self._meters = meters
        self._refresh = refresh

    async def show(self, request: Request) -> Response:
        """Every metric, in the text format that the client asks for."""
        self._refresh()
        text, kind = await self._meters.text(request.headers.get("accept", ""))
        return Response(text, media_type=kind)
