"""The frame of every bench: rounds in which gatehouse and a peer alternate, and lines with result and goal.

Every figure is a ratio from one run on one machine; absolute numbers depend on the machine. No test asserts these numbers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, float]
"""The figures of one round, by name."""

Round = Callable[[int], Figures]


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal in words, and a function that says whether the medians reach it."""

    text: str
    met: Callable[[float, float], bool]
    """Its arguments are gatehouse's median and the median ratio (0 without a peer)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. ``ours`` and ``peer`` name figures of a round; the ratio is ours to peer."""

    what: str
    unit: str
    ours: str
    peer: str = ""
    peer_name: str = ""
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True, slots=True)
class Contest:
    """One bench. ``open`` sets it up for a size factor (normally 1) and returns the round.

    ``most_rounds`` is for what takes long or is the same in every round; a bench with one round has no warm-up. ``stages`` names
    the bench whose stages and floors explain what this one misses.
    """

    name: str
    lines: tuple[Line, ...]
    open: Callable[[float], AbstractContextManager[Round]]
    most_rounds: int = 0
    stages: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one or more values."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line with its measured values, or with the reason why there are none."""

    line: Line
    ours: Spread | None
    peer: Spread | None
    ratio: Spread | None
    missing: str = ""

    @property
    def met(self) -> bool | None:
        """Whether every goal was reached in this run; ``None`` without a goal. What was not measured reached none."""
        if not self.line.goals:
            return None
        ours = self.ours
        if ours is None:
            return False
        return all(goal.met(ours.median, self.ratio.median if self.ratio else 0.0) for goal in self.line.goals)


def _nobody_looks(_: str) -> None:
    """Where no progress is shown."""


def run(contest: Contest, rounds: int, size: float, progress: Callable[[str], None] = _nobody_looks) -> list[Outcome]:
    """Run one warm-up round, then ``rounds`` measured rounds. ``progress`` is told what begins."""
    rounds = min(rounds, contest.most_rounds or rounds)
    progress("setting up")
    with contest.open(size) as one_round:
        if contest.most_rounds != 1:
            progress("warming up")
            one_round(0)
        figures = []
        for number in range(1, rounds + 1):
            progress(f"round {number} of {rounds}")
            figures.append(one_round(number))
        progress("ending")
    return [_outcome(line, figures) for line in contest.lines]


def not_run(contest: Contest, why: str) -> list[Outcome]:
    """The lines of a bench that could not run."""
    return [Outcome(line, None, None, None, why) for line in contest.lines]


def row_of(bench: str, outcome: Outcome) -> dict[str, Any]:
    """An outcome as it is written to JSON. All that is printed and drawn is made from these."""

    def spread(one: Spread | None) -> dict[str, float] | None:
        return None if one is None else {"median": one.median, "min": one.least, "max": one.most}

    line = outcome.line
    return {
        "bench": bench,
        "what": line.what,
        "unit": line.unit,
        "ours": spread(outcome.ours),
        "peer": spread(outcome.peer),
        "peer_name": line.peer_name,
        "ratio": spread(outcome.ratio),
        "goals": [goal.text for goal in line.goals],
        "met": outcome.met,
        "missing": outcome.missing,
    }


def seconds(work: Callable[[], object]) -> float:
    """The time that ``work`` takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def turns(number: int, ours: Callable[[], Figures], peer: Callable[[], Figures]) -> dict[str, float]:
    """Run both; which one begins alternates from round to round."""
    first, second = (ours, peer) if number % 2 else (peer, ours)
    return {**first(), **second()}


def _outcome(line: Line, figures: Sequence[Figures]) -> Outcome:
    ours = [one[line.ours] for one in figures]
    if not line.peer:
        return Outcome(line, Spread.of(ours), None, None)
    peer = [one[line.peer] for one in figures]
    return Outcome(
        line, Spread.of(ours), Spread.of(peer), Spread.of([mine / theirs for mine, theirs in zip(ours, peer, strict=True)])
    )
