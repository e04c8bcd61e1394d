"""Bot keys, alerts and drills as the console's views show them. Reads only."""

from __future__ import annotations

from collections.abc import Callable

from controller.console.oversight import AcknowledgedView, AlertView, BotKeyView, DrillView, OversightView
from controller.core.state import Drill, DrillRecord, State


def oversight_view(state: State, key_problem: Callable[[str], str]) -> OversightView:
    """Everything a human must look after. ``key_problem``: why an issued key does not open the gateway."""
    last = state.acknowledged[-1] if state.acknowledged else None
    keys = sorted(state.bot_keys.values(), key=lambda one: (one.bot, one.since, one.key))
    return OversightView(
        alerts=tuple(
            AlertView(
                id=one.id,
                kind=one.kind.value,
                title=one.title,
                detail=one.detail,
                at_ms=one.at,
                times=one.times,
                last_at_ms=one.last_at,
            )
            for one in state.alerts
        ),
        alerts_lost=state.alerts_lost,
        acknowledged=AcknowledgedView(id=last.id, title=last.title, persons=last.persons, at_ms=last.at) if last else None,
        bot_keys=tuple(
            BotKeyView(
                bot=one.bot,
                key=one.key,
                since_ms=one.since,
                revoked=one.revoked,
                problem="" if one.revoked else key_problem(one.key),
            )
            for one in keys
        ),
        drill=_drill(state.drill) if state.drill else None,
        last_drill=_record(state.last_drill) if state.last_drill else None,
    )


def _drill(drill: Drill) -> DrillView:
    return DrillView(
        command_id=drill.command_id,
        venue=drill.venue,
        stage=drill.stage,
        since_ms=drill.since,
        deadline_ms=drill.deadline,
        denied=drill.denied,
    )


def _record(record: DrillRecord) -> DrillView:
    view = _drill(record.drill).model_copy(update={"ended_at_ms": int(record.at), "ended_by": record.ended_by})
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
