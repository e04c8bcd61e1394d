"""The metrics of a replay of the recorded market to the bot, and why there are none. ``gates.signals`` makes the comparison.

``controller.core.decisions.evidence`` adds them to the bundle.
"""

from __future__ import annotations

from gates.computed import Run
from gates.metric import Metric
from gates.signals import Compared, Signals
from gates.statistics import ratio_down, upper_bound
from policies.rules import MetricName
from policies.schema import Performance


def metrics(run: Run, performance: Performance | None) -> tuple[Metric, ...]:
    """The metrics of the newest replay of the run. Without one they have no value, and the detail says why."""
    why = why_none(performance, run.tally.signals)
    compared = run.tally.signals.compared
    if why or compared is None:
        return tuple(run.metric(name, None, 0, detail=why) for name in _NAMES)
    at, judged = compared.as_of, compared.judged
    if compared.error:
        return tuple(run.metric(name, None, 0, at=at, error=compared.error[:200]) for name in _NAMES)
    most = upper_bound(judged - compared.agreed, judged)
    values = (
        (MetricName.REPLAY_PARITY_RATIO, ratio_down(compared.agreed, judged), judged),
        (MetricName.REPLAY_PARITY_LOWER, None if most is None else 1 - most, judged),
        (MetricName.REPLAY_COVERAGE_RATIO, ratio_down(compared.agreed + compared.only_run, compared.decided), compared.decided),
    )
    return tuple(run.metric(name, value, count, at=at, detail=detail(compared)) for name, value, count in values)


_NAMES = (MetricName.REPLAY_PARITY_RATIO, MetricName.REPLAY_PARITY_LOWER, MetricName.REPLAY_COVERAGE_RATIO)


def why_none(performance: Performance | None, signals: Signals) -> str:
    """Why nothing was compared in this run; empty when something was."""
    declared = None if performance is None else performance.replay
    if declared is None:
        return "not declared: the policy does not say in `performance.replay` whether the bot offers a replay of its signals"
    if not declared.offered:
        return "not offered: the policy declares that the bot offers no replay of its signals"
    return "" if signals.compared is not None else "the recorded market was not replayed to the bot in this run yet"


def detail(compared: Compared) -> str:
    """What is behind the figures, in numbers."""
    parts = [
        f"{compared.agreed} of {compared.judged} decisions are the same",
        f"{compared.only_run} were made in the run alone, {compared.only_replay} in the replay alone",
    ]
    if compared.unrecorded:
        parts.append(f"{compared.unrecorded} of {compared.decided} in the run were made while the market was not recorded")
    return "; ".join((*parts, compared.example)).rstrip("; ")
