"""What one rehearsal consists of: its script, and everything that runs in it. ``run`` builds it, and ``faults`` strike in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.rehearsal.bots import Bot, BotPort
from controller.rehearsal.controller import InsideController
from controller.rehearsal.folder import Folder
from controller.rehearsal.network import Sites
from controller.rehearsal.operators import Operators
from controller.rehearsal.policy import Plan
from controller.rehearsal.time import VirtualClock, VirtualLoop
from controller.rehearsal.venues import InsideVenue
from controller.rehearsal.watchdog import InsideWatchdog
from policies.stage import Stage


@dataclass(frozen=True, slots=True)
class Script:
    """What is rehearsed. ``until``: the stage at which it ends. ``policy``: its text, else one that fits the hours.

    ``faults`` are names of ``controller.rehearsal.faults``.
    """

    directory: Path
    tapes: tuple[Path, ...]
    hours: float
    seed: int
    bot: Bot
    until: Stage = Stage.LIVE_EUR10
    policy: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Rehearsal:
    """Everything that runs in one rehearsal."""

    script: Script
    plan: Plan
    loop: VirtualLoop
    clock: VirtualClock
    sites: Sites
    folder: Folder
    venues: Mapping[str, InsideVenue]
    controller: InsideController
    watchdog: InsideWatchdog
    operators: Operators
    port: BotPort
    struck: list[str] = field(default_factory=list)
