"""One showing of the demo: set up, tell the story, stay or leave, and always take every process down again."""

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
_STORY = (
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
    """Tell the whole story.

    Raises:
        GatehouseError: a step did not go as it must; every process has been ended by then.
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP before the story was told.
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
            "A trading bot is taken from mock money to real orders, one proven stage at a time, "
            "and off the market when a rule breaks.\n"
            f"Everything happens on this machine, in {place}\nEvery number below is measured while you watch.",
            title="gatehouse demo",
            title_align="left",
            border_style="dim",
        )
    )
    for line in moved:
        narrator.say(line)
    try:
        for part in _STORY:
            part(scene)
            fleet.check()
        if stay:
            _stay(scene)
    finally:
        _no_more_interruptions()
        fleet.stop()


def _stay(scene: Scene) -> None:
    scene.narrator.say(f"Everything stays up; the console is at {scene.console_url}. Ctrl-C ends it.")
    try:
        while True:
            scene.fleet.check()
            time.sleep(1)
    except KeyboardInterrupt:
        scene.narrator.say("Ended.")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature is Python's
    raise KeyboardInterrupt


def _no_more_interruptions() -> None:
    # Taking the processes down must not be cut short by an impatient second Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
