"""Real money needs a checkpoint target outside the folder: who can write to the folder can write to the journal (ADR 34).

``commands`` asks before a move to a live stage, ``boot`` at a start. No policy and no flag lifts it.
"""

from __future__ import annotations

from controller.core.causes import Cause
from controller.core.decisions import moves
from controller.core.decisions.draft import Draft
from controller.core.lifecycle import Position
from controller.core.state import State
from exchange.errors import Refused
from policies.stage import LIVE_STAGES, Environment

_MISSING = "no checkpoint target outside the deployment's folder can be read back, so a journal that was cut could not be told"
_REMEDY = (
    "Add one to gatehouse.toml and restart; the easiest is `witnesses` with a directory that another machine mounts "
    "(ops/docs/checkpoints.md)."
)


def check(state: State, target: Position) -> None:
    """Refuse a move to real money while nobody outside the folder knows how long the journal is. Raises ``Refused``."""
    if _needed(state, target) and not state.witnesses:
        raise Refused(f"{target} is refused: {_MISSING}", code="no-checkpoint-target", remedy=_REMEDY)


def halt_without(draft: Draft) -> None:
    """Halt a deployment that starts with real money and without a target."""
    state = draft.after
    if _needed(state, state.position) and not state.witnesses:
        moves.halt(draft, cause=Cause.INTEGRITY, reason=f"{_MISSING}. {_REMEDY}")


def _needed(state: State, where: Position) -> bool:
    return state.environment is Environment.PRODUCTION and where.stage in LIVE_STAGES
