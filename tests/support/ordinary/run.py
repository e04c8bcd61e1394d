"""Plays an ordinary week on a production deployment in a private world. `make ordinary` runs it."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.ordinary import world

INSIDE = "tests.support.ordinary.run"


def main() -> int:
    """The command line: make the world, and play in it."""
    options = _options()
    if options.inside is not None:
        return asyncio.run(_play(options))
    if reason := world.why_not():
        print(f"skipped: {reason}")
        return 0
    directory = Path(tempfile.mkdtemp(prefix="ordinary-"))
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
    parser.add_argument("--only", default="", help="only events whose name has this in it")
    parser.add_argument("--short", action="store_true", help="end at TESTNET_VALIDATING")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


async def _play(options: argparse.Namespace) -> int:
    from policies.stage import Mode
    from tests.support.ordinary.events import GENTLE, VALIDATING
    from tests.support.ordinary.scene import scene
    from tests.support.ordinary.week import POSITIONS, Week

    # MEXC is another machine, so its stand-in is not starved with the rest.
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    failed = 0
    for mode in (Mode.SOLO, Mode.TEAM) if options.mode == "both" else (Mode(options.mode),):
        async with scene(options.inside, mode) as here:
            week = Week(here, [event for event in GENTLE if not options.only or options.only in event.name])
            print(f"{mode}: from MOCK to RAMPING step 1")
            try:
                await week.play((VALIDATING,) if options.short else POSITIONS)
            finally:
                print(week.table() if week.rows else "no event was played", flush=True)
            failed += sum(bool(row.problem) for row in week.rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
