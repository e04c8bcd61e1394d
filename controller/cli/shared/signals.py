"""Runs a program until SIGTERM or SIGINT. The verbs that start a process use it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from threading import Event, Timer
from types import FrameType
from typing import Any

START_ENDS_WITHIN_S = 3.0
"""How long after a signal a start may go on that does not let the event loop run, such as the reading of a long tape."""


def run_until_stopped(work: Coroutine[Any, Any, None], started: Event | None = None) -> None:
    """Run ``work`` until it ends by itself or SIGTERM or SIGINT cancels it; a signal is a normal end.

    Until ``started`` is set, nothing is under way that has to be finished: the process then ends within ``START_ENDS_WITHIN_S`` of
    the signal, whatever it does.
    """
    asyncio.run(_cancellable(work, started))


async def _cancellable(work: Coroutine[Any, Any, None], started: Event | None) -> None:
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

    def give_up() -> None:
        if started is not None and not started.is_set():
            os._exit(0)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)
        timer = Timer(START_ENDS_WITHIN_S, give_up)
        timer.daemon = True
        timer.start()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
