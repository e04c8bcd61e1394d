"""What a run still needs to pass a gate, by when at its present pace, and what it can never pass any more. Views show it.

It judges nothing: the verdicts are the engine's. The pace is what was measured so far by the time that the run has lasted, so an
instant is a forecast and no promise; where nothing came so far there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, localcontext
from enum import StrEnum

from exchange.model import Millis
from gates.engine import GateResult, RuleResult
from gates.measure import Tally
from gates.spans import moment, span
from gates.verdict import Verdict
from policies.numbers import WIDE, text
from policies.rules import METRICS, MetricName, Op, Unit
from policies.schema import GateRule
from policies.stage import Stage

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_ENOUGH_MS = 60_000
"""A run that is shorter has no pace yet."""

NEVER_FALLS = frozenset(
    {
        MetricName.LONGEST_GAP_MS,
        MetricName.LONGEST_UNKNOWN_MS,
        MetricName.LONGEST_ROTATION_GAP_MS,
        MetricName.RECONCILIATION_BREAKS,
        MetricName.DENIED_ORDERS,
        MetricName.CLOCK_OFFSET_MAX_MS,
        MetricName.DRAWDOWN_FRACTION,
        MetricName.SOFT_BREACHES,
        MetricName.FORM_REJECTS,
    }
) | {name for name, spec in METRICS.items() if spec.accumulates}
"""Metrics that only grow during a run. One that is over its limit stays over it."""


class Chance(StrEnum):
    """What can become of a rule in this run. COMING: time alone brings it, at the present pace. LOST: it can never pass."""

    PASSES = "passes"
    COMING = "coming"
    OPEN = "open"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The outlook of one rule. ``line`` says what is missing; ``missing`` is how much, in ``unit``, and ``by`` when it is there.

    ``per_hour`` is the present pace of what is missing. Each is absent where it is not known.
    """

    rule: str
    chance: Chance
    line: str
    missing: Decimal | None = None
    unit: Unit | None = None
    per_hour: Decimal | None = None
    by: Millis | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the covered time of a run is. ``eta`` is absent where ``why_no_eta`` says why."""

    eta: Millis | None
    why_no_eta: str


def progress(tally: Tally, target_ms: int, now: Millis) -> Progress:
    """When ``target_ms`` are covered, if time goes on to be covered as it was so far."""
    missing = target_ms - tally.covered_ms
    if missing <= 0:
        return Progress(None, "the time is covered")
    if tally.total_ms < _ENOUGH_MS:
        return Progress(None, "the run is too young for a forecast")
    if tally.covered_ms <= 0:
        return Progress(None, "no time is covered yet, so there is no pace")
    return Progress(Millis(now + _ceiling(Decimal(missing) * tally.total_ms, tally.covered_ms)), "")


def outlooks(result: GateResult, tally: Tally | None, now: Millis) -> tuple[Outlook, ...]:
    """The outlook of every rule of a gate, in its order."""
    return tuple(outlook(rule, tally, now) for rule in result.rules)


def outlook(rule: RuleResult, tally: Tally | None, now: Millis) -> Outlook:
    """What becomes of one rule in this run."""
    if rule.verdict is Verdict.PASS:
        return Outlook(rule.rule, Chance.PASSES, "")
    if rule.verdict in {Verdict.STALE, Verdict.INVALID, Verdict.ERROR} or tally is None or not rule.measured:
        return Outlook(rule.rule, Chance.OPEN, _without_value(rule))
    return _of_value(rule, Decimal(rule.measured), Decimal(rule.threshold), tally, now)


def _of_value(rule: RuleResult, value: Decimal, threshold: Decimal, tally: Tally, now: Millis) -> Outlook:
    if rule.op.holds(value, threshold):
        return _observations(rule, tally, now)
    if rule.metric in NEVER_FALLS and value >= threshold and rule.op is not Op.ABOVE:
        over = f"{_amount(value, rule.unit)} is over {_amount(threshold, rule.unit)} for good"
        return Outlook(rule.rule, Chance.LOST, f"cannot pass in this run any more: {over}")
    if rule.metric is MetricName.COVERAGE_RATIO and rule.op in {Op.AT_LEAST, Op.ABOVE}:
        return _coverage(rule, tally, threshold, now)
    if rule.metric is MetricName.REJECT_RATIO and rule.op in {Op.AT_MOST, Op.BELOW}:
        return _rejects(rule, tally, threshold, now)
    if METRICS[rule.metric].accumulates:
        return _growing(rule, tally, threshold - value, value, now)
    way = "fall" if value > threshold else "rise"
    return Outlook(rule.rule, Chance.OPEN, f"has to {way} from {_amount(value, rule.unit)} to {_amount(threshold, rule.unit)}")


def lost_rules(rules: Iterable[GateRule], tally: Tally) -> tuple[str, ...]:
    """The rules that can never pass in this run any more, by what the tally alone says: it is cheap enough for every status."""
    measured: Mapping[MetricName, Decimal | int | None] = {
        MetricName.LONGEST_GAP_MS: tally.longest_gap_ms,
        MetricName.LONGEST_UNKNOWN_MS: tally.longest_unknown_ms,
        MetricName.LONGEST_ROTATION_GAP_MS: tally.streams.rotation_gap_ms,
        MetricName.RECONCILIATION_BREAKS: tally.reconciliation_breaks,
        MetricName.DENIED_ORDERS: tally.denials,
        MetricName.CLOCK_OFFSET_MAX_MS: tally.clock_offset_max_ms,
        MetricName.DRAWDOWN_FRACTION: tally.drawdown,
        MetricName.SOFT_BREACHES: tally.soft_breaches,
        MetricName.FORM_REJECTS: tally.form_rejects,
    }
    return tuple(
        rule.id
        for rule in rules
        if (value := measured.get(rule.metric)) is not None
        and rule.op in {Op.AT_MOST, Op.BELOW, Op.EQUAL}
        and not rule.op.holds(Decimal(value), rule.threshold)
        and value >= rule.threshold
    )


def start_over(stage: Stage) -> str:
    """The commands that begin a run anew which cannot pass any more."""
    if stage is Stage.MOCK:
        return "`gatehouse halt`, then `gatehouse reset --key KEY --reason WHY`"
    if stage is Stage.HALTED:
        return "`gatehouse reset --key KEY --reason WHY`"
    before = {Stage.TESTNET_VALIDATING: Stage.MOCK, Stage.VALIDATED: Stage.TESTNET_VALIDATING}.get(stage, Stage.VALIDATED)
    up = "the way up again" if stage is Stage.RAMPING else "`gatehouse advance --key KEY --reason WHY`"
    return f"`gatehouse demote --to {before} --key KEY --reason WHY`, then {up}"


def _without_value(rule: RuleResult) -> str:
    if rule.verdict is not Verdict.NO_DATA or ": " in rule.explanation:
        return rule.explanation
    if rule.metric.startswith("drill_"):
        drill = rule.metric.removeprefix("drill_").removesuffix("_age_ms")
        return f"run `gatehouse drill {drill} --key KEY --reason WHY`"
    return "nothing is measured yet"


def _observations(rule: RuleResult, tally: Tally, now: Millis) -> Outlook:
    missing = Decimal(rule.min_samples - rule.samples)
    line, per_hour, by = _forecast(missing, Decimal(rule.samples), tally, now, f"{missing} more observations")
    return Outlook(rule.rule, Chance.COMING, f"good so far; {line}", missing, Unit.COUNT, per_hour, by)


def _growing(rule: RuleResult, tally: Tally, missing: Decimal, value: Decimal, now: Millis) -> Outlook:
    if rule.metric in {MetricName.MIDNIGHTS, MetricName.DRILLS_IN_RUN}:
        return _by_calendar_or_hand(rule, missing, now)
    line, per_hour, by = _forecast(missing, value, tally, now, f"{_amount(missing, rule.unit)} more", unit=rule.unit)
    return Outlook(rule.rule, Chance.COMING if by is not None else Chance.OPEN, line, missing, rule.unit, per_hour, by)


def _by_calendar_or_hand(rule: RuleResult, missing: Decimal, now: Millis) -> Outlook:
    """Midnights come by themselves, and drills only when somebody runs them."""
    if rule.metric is MetricName.DRILLS_IN_RUN:
        line = f"{text(missing)} more kinds; run `gatehouse drill KIND --key KEY --reason WHY` (`gatehouse status` names them)"
        return Outlook(rule.rule, Chance.OPEN, line, missing, rule.unit)
    by = Millis((now // _DAY_MS + int(missing)) * _DAY_MS)
    line = f"{text(missing)} more; by {moment(by, now)} if each is covered"
    return Outlook(rule.rule, Chance.COMING, line, missing, rule.unit, None, by)


def _coverage(rule: RuleResult, tally: Tally, threshold: Decimal, now: Millis) -> Outlook:
    """After how much time without a gap the fraction is there: (covered + t) / (total + t) = threshold."""
    if threshold >= 1:
        return Outlook(rule.rule, Chance.LOST, "cannot pass in this run any more: a gap is never made up for")
    with localcontext(WIDE):
        missing = Decimal(_ceiling(threshold * tally.total_ms - tally.covered_ms, 1 - threshold))
    by = Millis(now + int(missing))
    line = f"{span(int(missing))} without a gap, until {moment(by, now)} at the earliest"
    return Outlook(rule.rule, Chance.COMING, line, missing, Unit.MILLISECONDS, None, by)


def _rejects(rule: RuleResult, tally: Tally, threshold: Decimal, now: Millis) -> Outlook:
    """How many orders without a rejection bring the ratio down: rejects / (orders + n) = threshold."""
    if threshold <= 0:
        return Outlook(rule.rule, Chance.LOST, "cannot pass in this run any more: a rejection is never undone")
    missing = Decimal(_ceiling(tally.rejects, threshold) - tally.orders)
    line, per_hour, by = _forecast(missing, Decimal(tally.orders), tally, now, f"{missing} more orders without a rejection")
    return Outlook(rule.rule, Chance.COMING if by is not None else Chance.OPEN, line, missing, Unit.COUNT, per_hour, by)


def _forecast(
    missing: Decimal, value: Decimal, tally: Tally, now: Millis, what: str, unit: Unit = Unit.COUNT
) -> tuple[str, Decimal | None, Millis | None]:
    """A sentence, the pace, and when ``missing`` is there, where ``value`` came in the time of the run so far."""
    elapsed = max(int(tally.total_ms), 0)
    if elapsed < _ENOUGH_MS:
        return f"{what}; the run is too young for a forecast", None, None
    if value <= 0:
        return f"{what}; none came in {span(elapsed)}, so no time can be named", Decimal(0), None
    with localcontext(WIDE):
        per_hour = value * _HOUR_MS / elapsed
        by = Millis(now + _ceiling(missing * elapsed, value))
    pace = f"{span(int(per_hour))} an hour" if unit is Unit.MILLISECONDS else f"{_short(per_hour)} an hour"
    return f"{what}; at {pace} by {moment(by, now)}", per_hour, by


def _amount(value: Decimal, unit: Unit) -> str:
    if unit is Unit.MILLISECONDS:
        return span(int(value))
    return f"{text(value)} {unit.value.upper()}" if unit is Unit.EUR else text(value)


def _short(value: Decimal) -> str:
    return text(value.quantize(Decimal("0.1" if value >= 1 else "0.01")))


def _ceiling(value: Decimal | int, by: Decimal | int) -> int:
    with localcontext(WIDE):
        return max(0, int((Decimal(value) / Decimal(by)).to_integral_value(ROUND_CEILING)))
