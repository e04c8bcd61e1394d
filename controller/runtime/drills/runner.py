"""Runs the fault of a drill once the journal holds its start, and reports what was measured. The assembly makes one runner.

A fault undoes itself in a ``finally``, so a drill that ends early, because the deployment halted or moved, leaves nothing broken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from controller.core.events import DrillStarted
from controller.core.inputs import FaultReported
from controller.core.state import Drill
from controller.runtime.drills import crash, disk, hang, kill, measurements, restore, venue_faults, watchdog
from controller.runtime.drills.practice import Bench, Measured, NotExercised
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.writer import CommittedBatch
from exchange.errors import GatehouseError
from policies.drills import DrillKind

_log = logging.getLogger(__name__)

Fault = Callable[[Bench, Drill], Awaitable[Measured | None]]

FAULTS: Mapping[DrillKind, Fault] = {
    DrillKind.KILL: kill.practise,
    DrillKind.CRASH: crash.practise,
    DrillKind.STALE: measurements.withhold_market_data,
    DrillKind.CLOCK: measurements.shift_clock,
    DrillKind.RATELIMIT: venue_faults.limit_rate,
    DrillKind.AMBIGUOUS: venue_faults.lose_an_answer,
    DrillKind.DISK: disk.practise,
    DrillKind.WATCHDOG: watchdog.practise,
    DrillKind.HANG: hang.practise,
    DrillKind.RESTORE: restore.practise,
}
"""The fault of every drill that the writer does not practise itself. ``None`` as a result: the drill ends in another way."""


class DrillRunner:
    """One fault at a time. ``on_batch`` follows the writer."""

    def __init__(self, bench: Bench, inbox: Inbox) -> None:
        self._bench = bench
        self._inbox = inbox
        self._task: asyncio.Task[None] | None = None
        self._command_id = ""

    def on_batch(self, batch: CommittedBatch) -> None:
        """Start the fault of a drill that started in this batch; end the fault of a drill that has ended."""
        drill = batch.after.drill
        if self._task is not None and (drill is None or drill.command_id != self._command_id):
            self.stop()
        started = any(isinstance(event, DrillStarted) for _, event in batch.entries)
        if started and drill is not None and drill.kind in FAULTS:
            self._command_id = drill.command_id
            self._task = asyncio.create_task(self._run(drill), name=f"{drill.kind} drill")

    def stop(self) -> None:
        """End the fault that is being practised, if there is one."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, drill: Drill) -> None:
        try:
            measured = await FAULTS[drill.kind](self._bench, drill)
            if measured is None:
                return
            report = FaultReported(drill.command_id, dict(measured))
        except NotExercised as error:
            report = FaultReported(drill.command_id, problem=f"{error.message}. {error.remedy}", exercised=False)
        except GatehouseError as error:
            report = FaultReported(drill.command_id, problem=error.message)
        except Exception as error:
            _log.exception("the fault of a drill failed")
            report = FaultReported(drill.command_id, problem=f"{type(error).__name__} while the fault was practised")
        self._inbox.fact(report, self._bench.clock.monotonic_ns())
