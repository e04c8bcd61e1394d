"""What a production gate would say of a rehearsed run: each figure of its report beside the rule that production must have.

A comparison and no verdict: the evidence of a rehearsal opens no production gate. ``controller.cli.rehearse`` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from policies.numbers import text
from policies.required import VALIDATION_RULES, RequiredRule
from policies.rules import Op

PASS, FAIL, NO_DATA = "pass", "FAIL", "no data"
_SIGN = {Op.AT_LEAST: "≥", Op.AT_MOST: "≤"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One rule: its metric, what was measured (empty without a value), what production asks for, and whether it holds."""

    metric: str
    measured: str
    asked: str
    samples: int
    verdict: str


def compared(document: Mapping[str, Any]) -> tuple[Compared, ...]:
    """Each required rule of ``validation``, with the figures of a report's document. A figure that is missing is ``NO_DATA``."""
    rows: Sequence[Mapping[str, Any]] = (*document["measured"], *document["statistics"]["rows"])
    figures = {row["name"]: row for row in rows}
    return tuple(_judged(rule, figures.get(rule.metric.value, {})) for rule in VALIDATION_RULES)


def _judged(rule: RequiredRule, figure: Mapping[str, Any]) -> Compared:
    value = figure.get("value")
    verdict = NO_DATA
    if value not in {None, ""}:
        verdict = PASS if rule.op.holds(Decimal(str(value)), rule.bound) else FAIL
    asked = f"{_SIGN.get(rule.op, rule.op.value)} {text(rule.bound)}"
    return Compared(rule.metric.value, "" if verdict == NO_DATA else str(value), asked, figure.get("samples", 0), verdict)
