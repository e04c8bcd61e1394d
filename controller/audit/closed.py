"""Which part of a journal is closed: nothing that is open now began in it (ADR 46). ``gatehouse journal archive`` calls it.

An open order, a command that waits, a drill, a flatten, an open alert and the present halt are still decided about, by persons too,
who look up how they began. What stays in force for long (roster, policy, release, the window of a gate) does not keep entries here:
the folded state and the sealed evidence hold it in full, and readers go through the archives.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from controller.core import events as e
from controller.core.state import State
from controller.journal.chain import Entry
from policies.stage import Stage


@dataclass(frozen=True, slots=True)
class OpenMatter:
    """Something that is not closed, and the entry with which it began."""

    seq: int
    what: str


_BEGINNINGS = frozenset({
    e.OrderAdmitted.kind,
    e.CommandPending.kind,
    e.DrillStarted.kind,
    e.FlattenStarted.kind,
    e.BreachDetected.kind,
    e.StageChanged.kind,
})  # fmt: skip


def open_matters(state: State, entries: Iterable[Entry]) -> tuple[OpenMatter, ...]:
    """What is open in ``state``, the state after the last one of ``entries``, with where it began; the earliest first.

    Something that began before the first one of ``entries`` is not found: it was open when those entries were archived, which is
    refused.
    """
    found = [OpenMatter(int(one.id.partition("-")[2]), f"alert {one.id} is not acknowledged") for one in state.alerts]
    halted, breached = 0, 0
    for entry in entries:
        if entry.kind not in _BEGINNINGS:
            continue
        body = json.loads(entry.body)
        if entry.kind == e.BreachDetected.kind:
            breached = entry.seq
        elif entry.kind == e.StageChanged.kind:
            halted = min(entry.seq, breached or entry.seq) if body["stage"] == Stage.HALTED.value else 0
            breached = 0
        elif (what := _open(state, entry.kind, body)) is not None:
            found.append(OpenMatter(entry.seq, what))
    if state.position.stage is Stage.HALTED and halted:
        found.append(OpenMatter(halted, "the deployment is HALTED since then"))
    return tuple(sorted(found, key=lambda one: one.seq))


def _open(state: State, kind: str, body: dict[str, str]) -> str | None:
    if kind == e.OrderAdmitted.kind:
        order = state.open.get(body["client_id"])
        return f"order {body['client_id']} is {order.status.value}" if order is not None else None
    if kind == e.CommandPending.kind:
        waits = state.pending is not None and state.pending.command_id == body["command_id"]
        return f"command {body['command_id']} waits for its cooling-off period" if waits else None
    if kind == e.DrillStarted.kind:
        return "a drill runs" if state.drill is not None else None
    return "a flatten runs" if state.flatten is not None else None
