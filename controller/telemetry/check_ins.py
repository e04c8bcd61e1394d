"""The monitors of Sentry (crons): what reports regularly, and how long Sentry waits before it says that one is missing.

``runtime.followers.check_ins`` and ``gatehouse backup create`` check in; ``controller.telemetry.sentry`` sends it. A process
that is gone sends nothing, and that is what Sentry notices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_SLUG_MOST = 50


class Status(StrEnum):
    """What a check-in says."""

    IN_PROGRESS = "in_progress"
    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor: a report every ``every`` ``unit``, at most ``margin_min`` late, done within ``longest_min``, both in minutes."""

    name: str
    every: int
    unit: str
    margin_min: int
    longest_min: int

    def slug(self, controller_id: str) -> str:
        """Its name in Sentry: of this controller, in the signs and the length that Sentry takes."""
        return re.sub(r"[^a-z0-9_-]+", "-", f"{controller_id}-{self.name}".lower())[-_SLUG_MOST:].strip("-_")

    @property
    def config(self) -> dict[str, object]:
        """What Sentry makes the monitor of with the first check-in."""
        return {
            "schedule": {"type": "interval", "value": self.every, "unit": self.unit},
            "checkin_margin": self.margin_min,
            "max_runtime": self.longest_min,
            "timezone": "UTC",
            "failure_issue_threshold": 1,
            "recovery_threshold": 1,
        }


HEARTBEAT = Monitor("heartbeat", 1, "minute", 2, 1)
"""The writer decides and orders can be placed. An error while HALTED or not armed."""

RECONCILIATION = Monitor("reconciliation", 5, "minute", 5, 1)
"""The books agree with the venue's. An error with the first difference."""

BACKUP = Monitor("backup", 1, "day", 120, 120)
"""A copy of the deployment was made."""


def drill_monitor(kind: str) -> Monitor:
    """The monitor of one kind of drill: the gate `live-ready` asks for one within 7 days."""
    return Monitor(f"drill-{kind}", 7, "day", 60, 10)
