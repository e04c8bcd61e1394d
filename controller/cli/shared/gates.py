"""Shows a gate as a table: rules, measured values and thresholds (architecture.md §6). Status, reports and errors use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import styled, table
from controller.console.schema import GateView, RuleView


def gate_table(gate: GateView) -> Table:
    """One gate as a table of rule, measured value, threshold and verdict."""
    title = Text.assemble("gate ", (gate.gate, "bold"), f"  {gate.from_position} → {gate.to_position}  ", styled(gate.verdict))
    title.append_text(_attestation(gate.attestation))
    rows = ((*_row(rule), _outlook(rule)) for rule in gate.rules)
    result = table(("rule", "measured", "threshold", "verdict", "what is missing"), rows, right=("measured", "threshold"))
    result.title = title
    return result


def rule_lines(gate: GateView) -> list[Text]:
    """Why rules fail that need more than time, what is left of what the policy declares, and whether the run can pass."""
    failing = [rule for rule in gate.rules if rule.verdict == "FAIL" and rule.chance in {"", "open"}]
    lines = [Text(f"  {line}") for line in (*(f"{rule.id}: {rule.explanation}" for rule in failing), *gate.declared)]
    return [*lines, *((Text(gate.hopeless, "bold red"),) if gate.hopeless else ())]


def _outlook(rule: RuleView) -> Text:
    return Text(rule.words[2], {"lost": "bold red", "coming": ""}.get(rule.chance, "yellow"))


def no_gate(position: str) -> str:
    """What to do where no gate leads up."""
    if position == "HALTED":
        return (
            "No gate leads up from HALTED. `gatehouse status` lists the ways out, and `gatehouse explain halt` says why it halted."
        )
    return f"No gate leads up from {position}."


def landing_lines(gate: GateView) -> list[Text]:
    """What is seen of the venue where the edge ends: a command is refused while one of it is missing."""
    return [
        Text(f"  {gate.to_position}, {fact.sight}: {'' if fact.ok else 'not now, '}{fact.line}", "" if fact.ok else "bold yellow")
        for fact in gate.landing
    ]


def _row(rule: RuleView) -> tuple[object, ...]:
    measured, threshold, _ = rule.words
    return rule.id, measured or "–", threshold, styled(rule.verdict)


def progress(gate: GateView) -> tuple[int, int]:
    """How many of a gate's rules pass, and how many there are."""
    return sum(rule.verdict == "PASS" for rule in gate.rules), len(gate.rules)


def result_table(result: Mapping[str, Any]) -> Table:
    """A gate's result as it was journalled (``gates.engine.result_document``)."""
    rules = [
        RuleView(
            id=rule["rule"],
            metric=rule["metric"],
            measured=rule["measured"],
            op=rule["op"],
            threshold=rule["threshold"],
            unit=rule["unit"],
            verdict=rule["verdict"],
            explanation=rule["explanation"],
        )
        for rule in result["rules"]
    ]
    built = table(("rule", "measured", "threshold", "verdict"), map(_row, rules), right=("measured", "threshold"))
    built.title = Text.assemble("gate ", (str(result["gate"]), "bold"), "  ", styled(str(result["verdict"])))
    built.title.append_text(_attestation(str(result.get("attestation", ""))))
    return built


def _attestation(attestation: str) -> Text:
    return Text(f"  {attestation} evidence", "green" if attestation == "attested" else "bold yellow") if attestation else Text()
