"""What the controller does when a guard is breached: one table, stage by level (architecture.md §3 and §6, execution-safety.md §6).

Levels up to REDUCE only restrict the bot's orders while they are in force. CANCEL_ALL is a soft breach: it also demotes the
deployment by one step or stage, once per breach window. FLATTEN and HALT stop everything; after FLATTEN
gatehouse sells what it bought. A guard that only does not see demotes nothing without real money: it cancels (ADR 39).
``controller.core.decisions.guards`` reads the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from exchange.model import Millis
from policies.guards import GuardName, Level
from policies.stage import RISK_ORDER, WITHOUT_REAL_MONEY, Stage

DAY_MS = 86_400_000

BREACH_CALM_MS = 600_000
"""A breach window closes when no guard was at CANCEL_ALL for this long (10 minutes)."""

BREACH_WINDOW_MAX_MS = 3_600_000
"""A breach window closes this long after it opened (1 hour), even if the breach goes on."""

DEMOTION_MEMORY_MS = 7 * DAY_MS
"""A second demotion within this time (7 days) ends the ramp (execution-safety.md §6)."""


class Response(StrEnum):
    """What happens to the deployment."""

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
        Response.RESTRAIN: "only sells while it is in force",
        Response.CANCEL: "orders cancelled, none admitted while it is in force",
        Response.STEP_DOWN: "orders cancelled, one step or stage down, once per breach window",
        Response.LEAVE_EMPTY: "orders cancelled; only sells until the live account is empty, then down to VALIDATED",
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


def response_to(stage: Stage, level: Level, *, unseen: bool) -> Response:
    """What a guard does at a stage. ``unseen``: nothing bad was measured, only nothing new."""
    pauses = unseen and level is Level.CANCEL_ALL and stage in WITHOUT_REAL_MONEY
    return Response.CANCEL if pauses else RESPONSES[stage][level]


SOFT = frozenset({Response.STEP_DOWN, Response.LEAVE_EMPTY})
"""The responses that demote the deployment, once per breach window."""

HARD = frozenset({Response.HALT, Response.HALT_AND_VOID})
"""The responses that stop everything at once."""


def demotion_target(stage: Stage, step: int, *, again: bool) -> tuple[Stage, int]:
    """The stage and step a soft breach demotes to. ``again``: it is the second demotion within ``DEMOTION_MEMORY_MS``."""
    if stage is Stage.RAMPING and step > 1 and not again:
        return Stage.RAMPING, step - 1
    return RISK_ORDER[max(0, RISK_ORDER.index(stage) - 1)], 0


def in_same_breach_window(since: Millis, calm_since: Millis | None, now: Millis) -> bool:
    """Whether a soft breach at ``now`` falls into the breach window that opened at ``since``."""
    calm = calm_since is not None and now - calm_since >= BREACH_CALM_MS
    return not calm and now - since < BREACH_WINDOW_MAX_MS


_PASSES: Mapping[GuardName, str] = MappingProxyType(
    {
        GuardName.DAILY_LOSS: "It passes at {midnight}, when a new day begins, or earlier if the equity recovers.",
        GuardName.DRAWDOWN: "It passes when the equity recovers; a resume measures the next drawdown from the equity then.",
        GuardName.QUOTE_STALE: "It passes when every symbol has fresh market data again.",
        GuardName.RECONCILIATION: "It passes when a reconciliation finds no difference between our books and the venue's.",
        GuardName.REJECT_RATE: "It passes when the rejected orders are older than the guard's time window.",
        GuardName.UNKNOWN_ORDER: "It passes when the venue has proven the outcome of every order.",
        GuardName.FEE_ASSET: "It passes at once; switch off paying fees with MX at the venue, or the next trade halts again.",
        GuardName.TESTNET_IDENTITY: "It passes when the testnet itself answers with a statement that agrees with our books.",
        GuardName.CLOCK_OFFSET: "It passes when our clock and the venue's agree again.",
    }
)


def passes_when(guard: GuardName, now: Millis) -> str:
    """A sentence for an operator: when a guard that is breached at ``now`` passes."""
    midnight = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=(now // DAY_MS + 1) * DAY_MS)
    return _PASSES[guard].format(midnight=f"{midnight:%Y-%m-%d %H:%M} UTC")
