"""Plays an ordinary week on a production deployment in a private world; `make ordinary` runs it.

With ``ORDINARY_SECONDS``, or as `make soak MINUTES=30`, it is a long run in real time instead: a busy bot, a loaded machine, a few
faults in the middle third, and curves of what each process takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.ordinary import world

if TYPE_CHECKING:
    from tests.support.ordinary.scene import Scene

INSIDE = "tests.support.ordinary.run"

SHORT_WAIT_S = 30.0
"""In the short form a run begins anew rather than wait 20 times as long as its start took, which is longer on a slow machine."""


def main() -> int:
    """The command line: make the world, and play in it."""
    options = _options()
    if options.inside is not None:
        return asyncio.run(_play(options))
    if reason := world.why_not():
        print(f"skipped: {reason}")
        return 0
    directory = Path(tempfile.mkdtemp(prefix="ordinary-"))
    # The world ends with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = world.enter(directory, ["-m", INSIDE, "--inside", str(directory), *sys.argv[1:]])
    try:
        return subprocess.run(command, env=os.environ | world.environment(directory), check=False).returncode
    finally:
        if options.keep:
            print(f"kept: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=("solo", "team", "both"), default="both")
    parser.add_argument("--keep", action="store_true", help="keep the deployment's files")
    parser.add_argument("--only", default="", help="only events whose name has one of these words in it, comma between")
    parser.add_argument("--skip", help="not the events whose name has this in it")
    parser.add_argument("--at", default="", help="only events at positions whose name has this in it")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("ORDINARY_SECONDS") or 0), help="a long run instead")
    parser.add_argument("--minutes", type=float, default=0, help="the same in minutes")
    parser.add_argument("--burners", type=int, default=os.cpu_count() or 2, help="busy processes beside a long run")
    parser.add_argument("--short", action="store_true", help="a few events, at TESTNET_VALIDATING only")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.seconds = options.minutes * 60 or options.seconds
    return options


async def _play(options: argparse.Namespace) -> int:
    from policies.stage import Mode
    from tests.support.ordinary.events import PATIENT_LEASE_S
    from tests.support.ordinary.load import favour
    from tests.support.ordinary.scene import LEASE_S, scene

    favour()
    ended_well = True
    for mode in (Mode.SOLO, Mode.TEAM) if options.mode == "both" else (Mode(options.mode),):
        async with scene(options.inside, mode, lease_s=PATIENT_LEASE_S if options.short else LEASE_S) as here:
            if options.seconds:
                ended_well &= await _soak(here, options)
            else:
                ended_well &= await _week(here, options)
    return 0 if ended_well else 1


async def _week(here: Scene, options: argparse.Namespace) -> bool:
    from tests.support.ordinary.events import EVENTS, SHORT, VALIDATING, patiently
    from tests.support.ordinary.week import POSITIONS, Week

    events = [
        one
        for one in EVENTS
        if any(word in one.name for word in options.only.split(",")) and (one.name in SHORT or not options.short)
    ]
    events = [one for one in events if not options.skip or options.skip not in one.name]
    if options.short:
        events, here.longest_wait_s = [patiently(one) for one in events], SHORT_WAIT_S
    week = Week(here, events, [one for one in POSITIONS if options.at in one])
    positions = (VALIDATING,) if options.short else POSITIONS
    print(f"{here.mode}: from MOCK to {positions[-1]}", flush=True)
    try:
        await week.play(positions)
    finally:
        print(week.table() if week.rows else "no event was played", flush=True)
    return bool(week.rows) and not any(row.problem for row in week.rows)


async def _soak(here: Scene, options: argparse.Namespace) -> bool:
    from tests.support.ordinary.soak import Soak

    print(f"{here.mode}: {options.seconds:.0f} s in real time", flush=True)
    return await Soak(here, options.seconds, options.burners, world.ROOT / "var" / "soak" / f"{here.mode}.html").run()


if __name__ == "__main__":
    sys.exit(main())
