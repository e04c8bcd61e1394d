"""The gates of the next steps up as one page, with how far the run is. ``gatehouse gates`` shows it, once or again and again."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from controller.cli.shared.gates import gate_table, landing_lines, no_gate, rule_lines
from controller.console.schema import GateView, RuleView, StatusView


def gates_page(gates: Sequence[GateView], status: StatusView, *, brief: bool = False) -> Group:
    """Everything ``gatehouse gates`` shows. ``brief`` leaves out what passes and what is not measured, so that it fits a screen."""
    parts: list[RenderableType] = list(run_lines(status))
    for gate in gates:
        shown = [rule for rule in gate.rules if not brief or _is_under_way(rule)]
        parts += [gate_table(gate.model_copy(update={"rules": tuple(shown)}))]
        if brief:
            parts.append(_left_out(gate))
        parts += [*rule_lines(gate), *landing_lines(gate)]
    if not gates:
        parts.append(Text(no_gate(status.position)))
    return Group(*parts)


def _is_under_way(rule: RuleView) -> bool:
    return rule.verdict not in {"PASS", "NO_DATA"}


def _left_out(gate: GateView) -> Text:
    passing = sum(rule.verdict == "PASS" for rule in gate.rules)
    unmeasured = ", ".join(rule.id for rule in gate.rules if rule.verdict == "NO_DATA")
    more = f"; not measured yet: {unmeasured}" if unmeasured else ""
    return Text(f"  {passing} of {len(gate.rules)} rules pass{more}")


def run_lines(status: StatusView) -> list[Text]:
    """How far the run of the present stage is, and what was lost when it last started over."""
    lines = []
    if status.coverage is not None:
        lines.append(Text.assemble(("run  ", "dim"), status.coverage.line))
        if status.coverage.paused_because:
            lines.append(Text(f"paused: no time counts now: {status.coverage.paused_because}", "yellow"))
        if status.coverage.lost_run is not None:
            lines.append(Text(status.coverage.lost_run.line, "bold yellow"))
    return lines
