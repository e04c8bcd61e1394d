"""Runs what a start leaves running beside the controller, until the process ends. The other files of ``bootstrap`` use it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from controller.core.effects import Alert
from controller.runtime.loop.supervise import kept_running


def run_beside(name: str, work: Callable[[], Awaitable[None]], notify: Callable[[Alert], object], stack: AsyncExitStack) -> None:
    """Run ``work`` as a task until ``stack`` ends; then it is cancelled and waited for.

    When it fails, ``notify`` gets an alert that names it, and it is run again.
    """
    task = asyncio.create_task(kept_running(name, work, notify), name=name)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
