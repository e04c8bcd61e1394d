"""``make mutate``: change the code that guards money in small ways, and see whether a unit test notices every change.

    python -m ops.mutation [--every N] [FILE ...]

``FILE`` limits it to some files, and ``--every N`` to every Nth change: an estimate in a fraction of the time.
``ops/mutation/README.md`` says how to read the report.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Few examples, because every mutant runs them again.
os.environ["HYPOTHESIS_PROFILE"] = "mutation"

from mutmut.configuration import config

from ops.mutation import mutants, trying
from ops.mutation.judging import Mutant, Tally, read, report

TREE = Path("mutants")
WORKERS = 2
WITHIN_S = 30 * 60
"""A run that takes longer fails."""
KILLED = frozenset({trying.KILLED, trying.TIMED_OUT})
EVERY_S = 20.0
"""How often it says how far it is."""


class Progress:
    """Prints what survives and how far it is, and says when there is no more time."""

    def __init__(self, described: dict[str, Mutant]) -> None:
        self._described = described
        self._tried = self._surviving = 0
        self._begun = self._printed = time.monotonic()

    def __call__(self, name: str, outcome: str) -> bool:
        """Called after every mutant."""
        now = time.monotonic()
        self._tried += 1
        if outcome not in KILLED:
            self._surviving += 1
            print(f"{outcome}: {self._described[name]}", flush=True)
        if now - self._printed > EVERY_S or self._tried == len(self._described):
            self._printed = now
            counts = f"{self._tried} of {len(self._described)} tried, {self._surviving} survive"
            print(f"{now - self._begun:5.0f} s  {counts}", flush=True)
        return now - self._begun < WITHIN_S


def main(arguments: list[str]) -> int:
    """Make the mutants, try them, and judge what survives; 1 when that is not good enough."""
    parser = argparse.ArgumentParser(prog="python -m ops.mutation")
    parser.add_argument("files", nargs="*", metavar="FILE", help="change only these files")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try every Nth change only")
    asked = parser.parse_args(arguments)
    settings, names = config(), asked.files or mutants.files()
    written = mutants.write(names, TREE.absolute(), WORKERS)
    described = dict(list(written.items())[:: asked.every])
    print(f"{len(described)} of {len(written)} mutants of {len(names)} files", flush=True)
    trial = trying.Trial(list(described), WORKERS, Progress(described))
    folders = {trying.folder(name.replace("/", ".")) for name in names}
    tests = [test for test in settings.pytest_add_cli_args_test_selection if f"{test}/".startswith(tuple(folders))]
    trying.attempt(trial, TREE.absolute(), tests, settings.pytest_add_cli_args)
    lines, good = report(
        tallies(described, trial.outcomes), read(), whole=len(described) == len(written) and not asked.files and not trial.problem
    )
    print("", *lines, *filter(None, [trial.problem]), sep="\n")
    return 0 if good and not trial.problem else 1


def tallies(described: dict[str, Mutant], outcomes: dict[str, str]) -> dict[str, Tally]:
    """What became of the mutants of each file."""
    found: dict[str, Tally] = {}
    for name, mutant in described.items():
        if name not in outcomes:
            continue
        tally = found.setdefault(mutant.file, Tally())
        if outcomes[name] in KILLED:
            tally.killed += 1
        else:
            tally.survived.append(mutant)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
