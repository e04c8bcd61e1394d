"""``make first-hour``: builds the package, installs it in a fresh Debian that is booted, and runs ops/docs/first-hour.md there.

Each command of the page has to end and print as the page says. It needs root, takes some minutes, and fails where it cannot run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ops.deb.__main__ import build as build_package
from ops.deb.bootstrap import NotBuilt
from ops.deb.tree import TARGETS
from tests.support.first_hour import machine
from tests.support.runbooks import Step, steps
from tests.support.tidiness import ROOT

PAGE = ROOT / "ops/docs/first-hour.md"
WITHIN_S = 1200


def main() -> int:
    """Run the page, and print each command that ended otherwise. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debian", type=int, choices=sorted(TARGETS), default=12)
    parser.add_argument("--package", type=Path, help="a package that is built already")
    chosen = parser.parse_args()
    wanted = steps(PAGE.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="first-hour-") as scratch:
        root = Path(scratch) / "root"
        try:
            package = chosen.package or build_package(TARGETS[chosen.debian], Path(scratch))
            print(f"first-hour: building a Debian {chosen.debian}")
            machine.build(root, chosen.debian)
            shutil.copy(package, root / "root")
            ended = machine.run_in(root, [step.command for step in wanted], WITHIN_S)
        except NotBuilt as error:
            print(f"first-hour: {error}")
            return 1
        failed = [line for step, end in zip(wanted, ended, strict=False) for line in compared(step, end)]
        if failed or len(ended) < len(wanted):
            journal = root / "root/results/journal"
            print(journal.read_text(errors="replace")[-8_000:] if journal.exists() else "first-hour: it was stopped from outside")
    return report(wanted, ended, failed)


def compared(step: Step, end: machine.Ended) -> list[str]:
    """What differs from what the page says of one command."""
    if end.exit_code in step.exits and all(text in end.output for text in step.prints):
        return []
    missing = [text for text in step.prints if text not in end.output]
    return [f"{step.command}\n  exit code {end.exit_code}, not printed: {missing}\n{end.output[-3_000:]}"]


def report(wanted: Sequence[Step], ended: Sequence[machine.Ended], failed: Sequence[str]) -> int:
    """Print the end, and return the exit code."""
    for line in failed:
        print(f"first-hour: {line}")
    if len(ended) < len(wanted):
        print(f"first-hour: after {WITHIN_S} s this had not ended: {wanted[len(ended)].command}")
    print(f"first-hour: {len(ended) - len(failed)} of {len(wanted)} commands ended as the page says")
    return 0 if len(ended) == len(wanted) and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
