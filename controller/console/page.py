"""The console's web page, rendered on the server with the current values; its script then updates it.

``console.app`` serves it. The page only reads: nothing on it can move the deployment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from controller.console import lines, wording
from controller.console.port import OperatorPort
from controller.console.schema import BalanceView, EntryView, GateView, NextEdgeView, OrderView, StatusView
from exchange.errors import GatehouseError
from exchange.ports import VenueName
from policies.stage import LIVE_STAGES, RISK_ORDER, Environment, Stage

if TYPE_CHECKING:
    from jinja2 import Template

ORDER_ROWS = 14
ENTRY_ROWS = 14
MAX_RAMP_DOTS = 12

VERDICT_MARKS = {"PASS": "✔", "FAIL": "✖", "INCONCLUSIVE": "◐", "NO_DATA": "∅", "STALE": "◷", "INVALID": "⚠", "ERROR": "⚠"}
"""A shape for every verdict, so that colour is never the only sign."""

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Rows(Generic[RowT]):
    """A section of the page: its rows, or why there are none."""

    rows: Sequence[RowT]
    missing: str = ""


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
    """Renders the page."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def show(self, _request: Request) -> Response:
        """The page with the current values."""
        status = await self._port.status()
        template = await asyncio.to_thread(_template)
        gates: Rows[GateView] = await _rows(self._port.gates())
        orders: Rows[OrderView] = await _rows(self._port.orders(ORDER_ROWS))
        balances: Rows[BalanceView] = await _rows(self._port.balances())
        entries: Rows[EntryView] = await _rows(self._port.journal(max(0, status.seq - ENTRY_ROWS), ENTRY_ROWS))
        return HTMLResponse(
            template.render(
                s=status,
                nodes=NODES,
                rank=RISK_ORDER.index(status.stage) if status.stage in RISK_ORDER else -1,
                gates=gates,
                orders=orders,
                balances=balances,
                entries=Rows(tuple(reversed(entries.rows)), entries.missing),
                ramp_dots=min(status.ramp_steps, MAX_RAMP_DOTS),
                cap_used=wording.per_mille(status.exposure_eur, status.cap_eur),
                real_money=is_real_money(status),
                notice=notice(status),
                next_action=next_action(status),
                since_ms=max(0, status.now_ms - status.stage_since_ms),
            )
        )


@cache
def _template() -> Template:
    # The first person who opens the page waits for this, on a thread: it takes about 100 ms, and neither a start nor an order must.
    from jinja2 import Environment as Templates
    from jinja2 import FileSystemLoader, StrictUndefined

    templates = Templates(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for filter_ in (
        wording.euro,
        wording.signed_euro,
        wording.amount,
        wording.duration,
        wording.clock,
        wording.instant,
        wording.microseconds,
        wording.age,
        wording.short_digest,
        lines.alert_line,
        lines.key_line,
        lines.acknowledged_line,
        lines.drill_line,
        lines.bot_class,
        lines.no_bots_line,
        lines.no_silence_line,
    ):
        templates.filters[filter_.__name__] = filter_
    templates.filters["mark"] = lambda verdict: VERDICT_MARKS.get(verdict, "⚠")
    return templates.get_template("console.html")


async def _rows(question: Awaitable[Sequence[RowT]]) -> Rows[RowT]:
    """The rows of a section, or why it cannot be read; the rest of the page is shown in either case."""
    try:
        return Rows(await question)
    except GatehouseError as error:
        return Rows((), f"{error.message}. {error.remedy}")


def is_real_money(status: StatusView) -> bool:
    """Whether an order now uses real money."""
    return status.stage in LIVE_STAGES and status.environment is Environment.PRODUCTION


def notice(status: StatusView) -> str:
    """The notice at the top: a standby, a rehearsal, real money, or simulated data."""
    parts = []
    if status.standby is not None:
        parts.append(status.standby.line)
    if status.environment is Environment.REHEARSAL:
        parts.append("REHEARSAL: no real money can be reached")
    if is_real_money(status):
        parts.append("REAL MONEY: orders go to MEXC")
    if status.simulated:
        parts.append(f"SIMULATED DATA: {status.source or 'no source'}")
    if status.venue is VenueName.TESTNET and status.testnet is not None and not status.testnet.attested:
        parts.append("UNATTESTED: no signature of the testnet's own key vouches for what it shows")
    return " · ".join(parts)


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
