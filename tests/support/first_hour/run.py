"""``make first-hour``: builds the package, installs it in a fresh Debian that is booted, and runs ops/docs/first-hour.md there.

Each command of the page has to end and print as the page says. It needs root and a mirror of Debian, takes some minutes, stops at
the first command that ends otherwise, and leaves nothing but the tools that it installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ops.deb.__main__ import build as build_package
from ops.deb.bootstrap import NotBuilt, install_tools
from ops.deb.tree import TARGETS
from tests.support.first_hour import machine
from tests.support.runbooks import Step, steps
from tests.support.tidiness import ROOT

PAGE = ROOT / "ops/docs/first-hour.md"
WITHIN_S = 300
"""How long one command may take."""


def main() -> int:
    """Run the page. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debian", type=int, choices=sorted(TARGETS), default=12)
    parser.add_argument("--package", type=Path, help="a package that is built already")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        print("first-hour: it unpacks and boots a Debian, so it has to run as root")
        return 1
    # As Ctrl-C does, so that the machine and its files are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = steps(PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="first-hour-") as scratch:
        try:
            return tried(wanted, fresh(Path(scratch), chosen.debian, chosen.package))
        except (NotBuilt, SystemExit) as error:
            print(f"first-hour: {error}")
            return 1


def fresh(scratch: Path, debian: int, package: Path | None) -> Path:
    """The files of a fresh Debian, with the package in root's home. Raises ``NotBuilt``."""
    root = scratch / "root"
    say("looking for mmdebstrap and systemd-nspawn, and installing what is missing")
    install_tools(machine.TOOLS)
    if package is None:
        say(f"building the package for Debian {debian}")
        package = build_package(TARGETS[debian], scratch)
    say(f"building a Debian {debian}")
    machine.build(root, debian)
    shutil.copy(package, root / "root")
    return root


def tried(wanted: Sequence[Step], root: Path) -> int:
    """Boot, run the commands, and print how each ended. Returns the exit code."""
    say(f"booting it, then {len(wanted)} commands of {PAGE.relative_to(ROOT)}")
    with closing(machine.run_in(root, [step.command for step in wanted], WITHIN_S)) as running:
        for number, (step, end) in enumerate(zip(wanted, running, strict=False)):
            print(f"first-hour: {number + 1:2}/{len(wanted)} {end.seconds:6.1f} s  {step.command}", flush=True)
            if problem := compared(step, end):
                print(
                    f"first-hour: {problem}\n--- its output:\n{end.output[-6_000:]}\n--- what the units said:\n{journal_of(root)}"
                )
                print(f"first-hour: {number} of {len(wanted)} commands ended as the page says, the next one did not")
                return 1
    print(f"first-hour: {len(wanted)} of {len(wanted)} commands ended as the page says")
    return 0


def compared(step: Step, end: machine.Ended) -> str:
    """What differs from what the page says of one command; empty when nothing does."""
    if end.exit_code is None:
        return f"it had not ended after {WITHIN_S} s, and was stopped"
    missing = [text for text in step.prints if text not in end.output]
    if end.exit_code not in step.exits:
        return f"it ended with exit code {end.exit_code}, and the page says {' or '.join(map(str, sorted(step.exits)))}"
    return f"it did not print {', '.join(map(repr, missing))}" if missing else ""


def journal_of(root: Path) -> str:
    """The end of what the units said."""
    try:
        return machine.journal(root)[-8_000:]
    except NotBuilt as error:
        return str(error)


def say(what: str) -> None:
    """One line of progress, with the time of day."""
    print(f"first-hour: {time.strftime('%H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
