"""The frame of every bench: rounds in which gatehouse and a peer alternate, and lines with result and goal.

Every figure is a ratio from one run on one machine; absolute numbers depend on the machine. No test asserts these numbers.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

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
    """One bench. ``open`` sets it up for a size factor (normally 1) and returns the round."""

    name: str
    lines: tuple[Line, ...]
    open: Callable[[float], AbstractContextManager[Round]]


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

    def text(self) -> str:
        """``1234 [1200..1300]``."""
        return f"{_short(self.median)} [{_short(self.least)}..{_short(self.most)}]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line with its measured values."""

    line: Line
    ours: Spread
    peer: Spread | None
    ratio: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether every goal was reached in this run; ``None`` without a goal."""
        if not self.line.goals:
            return None
        return all(goal.met(self.ours.median, self.ratio.median if self.ratio else 0.0) for goal in self.line.goals)


def run(contest: Contest, rounds: int, size: float) -> list[Outcome]:
    """Run one warm-up round, then ``rounds`` measured rounds."""
    with contest.open(size) as one_round:
        one_round(0)
        figures = [one_round(number) for number in range(1, rounds + 1)]
    return [_outcome(line, figures) for line in contest.lines]


def table(outcomes: Sequence[Outcome]) -> str:
    """The results as a Markdown table."""
    rows = ["| what | ours | peer in the same run | ours / peer | goal | met |", "|---|---|---|---|---|---|"]
    for one in outcomes:
        peer = f"{one.peer.text()} ({one.line.peer_name})" if one.peer else ""
        met = {None: "", True: "yes", False: "**no**"}[one.met]
        goals = "; ".join(goal.text for goal in one.line.goals)
        ratio = one.ratio.text() if one.ratio else ""
        rows.append(f"| {one.line.what} | {one.ours.text()} {one.line.unit} | {peer} | {ratio} | {goals} | {met} |")
    return "\n".join(rows)


def write_json(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the results as JSON."""

    def spread(one: Spread | None) -> dict[str, float] | None:
        return None if one is None else {"median": one.median, "min": one.least, "max": one.most}

    rows = [
        {
            "what": one.line.what,
            "unit": one.line.unit,
            "ours": spread(one.ours),
            "peer": spread(one.peer),
            "ratio": spread(one.ratio),
            "goals": [goal.text for goal in one.line.goals],
            "met": one.met,
        }
        for one in outcomes
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


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


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
