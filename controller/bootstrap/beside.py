"""Runs what a start leaves running beside the controller, until the process ends. The other files of ``bootstrap`` use it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any


def run_beside(work: Coroutine[Any, Any, None], stack: AsyncExitStack) -> None:
    """Run ``work`` as a task until ``stack`` ends; then it is cancelled and waited for."""
    task = asyncio.ensure_future(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
