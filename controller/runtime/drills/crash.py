"""``gatehouse drill crash``: this process ends as by ``kill -9``. The next start reconciles and ends the drill."""

from __future__ import annotations

import asyncio
import os
import signal

from controller.core.state import Drill
from controller.runtime.drills.practice import Bench

ANSWERED_WITHIN_S = 0.5
"""How long the operator's own connection has to read that the drill began."""


async def practise(bench: Bench, drill: Drill) -> None:  # noqa: ARG001 - nothing of this process is needed to end it
    """End this process at once. Nothing is cancelled, written or said."""
    await asyncio.sleep(ANSWERED_WITHIN_S)
    os.kill(os.getpid(), signal.SIGKILL)
