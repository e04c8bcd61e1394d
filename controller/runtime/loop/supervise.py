"""Restarts background work that ends, and halts the deployment when it does (reliability.md F69). Used by the assembly."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from controller.core.causes import Cause
from controller.core.inputs import HaltAsked
from controller.runtime.loop.inbox import Inbox
from exchange.ports import Clock

RESTART_AFTER_S = 1.0

_log = logging.getLogger(__name__)


async def supervised(name: str, work: Callable[[], Awaitable[None]], inbox: Inbox, clock: Clock) -> None:
    """Run ``work`` until cancelled. When it fails or ends by itself, halt the deployment and restart it after a second."""
    while True:
        try:
            await work()
            reason = f"{name} ended by itself"
        except Exception as error:
            _log.exception("background work failed: %s", name)
            reason = f"{name} failed: {type(error).__name__}"
        inbox.fact(HaltAsked(by="controller", reason=reason, cause=Cause.CONTROLLER), clock.monotonic_ns())
        await asyncio.sleep(RESTART_AFTER_S)
