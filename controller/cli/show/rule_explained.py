"""What a rule of the next gate measures and what would make it pass, with numbers. ``explain`` and ``explanations`` call it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from rich.text import Text

from controller.cli.shared.client import OperatorClient
from controller.cli.shared.output import styled
from controller.cli.show.explanation import Explanation
from controller.console.run_view import quantity
from controller.console.schema import GateView, RuleView
from exchange.errors import UsageError
from gates.spans import span
from policies.rules import METRICS, GateName, MetricName

_RISES, _FALLS = {">=": "at least", ">": "more than"}, {"<=": "at most", "<": "less than", "==": "exactly"}


def is_rule(name: str) -> bool:
    """Whether what follows ``explain gate`` names a rule: it is there and no gate."""
    return bool(name) and name not in {gate.value for gate in GateName}


def explain_rule(directory: Path, name: str) -> Explanation:
    """Explain one rule of the next gates, as the running controller judges it now. Raises ``UsageError`` for another name."""
    with OperatorClient(directory) as client:
        gates = client.gates()
    found = [(gate, rule) for gate in gates for rule in gate.rules if name in {rule.id, rule.metric}]
    if not found:
        known = ", ".join(rule.id for gate in gates for rule in gate.rules) or "none"
        raise UsageError(
            f"no gate that leads up from here has a rule {name!r}", code="unknown-subject", remedy=f"These are the rules: {known}."
        )
    document = {"now": [{"gate": gate.gate, **rule.model_dump(mode="json")} for gate, rule in found]}
    return Explanation(document, tuple(line for gate, rule in found for line in _lines(gate, rule)))


def wanted_line(rule: RuleView) -> Text:
    """One line for a rule that does not pass: what would make it pass."""
    return Text(f"  {rule.id}: {makes_it_pass(rule)}")


def makes_it_pass(rule: RuleView) -> str:
    """What would make a rule pass, as a sentence with numbers."""
    word = {**_RISES, **_FALLS}.get(rule.op, rule.op)
    needed = f"{rule.metric} has to be {word} {quantity(rule.threshold, rule.unit)}"
    now = f"it is {quantity(rule.measured, rule.unit)} now" if rule.measured else "nothing is measured yet"
    return f"{needed}; {now}. {_sentence(rule.outlook or rule.explanation)}"


def _lines(gate: GateView, rule: RuleView) -> list[Text]:
    meaning = METRICS[MetricName(rule.metric)].meaning
    lines = [
        Text.assemble(f"rule {rule.id} of gate {gate.gate}  ", styled(rule.verdict)),
        Text(f"  It measures {meaning}."),
        Text(f"  {rule.explanation}."),
    ]
    if rule.verdict == "PASS":
        return [*lines, Text("  Nothing is missing.")]
    lines.append(Text(f"  To pass, {makes_it_pass(rule)}"))
    if rule.chance == "lost":
        lines.append(Text(f"  {gate.hopeless}", "bold red"))
    if rule.per_hour:
        lines.append(Text(f"  The present pace is {_pace(rule)} an hour, measured over the whole run."))
    return lines


def _pace(rule: RuleView) -> str:
    in_observations = rule.chance == "coming" and rule.unit != "count" and rule.metric != MetricName.COVERED_MS
    return span(int(Decimal(rule.per_hour))) if rule.unit == "ms" and not in_observations else rule.per_hour


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
