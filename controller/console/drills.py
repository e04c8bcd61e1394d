"""Halt drills as the operator API answers them. Part of ``controller.console.schema``."""

from __future__ import annotations

from controller.console.view import View
from exchange.ports import VenueName
from policies.stage import Stage


class DrillView(View):
    """A halt drill: the running one, or the last one. Durations are in microseconds, -1 where not reached.

    ``ended_at_ms`` is absent while it runs. ``ended_by`` is empty when the drill completed; otherwise it says what ended it, and
    nothing was measured.
    """

    command_id: str
    venue: VenueName
    stage: Stage
    since_ms: int
    deadline_ms: int
    denied: int
    ended_at_ms: int | None = None
    ended_by: str = ""
    breach_to_latch_us: int = -1
    latch_to_cancelled_us: int = -1
    cancelled: int = 0
    verified_empty: bool = False
