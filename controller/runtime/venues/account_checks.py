"""Asking the live venue, before anybody may go there, whether the account is fit to trade: the evidence of ``live-ready``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from controller.core.inputs import AccountExamined
from controller.core.state import State
from controller.runtime.loop.inbox import Inbox
from exchange.ports import Clock, VenueName
from policies.stage import Stage

EVERY_NS = 60_000_000_000
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Findings:
    """How many questions were asked, and the names of those the account did not pass."""

    checks: int
    failed: tuple[str, ...]


class Examiner:
    """At VALIDATED, where the next step is real money: at once, then every minute. Nowhere else."""

    def __init__(
        self, *, examine: Callable[[], Awaitable[Findings]], known: Callable[[], State], inbox: Inbox, clock: Clock
    ) -> None:
        self._examine = examine
        self._known = known
        self._inbox = inbox
        self._clock = clock

    async def run(self) -> None:
        """Examine whenever it is due, until cancelled. What it finds is decided by the writer."""
        examined_run, due_ns = -1, 0
        while True:
            state = self._known()
            if state.position.stage is Stage.VALIDATED and state.armed:
                now = self._clock.monotonic_ns()
                if state.stage_since != examined_run or now >= due_ns:
                    examined_run, due_ns = state.stage_since, now + EVERY_NS
                    found = await self._examine()
                    self._inbox.fact(AccountExamined(VenueName.LIVE, found.checks, found.failed), self._clock.monotonic_ns())
            await asyncio.sleep(LOOK_EVERY_S)
