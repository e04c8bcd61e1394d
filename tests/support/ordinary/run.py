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
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


async def _play(options: argparse.Namespace) -> int:
    from policies.stage import Mode
    from tests.support.ordinary.climbing import NEEDED, climb, drill, why
    from tests.support.ordinary.scene import scene
    import time

    t0 = time.monotonic()
    def say(*words: object) -> None:
        print(f"{time.monotonic() - t0:7.1f}", *words, flush=True)

    os.setpriority(os.PRIO_PROCESS, 0, -10)
    async with scene(options.inside, Mode(options.mode)) as here:
        await here.start()
        status = await here.until(lambda s: True, within=60)
        say(status["position"], status["not_armed_because"])
        await here.armed()
        say("armed")
        await here.trade()
        try:
            await climb(here, "TESTNET_VALIDATING")
            say("TV")
            for kind in NEEDED:
                say(kind, await drill(here, kind))
            await climb(here, "VALIDATED")
            say("VALIDATED")
            await climb(here, "LIVE_€10")
            say("LIVE")
            await climb(here, "RAMPING 1")
        finally:
            status = await here.status()
            say(status["position"], status["halt_reason"], status["guard_level"], await why(here))
            say(here.books.most, status["exposure_eur"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
