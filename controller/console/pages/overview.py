"""The overview: the stage and how far it is from the next one, what needs a person, and how much room the guards leave."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from controller.console import wording
from controller.console.pages.frame import Rows, rows_of, show
from controller.console.port import OperatorPort
from controller.console.schema import BalanceView, EntryView, GateView, NextEdgeView, OrderView, StatusView
from policies.stage import RISK_ORDER, Stage

ORDER_ROWS = 14
ENTRY_ROWS = 14
MAX_RAMP_DOTS = 12


@dataclass(frozen=True, slots=True)
class Node:
    """One stage in the picture of the lifecycle, and the gate on the way to it."""

    stage: Stage
    caption: str
    gate: str


NODES: tuple[Node, ...] = tuple(
    Node(stage, caption, gate)
    for stage, (caption, gate) in zip(
        RISK_ORDER,
        (
            ("mock money", ""),
            ("72 covered hours", "testnet-ready"),
            ("proven on testnet", "validation"),
            ("real money, €10 cap", "live-ready"),
            ("real money, by steps", "ramp-step"),
        ),
        strict=True,
    )
)
"""The stages from left to right (architecture.md §3)."""


class Page:
    """Renders the overview."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def show(self, _request: Request) -> Response:
        """The page with the current values."""
        status = await self._port.status()
        gates: Rows[GateView] = await rows_of(self._port.gates())
        orders: Rows[OrderView] = await rows_of(self._port.orders(ORDER_ROWS))
        balances: Rows[BalanceView] = await rows_of(self._port.balances())
        entries: Rows[EntryView] = await rows_of(self._port.journal(max(0, status.seq - ENTRY_ROWS), ENTRY_ROWS))
        return await show(
            self._port,
            "console.html",
            "/",
            s=status,
            nodes=NODES,
            rank=RISK_ORDER.index(status.stage) if status.stage in RISK_ORDER else -1,
            gates=gates,
            orders=orders,
            balances=balances,
            entries=Rows(tuple(reversed(entries.rows)), entries.missing),
            guards=await rows_of(self._port.inspector.guards()),
            needs=needs(status),
            ramp_dots=min(status.ramp_steps, MAX_RAMP_DOTS),
            cap_used=wording.per_mille(status.exposure_eur, status.cap_eur),
            next_action=next_action(status),
            since_ms=max(0, status.now_ms - status.stage_since_ms),
        )


def needs(status: StatusView) -> tuple[str, ...]:
    """What needs a person now, one sentence each. Whether it is armed and what is pending are said elsewhere on the page."""
    found = [
        f"Alert {alert.id} ({alert.severity or alert.kind}) waits to be acknowledged: {alert.title}"
        for alert in status.oversight.alerts
    ]
    if status.stage is Stage.HALTED:
        open_ways = sum(1 for way in status.ways_out if not way.refused)
        found.append(f"The deployment is HALTED, and {open_ways} of {len(status.ways_out)} ways out are open.")
    found += [f"The venue is asked about an order and has no proof yet: {line}" for line in status.unproven]
    found += [
        f"A changed {one.document} is not in force until it is signed: {', '.join(one.changes) or one.digest}"
        for one in status.proposals
    ]
    found += [f"Checkpoint target {one.target}: {one.problem}" for one in status.checkpoints if one.problem]
    found += [one.line for one in status.oversight.closed_symbols]
    if status.watchdog is not None and status.watchdog.problem:
        found.append(f"Watchdog: {status.watchdog.line}")
    found += [f"The gate asks for a {one.drill} drill: `gatehouse drill {one.drill}`." for one in status.oversight.drills_needed]
    return tuple(found)


def next_action(status: StatusView) -> str:
    """The next move up, as a sentence."""
    if status.ways_out:
        return "Ways out: " + ", ".join(dict.fromkeys(way.verb.value for way in status.ways_out)) + "; see above."
    edge = next((edge for edge in status.next_edges if edge.gate), None)
    if edge is None:
        return "No gate leads up from here."
    return f"Next: {edge.verb} to {_position(edge)} through gate {edge.gate}, signed by {_persons(edge.persons_needed)}."


def _position(edge: NextEdgeView) -> str:
    return f"{edge.target} step {edge.step}" if edge.target is Stage.RAMPING else str(edge.target)


def _persons(count: int) -> str:
    return "one person" if count == 1 else f"{count} persons"
