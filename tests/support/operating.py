"""The operator API over a shell's writer; venues are seen as the desk sees them. Tests of ``runtime.api`` use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from controller.core.inputs import Tick
from controller.runtime.api.operator import Operator
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.followers.tracing import Tracing
from controller.runtime.loop.immediate_halt import ImmediateHalt
from controller.runtime.venues.markets import Markets
from controller.telemetry.facade import OFF
from exchange.model import SymbolRules
from exchange.ports import VenueName
from tests.support.desk import Desk
from tests.support.shell import Shell


class Seen(Markets):
    """Sees every venue, as the desk does."""

    def __init__(self, desk: Desk, **parts: Any) -> None:
        super().__init__(**parts)
        self._desk = desk

    def measured_now(self) -> Tick:
        return self._desk.seen()


@asynccontextmanager
async def operating(shell: Shell) -> AsyncIterator[Operator]:
    rules = {name: dict[str, SymbolRules]() for name in VenueName}
    no_feeds: Any = dict.fromkeys(VenueName)
    inbox, clock = shell.inbox, shell.clock
    writing = asyncio.create_task(shell.writer.run())
    try:
        yield Operator(
            writer=shell.writer,
            inbox=inbox,
            markets=Seen(shell.desk, feeds=no_feeds, rules=rules, accelerated={}, symbols=(), clock=clock, inbox=inbox, clocks={}),
            history=RecentHistory(),
            journal=shell.journal,
            clock=clock,
            tracing=Tracing(OFF, clock),
            halt=ImmediateHalt(permits=shell.permits, inbox=inbox, clock=clock, record=lambda _: None, cancel_now=lambda _: None),
            permits=shell.permits,
            key_problem=lambda _: "",
            target_statuses=tuple,
        )
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
