"""The survivors that somebody has judged, and what a run of ``make mutate`` makes of them.

A mutant is named by its file, its function and the lines that change, because its number moves with every edit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SURVIVORS = Path(__file__).parent / "survivors.toml"
WHERE = "ops/mutation/survivors.toml"
AT_LEAST = 90.0
"""The score below which a run fails, in percent of all mutants. A judged survivor counts as a survivor."""


@dataclass(frozen=True, order=True)
class Mutant:
    """One change: what the lines were and what they become, without their indentation."""

    file: str
    function: str
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.file}, {self.function}\n  - {self.was}\n  + {self.becomes}"


@dataclass(frozen=True)
class Judged:
    """A survivor that may survive, and why."""

    mutant: Mutant
    why: str


@dataclass
class Tally:
    """What became of the mutants of one file."""

    killed: int = 0
    survived: list[Mutant] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many mutants there were."""
        return self.killed + len(self.survived)

    @property
    def score(self) -> float:
        """How many of them were killed, in percent."""
        return 100.0 * self.killed / self.total if self.total else 100.0


def read(path: Path = SURVIVORS) -> tuple[Judged, ...]:
    """The judged survivors."""
    entries = tomllib.loads(path.read_text()).get("survivor", [])
    return tuple(
        Judged(Mutant(entry["file"], entry["function"], entry["was"], entry["becomes"]), entry["why"].strip()) for entry in entries
    )


def outdated(judged: Iterable[Judged], root: Path) -> list[Mutant]:
    """Those whose lines are no longer in their file."""
    return [one.mutant for one in judged if not _holds(root / one.mutant.file, one.mutant.was)]


def report(tallies: dict[str, Tally], judged: Sequence[Judged], *, whole: bool) -> tuple[list[str], bool]:
    """The lines to print, and whether the run is a success.

    Only a ``whole`` run can tell that a judged survivor survives no longer.
    """
    lines = [f"{tally.score:5.1f} %  {tally.killed:4} of {tally.total:4}  {file}" for file, tally in sorted(tallies.items())]
    both = Tally(sum(tally.killed for tally in tallies.values()), [one for tally in tallies.values() for one in tally.survived])
    known = {one.mutant for one in judged}
    unjudged = [one for one in both.survived if one not in known]
    gone = sorted(known - set(both.survived)) if whole else []
    if unjudged:
        lines += ["", f"These survive and are not judged. Write the test that kills them, or judge them in {WHERE}:"]
        lines += [str(mutant) for mutant in sorted(unjudged)]
    if gone:
        lines += ["", f"These are judged but survive no longer. Remove them from {WHERE}:"]
        lines += [str(mutant) for mutant in gone]
    counts = f"{len(both.survived)} survive, {len(unjudged)} of them not judged"
    lines += ["", f"{both.score:5.1f} %  {both.killed:4} of {both.total:4}  in all; {counts}"]
    enough = both.score >= AT_LEAST
    if not enough:
        lines.append(f"The score is below {AT_LEAST:.0f} %.")
    return lines, enough and not unjudged and not gone


def _holds(path: Path, text: str) -> bool:
    if not path.is_file():
        return False
    lines = [line.strip() for line in path.read_text().splitlines()]
    wanted = text.splitlines()
    return any(lines[at : at + len(wanted)] == wanted for at in range(len(lines)))
