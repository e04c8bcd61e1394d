"""Short rehearsals for tests, in this process and on the recorded tape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from controller.cli.rehearse.parts import processes
from controller.rehearsal.bots import load_bot
from controller.rehearsal.run import Rehearsal, Result, Script, rehearse
from policies.stage import Stage
from tests.support.rig import TAPE

__all__ = ["TAPE", "rehearsed"]


def rehearsed(
    directory: Path,
    *,
    hours: float,
    seed: int = 7,
    until: str = "LIVE_€10",
    tapes: tuple[Path, ...] = (TAPE,),
    on_look: Callable[[Rehearsal, dict[str, Any]], None] = lambda *_: None,
) -> Result:
    """A rehearsal in ``directory``, which does not exist yet."""
    return rehearse(Script(directory, tapes, hours, seed, load_bot(None), Stage(until)), processes(), on_look)
