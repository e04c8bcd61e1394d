"""What a run had covered when it was begun anew, and why. ``controller.core.fold.apply`` calls it after every event."""

from __future__ import annotations

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.lifecycle import Position
from controller.core.state import LostRun, State
from policies.values import replace


def noted(before: State, after: State, event: e.Event) -> State:
    """The state after an event, with the run that the event ended in vain, if it did."""
    old, new = before.tally, after.tally
    lost = before.lost_run
    if isinstance(event, e.ControllerStarted) and lost is not None and lost.at == before.at:
        # The move down came a moment before. Where it was for another version of gatehouse, this event says which.
        other = event.gatehouse_version != before.gatehouse_version
        return replace(after, lost_run=replace(lost, why=_why(before, event))) if other else after
    if old is new or (old is not None and new is not None and old.started_at == new.started_at):
        return after
    if isinstance(event, e.StageChanged) and _is_up(event):
        return replace(after, lost_run=None) if after.lost_run is not None else after
    if old is None or old.covered_ms == 0:
        return after
    return replace(after, lost_run=LostRun(after.at, before.position, old.covered_ms, old.orders, _why(before, event)))


def _is_up(event: e.StageChanged) -> bool:
    return event.cause in {Cause.ADVANCE, Cause.RAMP, Cause.RESUME}


def _why(before: State, event: e.Event) -> str:
    match event:
        case e.ReleaseAdopted():
            was = f"{before.release.name} {before.release.version}" if before.release is not None else "none"
            artifact = ", with another artifact" if was == f"{event.name} {event.version}" else ""
            why = f"the release changed from {was} to {event.name} {event.version}{artifact}"
        case e.PolicyAdopted():
            why = f"the policy changed from {before.policy_digest[:19]}… to {event.digest[:19]}…"
        case e.ControllerStarted():
            why = f"gatehouse changed from {before.gatehouse_version} to {event.gatehouse_version}"
        case e.DocumentProposed() | e.ProposalWithdrawn():
            why = f"the {event.document} in the file is not the one that was measured"
        case e.Rebaselined():
            why = f"the {event.venue} account has a new baseline"
        case e.StageChanged():
            move = f"{Position(event.from_stage, event.from_step)} → {Position(event.stage, event.step)}"
            why = f"{move} ({event.cause}): {event.reason}"
        case _:
            why = event.kind.replace("-", " ")
    return why
