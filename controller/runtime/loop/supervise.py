"""Restarts background work that ends (reliability.md F69). The assembly's work then halts; that of ``bootstrap.beside`` alerts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from controller.core.causes import Cause
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import HaltAsked
from controller.runtime.loop.inbox import Inbox
from exchange.ports import Clock

RESTART_AFTER_S = 1.0
RUN_AGAIN_AFTER_S = 5.0

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


async def kept_running(name: str, work: Callable[[], Awaitable[None]], notify: Callable[[Alert], object]) -> None:
    """Run ``work`` until it has ended by itself. When it fails, alert and run it again: what it keeps must not grow old unseen."""
    while True:
        try:
            await work()
        except Exception as error:
            _log.exception("background work failed: %s", name)
            detail = (
                f"{type(error).__name__}. It is run again every {RUN_AGAIN_AFTER_S:g} s. The controller's log has the whole error."
            )
            notify(Alert(AlertKind.BACKGROUND, f"background work failed: {name}", detail))
            await asyncio.sleep(RUN_AGAIN_AFTER_S)
        else:
            return
