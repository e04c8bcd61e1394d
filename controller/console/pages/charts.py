"""Equity, drawdown and exposure over time, drawn on the server as SVG. Zoom and moving are links, so they need no script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, pairwise

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from controller.console import wording
from controller.console.pages.drawing import DRAWER
from controller.console.pages.frame import show
from controller.console.pages.query import address, number
from controller.console.port import OperatorPort
from controller.console.schema import SeriesView
from controller.drawing.curve import Band, Level, Mark, Subject, curve
from exchange.model import Millis
from policies.numbers import WIDE
from policies.stage import RISK_ORDER, Stage

WIDE_PX, NARROW_PX = 1160, 380
MINUTE_MS = 60_000
WINDOWS = ((60, "1 h"), (360, "6 h"), (1_440, "24 h"), (4_320, "72 h"), (0, "all"))
"""Windows that end now, in minutes; 0: everything that is kept."""

DEFAULT_MINUTES = 4_320
LEAST_MINUTES, MOST_MINUTES = 2, 60 * 24 * 365
LEVELS_MOST = 4


@dataclass(frozen=True, slots=True)
class Window:
    """What a chart shows: so many minutes up to an instant, or up to now; 0 minutes: everything that is kept."""

    minutes: int
    until: int | None

    def bounds(self, now: int) -> tuple[int, int]:
        """From and until, in milliseconds."""
        end = now if self.until is None else min(self.until, now)
        return (max(0, end - self.minutes * MINUTE_MS) if self.minutes else 0), end

    @property
    def path(self) -> str:
        """Its address."""
        return address("/charts", minutes=str(self.minutes), until=self.until)


@dataclass(frozen=True, slots=True)
class Fall:
    """The drawdown at an instant, in per cent of the highest equity before it."""

    at: int
    percent: Decimal | None


class ChartPage:
    """Renders the page."""

    def __init__(self, port: OperatorPort) -> None:
        self._port = port

    async def show(self, request: Request) -> Response:
        """The charts of one window."""
        status = await self._port.status()
        window = _window(request)
        begin, end = window.bounds(status.now_ms)
        series = await self._port.series(Millis(begin), Millis(end))
        before = await self._port.series(Millis(0), Millis(begin)) if begin else None
        highest = max((value for value in (before.equity if before is not None else ()) if value is not None), default=None)
        falls = list(_falls(series, highest))
        shown = await DRAWER.draw(lambda: {name: _both(subject) for name, subject in _subjects(series, falls).items()})
        return await show(
            self._port,
            "charts.html",
            "/charts",
            s=status,
            window=window,
            windows=[(Window(minutes, None), name) for minutes, name in WINDOWS],
            moves=_moves(window, begin, end, status.now_ms),
            begin=series.at[0] if series.at else begin,
            end=end,
            drawings=shown,
            figures=_figures(series, falls),
            points=len(series.at),
        )


def _window(request: Request) -> Window:
    minutes = number(request, "minutes")
    if minutes is None:
        minutes = DEFAULT_MINUTES
    return Window(min(max(minutes, LEAST_MINUTES), MOST_MINUTES) if minutes else 0, number(request, "until"))


def _moves(window: Window, begin: int, end: int, now: int) -> list[tuple[str, str]]:
    """Links that zoom and move, each with its name; without a width there is nothing to zoom."""
    if not window.minutes:
        return []
    half = window.minutes * MINUTE_MS // 2
    found = [
        ("◂ Earlier", Window(window.minutes, max(1, end - half)).path),
        ("Zoom in", Window(max(LEAST_MINUTES, window.minutes // 2), end - half // 2).path),
        ("Zoom out", Window(min(MOST_MINUTES, window.minutes * 2), end if end < now else None).path),
    ]
    if end < now:
        found.append(("Later ▸", Window(window.minutes, end + half if end + half < now else None).path))
    return found if begin else found[1:]


def _subjects(series: SeriesView, falls: Sequence[Fall]) -> dict[str, Subject]:
    gaps = [Band(first, last, "", "gap") for first, last in _uncovered(series)]
    bands = [*_stage_bands(series), *gaps]
    caps = list(dict.fromkeys(cap for cap in reversed(series.cap) if cap is not None))[:LEVELS_MOST]
    levels = tuple(Level(cap, f"cap {wording.euro(cap)}") for cap in caps)
    percents = [(one.at, one.percent) for one in falls]
    return {
        "equity": Subject("Equity in EUR", _marks(zip(series.at, series.equity, strict=True)), _plain, bands),
        "drawdown": Subject("Fall from the highest equity, in per cent", _marks(percents), _percent, gaps, zero=True, css="fall"),
        "exposure": Subject(
            "Worst-case exposure in EUR", _marks(zip(series.at, series.exposure, strict=True)), _plain, gaps, levels, zero=True
        ),
    }


def _marks(points: Iterable[tuple[int, Decimal | None]]) -> list[Mark]:
    return [(at, at, value, value, value) for at, value in points if value is not None]


def _falls(series: SeriesView, highest: Decimal | None) -> Iterator[Fall]:
    peak = highest
    for at, equity in zip(series.at, series.equity, strict=True):
        if equity is None:
            yield Fall(at, None)
            continue
        peak = equity if peak is None else max(peak, equity)
        yield Fall(at, WIDE.divide((peak - equity) * 100, peak) if peak > 0 else None)


def _stage_bands(series: SeriesView) -> Iterator[Band]:
    ends = list(zip(series.at, series.stage, strict=True))
    groups = [(stage, [at for at, _ in group]) for stage, group in groupby(ends, key=lambda one: one[1])]
    for place, (stage, ats) in enumerate(groups):
        end = groups[place + 1][1][0] if place + 1 < len(groups) else ats[-1]
        yield Band(ats[0], end, str(stage), f"band {stage_css(stage)}")


def stage_css(stage: Stage) -> str:
    """The class of a stage's colour."""
    return f"s{RISK_ORDER.index(stage)}" if stage in RISK_ORDER else "s5"


