"""What every page shares: the head with the stage, the list of pages, HALT, and how old the facts are.

Templates escape everything. A page is rendered on a thread, because the event loop belongs to orders.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from controller.console import lines, wording
from controller.console.pages.drawing import DRAWER
from controller.console.port import OperatorPort
from controller.console.role import Role
from controller.console.schema import StatusView
from exchange.errors import GatehouseError
from exchange.ports import VenueName
from gates.spans import span
from policies.stage import LIVE_STAGES, Environment

if TYPE_CHECKING:
    from jinja2 import Environment as Templates

STATIC = Path(__file__).parents[1] / "static"
"""Scripts, styles and pictures."""

LATE_MS = 2_000
"""A writer that decided nothing for so long makes the facts on a page old."""

VERDICT_MARKS = {"PASS": "✔", "FAIL": "✖", "INCONCLUSIVE": "◐", "NO_DATA": "∅", "STALE": "◷", "INVALID": "⚠", "ERROR": "⚠"}
"""A shape for every verdict, so that colour is never the only sign."""

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Rows(Generic[RowT]):
    """A section of a page: its rows, or why there are none."""

    rows: Sequence[RowT]
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """One page in the list of pages."""

    path: str
    title: str


PLACES = (
    Place("/", "Overview"),
    Place("/charts", "Charts"),
    Place("/orders", "Orders"),
    Place("/gates", "Gates"),
    Place("/approvals", "Approvals"),
    Place("/journal", "Journal"),
    Place("/alerts", "Alerts"),
    Place("/drills", "Drills"),
    Place("/streams", "Streams"),
    Place("/settings", "Settings"),
)
"""Every page, in the order of the list."""

Handler = Callable[[Request], Awaitable[Response]]


async def rows_of(question: Awaitable[Sequence[RowT]]) -> Rows[RowT]:
    """The rows of a section, or why it cannot be read; the rest of the page is shown in either case."""
    try:
        return Rows(await question)
    except GatehouseError as error:
        return Rows((), f"{error.message}. {error.remedy}")


async def show(port: OperatorPort, template: str, here: str, *, code: int = 200, posted: bool = False, **values: Any) -> Response:
    """Render a page. ``here`` is its path in ``PLACES``; ``values`` may hold a status that was read before as ``s``.

    ``posted``: it answers a form, so its own address cannot be read again; what is live on it comes from ``here``.
    """
    status = values.pop("s", None) or await port.status()
    shown = {
        "s": status,
        "here": here,
        "again": "" if not posted else here if here in {place.path for place in PLACES} else "/",
        "places": PLACES,
        "real_money": is_real_money(status),
        "notice": notice(status),
        "old_facts": old_facts(status),
        **values,
    }
    text = await DRAWER.draw(lambda: templates().get_template(template).render(shown))
    return HTMLResponse(text, status_code=code)


@cache
def templates() -> Templates:
    """Every template of the console, with its filters."""
    # The first person who opens a page waits for this, on a thread: it takes about 100 ms, and neither a start nor an order must.
    from jinja2 import Environment as Templates
    from jinja2 import FileSystemLoader, StrictUndefined

    templates = Templates(
        loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
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
        span,
    ):
        templates.filters[filter_.__name__] = filter_
    templates.filters["mark"] = lambda verdict: VERDICT_MARKS.get(verdict, "⚠")
    return templates


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


def old_facts(status: StatusView) -> str:
    """Why the facts on a page may be old although the controller answers; empty when they are of now."""
    if status.role is Role.STANDBY:
        return status.standby.problem if status.standby is not None else ""
    if status.decided_ms_ago is None:
        return "The writer has decided nothing since this process started, so what this page shows may be old."
    if status.decided_ms_ago > LATE_MS:
        return f"The writer has decided nothing for {status.decided_ms_ago // 1000} s, so what this page shows may be old."
    return ""
