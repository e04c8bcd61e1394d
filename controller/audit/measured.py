"""Computes the statistics of a run again from the journal, and compares them with those that the journal holds (ADR 60).

``controller.audit.replay`` uses it. The digest of the series is compared for every ``RunMeasured``. The figures take seconds, so
they are computed again where something was decided with them, in evidence that was sealed, and for the newest ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from controller.core import events as e
from controller.core.decisions.measured import journalled
from controller.core.state import State
from exchange.errors import IntegrityError
from exchange.model import Millis
from gates.computed import Statistic
from gates.series import RunSeries
from policies.rules import STATISTICS
from policies.schema import Performance

Compute = Callable[[RunSeries, Performance | None, int], tuple[Statistic, ...]]

KEPT_MS = 300_000
"""How far before a ``RunMeasured`` the entry may be that its series is of: longer than a computation may take."""


@dataclass(frozen=True, slots=True)
class _Then:
    seq: int
    at: Millis
    series: RunSeries
    covered_ms: int
    performance: Performance | None


@dataclass(frozen=True, slots=True)
class _Open:
    seq: int
    event: e.RunMeasured
    then: _Then


class Remeasured:
    """Follows a replay and checks its statistics. ``compute`` makes the figures of a series."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._recent: deque[_Then] = deque()
        self._open: _Open | None = None
        self.recomputed = 0

    def followed(self, state: State) -> None:
        """Remember what the series were after one more entry."""
        tally = state.tally
        if tally is None:
            self._recent.clear()
            return
        performance = state.policy.performance if state.policy is not None else None
        self._recent.append(_Then(state.seq, state.at, tally.series, tally.covered_ms, performance))
        while state.at - self._recent[0].at > KEPT_MS and len(self._recent) > 1:
            self._recent.popleft()

    def measured(self, event: e.RunMeasured, seq: int) -> None:
        """Check what a ``RunMeasured`` says it was computed from.

        Raises:
            IntegrityError: the journal says something else about that entry.
        """
        then = next((one for one in reversed(self._recent) if one.seq == event.as_of_seq), None)
        if then is None:
            raise _differs(f"the statistics in entry {seq} are of entry {event.as_of_seq}, which is of no use to the present run")
        found = (int(then.series.started_at), int(then.at), then.covered_ms)
        said = (event.run_started_at, event.as_of, event.covered_ms)
        if found != said:
            raise _differs(f"the statistics in entry {seq} name another run, time or covered time than entry {event.as_of_seq} has")
        if event.error:
            self._open = None
            return
        if then.series.digest() != event.series_digest:
            raise _differs(f"the statistics in entry {seq} are of another series than the journal has at entry {event.as_of_seq}")
        self._open = _Open(seq, event, then)

    def relied_on(self) -> None:
        """Compute the newest statistics again: something is decided with them, or the replay ends.

        Raises:
            IntegrityError: a figure differs; the message names it.
        """
        if self._open is None:
            return
        measured, self._open = self._open, None
        then = measured.then
        ours = {one.name: one for one in journalled(self._compute(then.series, then.performance, then.covered_ms))}
        theirs = {one.name: one for one in measured.event.figures if one.name in STATISTICS}
        self.recomputed += 1
        for name in sorted(ours.keys() | theirs.keys()):
            mine, other = ours.get(name), theirs.get(name)
            if mine != other:
                raise _differs(
                    f"{name} in entry {measured.seq} is {_shown(other)}, and computed again from the journal it is {_shown(mine)}"
                )


def _shown(figure: e.Figure | None) -> str:
    if figure is None:
        return "absent"
    value = "not known" if figure.value is None else format(figure.value, "f")
    return f"{value} from {figure.samples} observations"


def _differs(why: str) -> IntegrityError:
    return IntegrityError(
        why,
        code="statistics-differ",
        remedy="Halt, keep a copy of the journal unchanged, and replay it with the version of gatehouse that wrote it.",
    )
