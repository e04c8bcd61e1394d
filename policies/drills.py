"""The drills that exist, what each practises, and the metric by which a gate asks for it (architecture.md §6).

A drill breaks one thing on purpose in the running deployment and measures what gatehouse does. ``controller.core.decisions.drills``
decides about them; the gate ``live-ready`` asks how old the last green one of each kind is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policies.rules import MetricName

_SECOND = 1_000
_DAY = 86_400 * _SECOND

GREEN_FOR_MS = 7 * _DAY
"""How old a green drill may be in production. A policy can ask for younger ones, never for older ones."""


class DrillKind(StrEnum):
    """The kinds of drills. The value is the argument of ``gatehouse drill``."""

    HALT = "halt"
    KILL = "kill"
    CRASH = "crash"
    STALE = "stale"
    CLOCK = "clock"
    RATELIMIT = "ratelimit"
    AMBIGUOUS = "ambiguous"
    DISK = "disk"
    WATCHDOG = "watchdog"
    HANG = "hang"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class DrillSpec:
    """One kind of drill.

    ``does`` follows the words "runs a … drill:" and says what it breaks. ``within_ms``: without a proof after this time the
    deployment halts. ``metric`` is the age of the last green one; ``None``: no gate asks for it. ``live``: it may also run with
    real money in use, with nothing held and nothing open. ``stops``: no order is admitted from its start or its latch until it
    ends. ``beside``: it touches nothing of the running deployment, so it may run at every stage but HALTED, and when it fails
    nothing halts. In production gate ``live-ready`` has to ask for each one that has a metric.
    """

    does: str
    within_ms: int
    metric: MetricName | None
    live: bool = False
    stops: bool = False
    beside: bool = False


DRILLS: Mapping[DrillKind, DrillSpec] = MappingProxyType(
    {
        DrillKind.HALT: DrillSpec("every order is cancelled, and none is placed until it ends", 30 * _SECOND, None, stops=True),
        DrillKind.KILL: DrillSpec(
            "a thread stops and cancels every order without the writer, and none is placed until it ends",
            30 * _SECOND,
            MetricName.DRILL_KILL_AGE_MS,
            live=True,
            stops=True,
        ),
        DrillKind.CRASH: DrillSpec(
            "the controller's process is killed, and the next start reconciles what it left",
            120 * _SECOND,
            MetricName.DRILL_CRASH_AGE_MS,
        ),
        DrillKind.STALE: DrillSpec(
            "market data is withheld until orders are refused",
            60 * _SECOND,
            MetricName.DRILL_STALE_AGE_MS,
            live=True,
        ),
        DrillKind.CLOCK: DrillSpec(
            "the measured difference to the venue's clock is made too large until orders are refused",
            60 * _SECOND,
            MetricName.DRILL_CLOCK_AGE_MS,
        ),
        DrillKind.RATELIMIT: DrillSpec(
            "the testnet answers 429 to one query, and gatehouse waits",
            60 * _SECOND,
            MetricName.DRILL_RATELIMIT_AGE_MS,
        ),
        DrillKind.AMBIGUOUS: DrillSpec(
            "the testnet takes the bot's next order and loses the answer",
            120 * _SECOND,
            MetricName.DRILL_AMBIGUOUS_AGE_MS,
        ),
        DrillKind.DISK: DrillSpec(
            "the journal's file may not grow until its reserve is used", 120 * _SECOND, MetricName.DRILL_DISK_AGE_MS
        ),
        DrillKind.WATCHDOG: DrillSpec(
            "the controller sends no heartbeat until the watchdog has cancelled everything",
            240 * _SECOND,
            MetricName.DRILL_WATCHDOG_AGE_MS,
            live=True,
        ),
        DrillKind.HANG: DrillSpec(
            "the event loop is blocked until its watching thread stops orders", 30 * _SECOND, MetricName.DRILL_HANG_AGE_MS
        ),
        DrillKind.RESTORE: DrillSpec(
            "the newest backup is restored and replayed in a scratch folder",
            1_800 * _SECOND,
            MetricName.DRILL_RESTORE_AGE_MS,
            beside=True,
        ),
    }
)
"""All drills."""
