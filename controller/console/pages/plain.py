"""The pages that show what the status and the gates say: gates and evidence, drills, streams and venues, what is in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from controller.console.inspection import FactsView, Topic
from controller.console.pages.frame import Rows, rows_of, show
from controller.console.port import OperatorPort
from controller.console.schema import EntryView, GateView

SettingsInForce = Callable[[], Sequence[FactsView]]
"""The settings that may be shown. They are named one by one, and a secret is never among them."""


class PlainPages:
    """Renders them."""

    def __init__(self, port: OperatorPort, settings: SettingsInForce) -> None:
        self._port = port
        self._settings = settings

    async def gates(self, _request: Request) -> Response:
        """The gates ahead, rule by rule, and the evidence that was sealed."""
        gates: Rows[GateView] = await rows_of(self._port.gates())
        return await show(self._port, "gates.html", "/gates", gates=gates, sealed=await self._entries(Topic.EVIDENCE))

    async def drills(self, _request: Request) -> Response:
        """Drills that ran and drills that the gate asks for."""
        return await show(self._port, "drills.html", "/drills", entries=await self._entries(Topic.DRILLS))

    async def streams(self, _request: Request) -> Response:
        """Streams, venues, bots, and the processes beside the controller."""
        return await show(self._port, "streams.html", "/streams")

    async def settings(self, _request: Request) -> Response:
        """The policy and the settings in force."""
        policy: Rows[FactsView] = await rows_of(self._port.inspector.in_force())
        return await show(self._port, "settings.html", "/settings", policy=policy, groups=self._settings())

    async def _entries(self, topic: Topic) -> Rows[EntryView]:
        async def found() -> Sequence[EntryView]:
            return (await self._port.inspector.newest(topic)).entries

        return await rows_of(found())
