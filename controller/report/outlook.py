"""Says for each rule of a gate what would make it pass, and by when at the present pace. ``document`` calls it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from controller.report.words import instant, span, value_words
from exchange.model import Millis
from gates.verdict import Verdict
from policies.numbers import WIDE
from policies.rules import METRICS, MetricName

_WORST_OF_RUN = frozenset({
    MetricName.LONGEST_GAP_MS, MetricName.LONGEST_UNKNOWN_MS, MetricName.DRAWDOWN_FRACTION, MetricName.CLOCK_OFFSET_MAX_MS,
    MetricName.RECONCILIATION_BREAKS, MetricName.DENIED_ORDERS,
})  # fmt: skip
"""Metrics that never get better while a run goes on."""


def what_would_pass(rule: Mapping[str, Any], since: Millis, now: Millis) -> str:
    """One sentence for a rule of ``gates.engine.result_document``; empty when it passes. ``since``: the start of the run."""
    verdict = Verdict(rule["verdict"])
    if verdict is Verdict.PASS:
        return ""
    if verdict is Verdict.NO_DATA and str(rule["explanation"]).endswith("was not measured in this run"):
        return "a first measurement: there is none in this run yet"
    if verdict in {Verdict.FAIL, Verdict.INCONCLUSIVE} and rule["measured"]:
        return _change(rule, verdict, since, now)
    return str(rule["explanation"])


def _change(rule: Mapping[str, Any], verdict: Verdict, since: Millis, now: Millis) -> str:
    name, unit = MetricName(rule["metric"]), str(rule["unit"])
    measured, threshold = Decimal(rule["measured"]), Decimal(rule["threshold"])
    if rule["op"] in {">=", ">"} and METRICS[name].accumulates and measured < threshold:
        return _more(measured, threshold, unit, since, now)
    if verdict is Verdict.INCONCLUSIVE:
        missing = int(rule["min_samples"]) - int(rule["samples"])
        return f"{missing} more observations" if missing > 0 else str(rule["explanation"])
    if name in _WORST_OF_RUN:
        return f"only a new run: this is the worst value of the run, and it must be {_limit(rule)}"
    change = "fall" if measured > threshold else "rise"
    return f"it must {change} by {value_words(abs(measured - threshold), unit)}, to {value_words(threshold, unit)}"


def _more(measured: Decimal, threshold: Decimal, unit: str, since: Millis, now: Millis) -> str:
    missing = threshold - measured
    words = f"{value_words(missing, unit)} more"
    if measured <= 0 or now <= since:
        return f"{words}; there is no pace yet to say by when"
    left = int(WIDE.multiply(missing, WIDE.divide(Decimal(now - since), measured)))
    return f"{words}: at the present pace in {span(left)}, by {instant(Millis(now + left))}"


def _limit(rule: Mapping[str, Any]) -> str:
    words = {"<=": "at most", ">=": "at least", "==": "exactly", "<": "below", ">": "above"}
    return f"{words[rule['op']]} {value_words(Decimal(rule['threshold']), str(rule['unit']))}"
