"""Runs the demo: sets it up, plays the chapters and always ends every process. ``demo.verb`` calls this."""

from __future__ import annotations

import signal
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.panel import Panel

from controller.cli.demo import chapters, finale
from controller.cli.demo.fleet import Fleet, free_ports
from controller.cli.demo.narrator import Narrator
from controller.cli.demo.scene import Scene
from controller.cli.setup.deployment import write_deployment
from controller.cli.shared.output import stdout

_WIDTH = 120
_CHAPTERS = (
    chapters.venues,
    chapters.controller,
    chapters.bot,
    chapters.to_testnet,
    chapters.to_validated,
    chapters.to_live,
    chapters.over_the_cap,
    chapters.to_ramping,
    finale.breach,
    finale.accounts,
)


def run_demo(directory: Path | None, *, stay: bool) -> None:
    """Play every chapter.

    Raises:
        GatehouseError: a step failed; every process has ended by then.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP before the last chapter ended.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    place = (directory if directory is not None else Path(tempfile.mkdtemp(prefix="gatehouse-demo-"))).resolve()
    ports, moved = free_ports()
    write_deployment(place, ports)
    fleet = Fleet(place)
    narrator = Narrator(stdout(pipe_width=_WIDTH), fleet, place)
    scene = Scene(place, ports, fleet, narrator)
    narrator.console.print(
        Panel(
            "A trading bot goes from mock money to real orders, stage by stage, with evidence, "
            "and is halted when a guard is breached.\n"
            f"Everything runs on this machine, in {place}\nEvery number below is measured in this run.",
            title="gatehouse demo",
            title_align="left",
            border_style="dim",
        )
    )
    for line in moved:
        narrator.say(line)
    try:
        for part in _CHAPTERS:
            part(scene)
            fleet.check()
        if stay:
            _stay(scene)
    finally:
        _no_more_interruptions()
        fleet.stop()


def _stay(scene: Scene) -> None:
    scene.narrator.say(f"The demo keeps running; the console is at {scene.console_url}. Ctrl-C ends it.")
    try:
        while True:
            scene.fleet.check()
            time.sleep(1)
    except KeyboardInterrupt:
        scene.narrator.say("Ended.")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature is Python's
    raise KeyboardInterrupt


def _no_more_interruptions() -> None:
    # A second Ctrl-C must not stop the end of the processes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
