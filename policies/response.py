"""What a broken guard does: every stage by every level, one table (architecture.md §3 and §6, execution-safety.md §6).

Levels up to REDUCE only restrain the bot while they stand. CANCEL_ALL is the soft breach: it also takes trust away, one rung, once
an episode. FLATTEN and HALT stop everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from exchange.model import Millis
from policies.guards import GuardName, Level
from policies.stage import RISK_ORDER, Stage

DAY_MS = 86_400_000

EPISODE_QUIET_MS = 600_000
"""A soft breach that comes back before the guards were quiet for this long is still the same one."""

EPISODE_LONGEST_MS = 3_600_000
"""A soft breach that stands, or comes and goes, for longer than this is another one."""

SOFT_MEMORY_MS = 7 * DAY_MS
"""Two automatic demotions within this time leave the ramp (execution-safety.md §6)."""


class Response(StrEnum):
    """What becomes of the deployment."""

    RESTRAIN = "restrain"
    CANCEL = "cancel"
    STEP_DOWN = "step-down"
    LEAVE_EMPTY = "leave-empty"
    HALT = "halt"
    HALT_AND_VOID = "halt-and-void"
    RECORD = "record"
    BAR = "bar"


MEANINGS: Mapping[Response, str] = MappingProxyType(
    {
        Response.RESTRAIN: "only sells while it stands",
        Response.CANCEL: "orders cancelled, none admitted while it stands",
        Response.STEP_DOWN: "orders cancelled, one rung down, once an episode",
        Response.LEAVE_EMPTY: "orders cancelled; then only sells until the live account is empty, and down to VALIDATED",
        Response.HALT: "HALTED",
        Response.HALT_AND_VOID: "HALTED, validation void",
        Response.RECORD: "recorded",
        Response.BAR: "recorded; refuses a resume",
    }
)
"""Every response in words."""


def _row(soft: Response, hard: Response, *, light: Response = Response.RESTRAIN) -> dict[Level, Response]:
    return {
        Level.NO_ENTRY: light,
        Level.REDUCE: light,
        Level.CANCEL_ALL: soft,
        Level.FLATTEN: hard,
        Level.HALT: hard,
    }


RESPONSES: Mapping[Stage, Mapping[Level, Response]] = MappingProxyType(
    {
        Stage.MOCK: _row(Response.CANCEL, Response.HALT),
        Stage.TESTNET_VALIDATING: _row(Response.CANCEL, Response.HALT),
        Stage.VALIDATED: _row(Response.STEP_DOWN, Response.HALT_AND_VOID),
        Stage.LIVE_EUR10: _row(Response.LEAVE_EMPTY, Response.HALT),
        Stage.RAMPING: _row(Response.STEP_DOWN, Response.HALT),
        Stage.HALTED: _row(Response.BAR, Response.BAR, light=Response.RECORD),
    }
)
"""What a guard at a level does at a stage."""

SOFT = frozenset({Response.STEP_DOWN, Response.LEAVE_EMPTY})
"""The responses that take a rung, once an episode."""

HARD = frozenset({Response.HALT, Response.HALT_AND_VOID})
"""The responses that stop everything, at once."""


def rung_below(stage: Stage, step: int, *, again: bool) -> tuple[Stage, int]:
    """Where a soft breach leads: a step or a stage down. ``again``: the second within ``SOFT_MEMORY_MS`` ends the ramp."""
    if stage is Stage.RAMPING and step > 1 and not again:
        return Stage.RAMPING, step - 1
    return RISK_ORDER[max(0, RISK_ORDER.index(stage) - 1)], 0


def same_episode(since: Millis, calm_since: Millis | None, now: Millis) -> bool:
    """Whether a soft breach that began at ``since`` still counts as the one that stands at ``now``."""
    quiet = calm_since is not None and now - calm_since >= EPISODE_QUIET_MS
    return not quiet and now - since < EPISODE_LONGEST_MS


_PASSES: Mapping[GuardName, str] = MappingProxyType(
    {
        GuardName.DAILY_LOSS: "It passes at {midnight}, when a new day begins, or before if the equity recovers.",
        GuardName.DRAWDOWN: "It passes when the equity recovers; a resume measures the next fall from where it stands then.",
        GuardName.QUOTE_STALE: "It passes when every symbol has fresh market data again.",
        GuardName.RECONCILIATION: "It passes when a reconciliation finds our books and the venue's the same.",
        GuardName.REJECT_RATE: "It passes when the refused orders have left the guard's window.",
        GuardName.UNKNOWN_ORDER: "It passes when the venue has proven the outcome of every order.",
        GuardName.CLOCK_OFFSET: "It passes when our clock and the venue's agree again.",
    }
)


def passes_when(guard: GuardName, now: Millis) -> str:
    """When a guard that stands at ``now`` can pass, as a sentence for an operator."""
    midnight = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=(now // DAY_MS + 1) * DAY_MS)
    return _PASSES[guard].format(midnight=f"{midnight:%Y-%m-%d %H:%M} UTC")
