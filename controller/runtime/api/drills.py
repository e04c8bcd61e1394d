"""Drills as the console shows them. ``controller.runtime.api.views`` calls it for the status."""

from __future__ import annotations

from controller.console.drills import DrillNeeded, DrillView
from controller.core.state import Drill, DrillRecord, State
from policies.drills import DRILLS, DrillKind
from policies.rules import GateName, Op
from policies.schema import Policy


def drill_view(drill: Drill) -> DrillView:
    """The drill that runs now."""
    return DrillView(
        command_id=drill.command_id,
        venue=drill.venue,
        stage=drill.stage,
        since_ms=drill.since,
        deadline_ms=drill.deadline,
        denied=drill.denied,
        drill=drill.kind,
        latched=drill.latched,
    )


def record_view(record: DrillRecord, policy: Policy | None = None) -> DrillView:
    """A drill that ended, with its figures if it passed."""
    age_ms = None if policy is None else needed_age_ms(policy, record.drill.kind)
    view = drill_view(record.drill).model_copy(
        update={
            "ended_at_ms": int(record.at),
            "ended_by": record.ended_by,
            "exercised": record.exercised,
            "measured": dict(record.measured),
            "green_until_ms": int(record.at) + age_ms if age_ms is not None and record.green else None,
        }
    )
    figures = record.figures
    if figures is None:
        return view
    return view.model_copy(
        update={
            "breach_to_latch_us": figures.breach_to_latch_us,
            "latch_to_cancelled_us": figures.latch_to_cancelled_us,
            "cancelled": figures.cancelled,
            "verified_empty": figures.verified_empty,
        }
    )


def drill_views(state: State) -> tuple[DrillView, ...]:
    """The last drill of each kind."""
    return tuple(record_view(record, state.policy) for _, record in sorted(state.drills.items()))


def drills_needed(state: State) -> tuple[DrillNeeded, ...]:
    """The drills that the gate asks for and that have not run."""
    if state.policy is None:
        return ()
    ages = {kind: needed_age_ms(state.policy, kind) for kind in DrillKind if kind not in state.drills}
    return tuple(DrillNeeded(drill=kind, within_ms=age) for kind, age in ages.items() if age is not None)


def needed_age_ms(policy: Policy, kind: DrillKind) -> int | None:
    """How old a green drill may be at the gate ``live-ready``; ``None`` when no rule asks for it."""
    metric = DRILLS[kind].metric
    rules = [rule for rule in policy.gates.of(GateName.LIVE_READY) if rule.metric is metric and rule.op in {Op.AT_MOST, Op.BELOW}]
    return min((int(rule.threshold) for rule in rules), default=None)
