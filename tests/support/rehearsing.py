"""Short rehearsals for tests, in this process and on the recorded tape."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from controller.cli.rehearse.parts import processes
from controller.rehearsal.bots import load_bot
from controller.rehearsal.run import Result, rehearse
from controller.rehearsal.scene import Rehearsal, Script
from policies.stage import Stage
from tests.support.rig import TAPE

__all__ = ["TAPE", "bars", "rehearsed"]


def bars(path: Path, minutes: int = 30) -> Path:
    """A quiet market of one-minute bars: it moves up and down by 0.02 %, so that both sides of a small maker are filled."""
    lines = ["timestamp,open,high,low,close,volume"]
    price = Decimal(60_000)
    for minute in range(minutes):
        step = Decimal(12) if minute % 2 else Decimal(-12)
        low, high = min(price, price + step) - 30, max(price, price + step) + 30
        lines.append(f"{1_736_000_000_000 + minute * 60_000},{price},{high},{low},{price + step},12")
        price += step
    path.write_text("\n".join(lines) + "\n")
    return path


def rehearsed(
    directory: Path,
    *,
    hours: float,
    seed: int = 7,
    until: str = "LIVE_€10",
    tapes: tuple[Path, ...] = (TAPE,),
    faults: tuple[str, ...] = (),
    on_look: Callable[[Rehearsal, dict[str, Any]], None] = lambda *_: None,
) -> Result:
    """A rehearsal in ``directory``, which does not exist yet."""
    return rehearse(Script(directory, tapes, hours, seed, load_bot(None), Stage(until), faults=faults), processes(), on_look)
