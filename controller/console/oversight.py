"""What an operator sees of bot keys, of alerts that wait, and of practised halts. Part of ``controller.console.schema``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from exchange.ports import VenueName
from policies.stage import Stage


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BotKeyView(View):
    """A gateway key. ``problem`` says why an issued one does not open the gateway, and what to do; empty when it does."""

    bot: str
    key: str
    since_ms: int
    revoked: bool
    problem: str


class AlertView(View):
    """An alert nobody has acknowledged; it came ``times`` times."""

    id: str
    kind: str
    title: str
    detail: str
    at_ms: int
    times: int
    last_at_ms: int


class AcknowledgedView(View):
    """The alert that was acknowledged last, by whom and when."""

    id: str
    title: str
    persons: tuple[str, ...]
    at_ms: int


class DrillView(View):
    """A halt that is practised, or the last one that was. Durations in microseconds, -1 where not reached.

    ``ended_at_ms`` is absent while it runs. ``ended_by`` is empty when it ran its course; else it says what ended it, and nothing
    was measured.
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


class OversightView(View):
    """All of it. ``alerts_lost``: older outstanding alerts than those listed."""

    alerts: tuple[AlertView, ...] = ()
    alerts_lost: int = 0
    acknowledged: AcknowledgedView | None = None
    bot_keys: tuple[BotKeyView, ...] = ()
    drill: DrillView | None = None
    last_drill: DrillView | None = None
