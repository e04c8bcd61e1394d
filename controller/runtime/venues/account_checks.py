"""Examines the live account before the first real order: the evidence of the gate ``live-ready``.

The assembly runs it in the background; ``controller.bootstrap.venues`` gives it the questions.
"""

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
CHECK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Findings:
    """How many checks were made, the names of those that the account failed, and for each what was found and what to do."""

    checks: int
    failed: tuple[str, ...]
    remedies: tuple[str, ...] = ()


class Examiner:
    """Examines the account at VALIDATED, where the next step is real money: at once, then every minute. Not in other stages."""

    def __init__(
        self, *, examine: Callable[[], Awaitable[Findings]], current_state: Callable[[], State], inbox: Inbox, clock: Clock
    ) -> None:
        self._examine = examine
        self._current_state = current_state
        self._inbox = inbox
        self._clock = clock

    async def run(self) -> None:
        """Examine whenever it is due, until cancelled. The findings go to the writer, which decides."""
        examined_stage_since, due_ns = -1, 0
        while True:
            state = self._current_state()
            if state.position.stage is Stage.VALIDATED and state.armed:
                now = self._clock.monotonic_ns()
                if state.stage_since != examined_stage_since or now >= due_ns:
                    examined_stage_since, due_ns = state.stage_since, now + EVERY_NS
                    findings = await self._examine()
                    found = AccountExamined(VenueName.LIVE, findings.checks, findings.failed, findings.remedies)
                    self._inbox.fact(found, self._clock.monotonic_ns())
            await asyncio.sleep(CHECK_EVERY_S)