def _uncovered(series: SeriesView) -> Iterator[tuple[int, int]]:
    """Times that do not count as covered: up to each such sample from the one before it."""
    open_: tuple[int, int] | None = None
    for (before, _), (at, covered) in pairwise(zip(series.at, series.covered, strict=True)):
        if covered:
            if open_ is not None:
                yield open_
            open_ = None
        else:
            open_ = (before if open_ is None else open_[0], at)
    if open_ is not None:
        yield open_


def _figures(series: SeriesView, falls: Sequence[Fall]) -> list[tuple[str, str]]:
    """The same in words, for who cannot see the curves."""
    values = [value for value in series.equity if value is not None]
    exposures = [value for value in series.exposure if value is not None]
    deepest = max((one.percent for one in falls if one.percent is not None), default=None)
    return [
        ("equity at the end", wording.euro(values[-1] if values else None)),
        ("lowest and highest", f"{wording.euro(min(values))} and {wording.euro(max(values))}" if values else wording.ABSENT),
        ("change", wording.signed_euro(values[-1] - values[0] if values else None)),
        ("deepest fall", _percent(deepest, 2) if deepest is not None else wording.ABSENT),
        ("highest exposure", wording.euro(max(exposures, default=None))),
    ]


def _both(subject: Subject) -> Markup:
    """A drawing for wide and for narrow screens; the style sheet shows one of them."""
    drawn = curve(subject, WIDE_PX, "wide") + curve(subject, NARROW_PX, "narrow")
    return Markup(drawn)  # noqa: S704 - every label in a drawing is escaped


def _plain(value: Decimal, places: int) -> str:
    return f"{value:,.{places}f}"


def _percent(value: Decimal, places: int) -> str:
    return f"{value:,.{places}f} %"
