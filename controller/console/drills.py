"""Drills as the operator API answers them. Part of ``controller.console.schema``."""

from __future__ import annotations

from pydantic import Field

from controller.console.view import View
from exchange.ports import VenueName
from policies.drills import DrillKind
from policies.stage import Stage


class DrillView(View):
    """A drill: the running one, or the last one of its kind.

    ``ended_at_ms`` is absent while it runs. ``ended_by`` is empty when the drill passed; otherwise it says what ended it, and
    nothing was measured. Without ``exercised`` its fault could not be practised. Durations in ``…_us`` are microseconds of a drill
    that latched, -1 where not reached. ``measured`` are the figures of the other drills, by name. ``green_until_ms`` is until when
    the gate counts it; absent when it does not count, or when no gate asks for it.
    """

    command_id: str
    venue: VenueName
    stage: Stage
    since_ms: int
    deadline_ms: int
    denied: int
    drill: DrillKind = DrillKind.HALT
    latched: bool = True
    ended_at_ms: int | None = None
    ended_by: str = ""
    exercised: bool = True
    breach_to_latch_us: int = -1
    latch_to_cancelled_us: int = -1
    cancelled: int = 0
    verified_empty: bool = False
    measured: dict[str, int] = Field(default_factory=dict)
    green_until_ms: int | None = None


class DrillNeeded(View):
    """A drill that the gate ``live-ready`` asks for and that has not run since what it proves last changed."""

    drill: DrillKind
    within_ms: int
