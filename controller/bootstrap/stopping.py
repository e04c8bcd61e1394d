"""How a controller ends: at a signal during its start, in order, or with orders that it leaves to the watchdog. ``run`` uses it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from threading import Event, Timer
from types import FrameType
from typing import Any, TypeVar

from controller.runtime.assembly import Assembly

T = TypeVar("T")

CANCEL_BEFORE_STOP_S = 20.0
"""How long an orderly stop waits for the proof that no order is open; systemd waits 90 s before it kills."""

CANCEL_BEFORE_HANDOVER_S = 2.5
"""The same where a watchdog has just answered that it watches these orders: what is left it cancels, and the next start halts."""

START_ENDS_WITHIN_S = 4.0
"""How long after a signal a start may go on that waits for something else than a venue: a process, a disk, a long journal."""

_log = logging.getLogger(__name__)


class StopSignals:
    """``stop`` is set at SIGTERM or SIGINT, ``at_once`` at the next one. ``end_start`` ends a start that goes on too long."""

    def __init__(self, end_start: Callable[[], None]) -> None:
        self.stop, self.at_once = asyncio.Event(), asyncio.Event()
        self._started = Event()
        self._signalled = False
        self._end_start = end_start
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # A handler of the loop would wait for a turn of the loop, which a start may not give for minutes.
            signal.signal(number, self._on_signal)

    def started(self) -> None:
        """The start is over: from now on an end is orderly."""
        self._started.set()

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of a part of the start, or ``None`` when it was stopped before."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            for one in (working, stopping):
                one.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        event, self._signalled = self.at_once if self._signalled else self.stop, True
        self._loop.call_soon_threadsafe(event.set)
        timer = Timer(START_ENDS_WITHIN_S, lambda: None if self._started.is_set() else self._end_start())
        timer.daemon = True
        timer.start()


def end_start() -> None:
    """End the process in the middle of its start. The journal takes that at any moment, and no order has left."""
    os._exit(0)


async def cancel_before_stop(stop_now: asyncio.Event, assembly: Assembly) -> bool:
    """Cancel open orders for a while; a second signal ends the wait. Returns whether nothing is left."""
    cancelling, hurried = asyncio.ensure_future(assembly.cancel_before_stop()), asyncio.ensure_future(stop_now.wait())
    within_s = CANCEL_BEFORE_HANDOVER_S if _is_watched(assembly) else CANCEL_BEFORE_STOP_S
    done, _ = await asyncio.wait((cancelling, hurried), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for one in (cancelling, hurried):
        one.cancel()
    if cancelling not in done:
        _log.error("the controller stops before its venues are proven empty; look at the open orders on the venue's own page")
        return False
    return cancelling.result()


def _is_watched(assembly: Assembly) -> bool:
    if assembly.heartbeat is None:
        return False
    watchdog = assembly.heartbeat.view()
    return watchdog.connected and not watchdog.problem and assembly.writer.state.venue in watchdog.venues
