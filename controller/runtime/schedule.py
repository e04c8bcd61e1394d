"""Turns time into ticks, and nothing else (architecture.md §9). What is due comes from the journal, not from a scheduler."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from apscheduler.schedulers.asyncio import AsyncIOScheduler

TICK_EVERY_S = 0.25


def start_ticking(tick: Callable[[], None]) -> AsyncIOScheduler:
    """Call ``tick`` four times a second until the scheduler is shut down. Late ticks are merged into one, never dropped."""
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(tick, "interval", seconds=TICK_EVERY_S, misfire_grace_time=None, coalesce=True, max_instances=1)
    scheduler.start()
    return scheduler
