"""The gates of the next steps up as one page, with how far the run is. ``gatehouse gates`` shows it, once or again and again."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from controller.cli.shared.gates import gate_table, landing_lines, no_gate, rule_lines
from controller.console.schema import GateView, StatusView


def gates_page(gates: Sequence[GateView], status: StatusView) -> Group:
    """Everything ``gatehouse gates`` shows."""
    parts: list[RenderableType] = list(run_lines(status))
    for gate in gates:
        parts += [gate_table(gate), *rule_lines(gate), *landing_lines(gate)]
    if not gates:
        parts.append(Text(no_gate(status.position)))
    return Group(*parts)


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
