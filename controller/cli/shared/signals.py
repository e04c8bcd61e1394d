"""Runs a program until SIGTERM or SIGINT. The verbs that start a process use it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` until it ends by itself or SIGTERM or SIGINT cancels it; a signal is a normal end."""
    asyncio.run(_cancellable(work))


async def _cancellable(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
