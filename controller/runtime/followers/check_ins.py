"""Checks in with Sentry from durable batches: the heartbeat, reconciliations, drills. ``bootstrap.metrics`` makes one."""

from __future__ import annotations

from controller.core import events as e
from controller.core.state import State
from controller.runtime.loop.writer import CommittedBatch
from controller.telemetry.check_ins import HEARTBEAT, RECONCILIATION, Monitor, Status, drill_monitor
from controller.telemetry.sentry import Reports

EVERY_NS = 60_000_000_000
"""How often something that goes on being well or ill is reported."""


class CheckIns:
    """One process's check-ins. What changes is reported at once."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._last: dict[Monitor, tuple[Status, int]] = {}
        self._drills: dict[str, tuple[str, int]] = {}
        self._stage = ""

    def on_batch(self, batch: CommittedBatch) -> None:
        """Report what a durable batch shows."""
        now_ns, after = batch.durable_ns, batch.after
        if after.position.stage.value != self._stage:
            self._stage = after.position.stage.value
            self._reports.at_stage(self._stage)
        self._report(HEARTBEAT, _heartbeat(after), now_ns)
        for event in (*(event for _, event in batch.entries), *batch.measured):
            match event:
                case e.Reconciled():
                    self._report(RECONCILIATION, Status.ERROR if event.breaks else Status.OK, now_ns)
                case e.DrillStarted():
                    monitor = drill_monitor(event.drill.value)
                    self._drills[event.command_id] = self._reports.check_in(monitor, Status.IN_PROGRESS), now_ns
                case e.DrillFinished() | e.DrillFailed():
                    self._end_drill(event, now_ns)
                case _:
                    continue

    def _report(self, monitor: Monitor, status: Status, now_ns: int) -> None:
        last = self._last.get(monitor)
        if last is None or last[0] is not status or now_ns - last[1] >= EVERY_NS:
            self._last[monitor] = status, now_ns
            self._reports.check_in(monitor, status)

    def _end_drill(self, event: e.DrillFinished | e.DrillFailed, now_ns: int) -> None:
        check_in_id, began_ns = self._drills.pop(event.command_id, ("", now_ns))
        status = Status.OK if isinstance(event, e.DrillFinished) else Status.ERROR
        self._reports.check_in(
            drill_monitor(event.drill.value), status, check_in_id=check_in_id, duration_s=(now_ns - began_ns) / 1e9
        )


def _heartbeat(state: State) -> Status:
    return Status.OK if state.may_send_orders else Status.ERROR
