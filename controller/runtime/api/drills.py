"""Halt drills as the console shows them. ``controller.runtime.api.views`` calls it for the status."""

from __future__ import annotations

from controller.console.drills import DrillView
from controller.core.state import Drill, DrillRecord


def drill_view(drill: Drill) -> DrillView:
    """The drill that runs now."""
    return DrillView(
        command_id=drill.command_id,
        venue=drill.venue,
        stage=drill.stage,
        since_ms=drill.since,
        deadline_ms=drill.deadline,
        denied=drill.denied,
    )


def record_view(record: DrillRecord) -> DrillView:
    """A drill that ended, with its figures if it completed."""
    view = drill_view(record.drill).model_copy(update={"ended_at_ms": int(record.at), "ended_by": record.ended_by})
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
