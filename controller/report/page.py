"""Draws a report's document as one HTML page without scripts, links to outside or outside files. ``cli.show.report`` calls it.

The page shows the document and nothing else, so the same document always gives the same bytes, and a changed page is found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from controller.drawing.bars import Counts, histogram, named_bars
from controller.drawing.curve import Band, Level, Mark, Subject, curve
from controller.drawing.strip import strip
from controller.report import words
from controller.report.sealed import Sealed
from exchange.model import Millis

WIDE, HALF, NARROW = 780, 380, 350
_RATHER_LONG_MS = 60_000
_OUTCOMES = {
    "filled": "good",
    "filled in part, then ended": "good",
    "ended without a fill": "dim",
    "rejected by the venue": "bad",
}
_STAGE_CSS = {"MOCK": "s0", "TESTNET_VALIDATING": "s1", "VALIDATED": "s2", "LIVE_€10": "s3", "RAMPING": "s4", "HALTED": "s5"}


def render(report: Sealed) -> str:
    """The page of a document."""
    environment = Environment(
        loader=PackageLoader("controller.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        eur=_or_dash(lambda value: words.eur(Decimal(value))),
        gain=_or_dash(_gain),
        percent=_or_dash(lambda value: words.percent(Decimal(value))),
        bps=_or_dash(lambda value: f"{words.signed(Decimal(value), 2)} bps"),
        instant=_or_dash(lambda at: words.instant(Millis(at))),
        span=_or_dash(words.span),
        count=_or_dash(words.counted),
        name=_breakable,
        measured=lambda rule: (
            words.value_words(Decimal(rule["measured"]), rule["unit"]) if rule["measured"] else words.NOT_MEASURED
        ),
        threshold=lambda rule: f"{_SIGNS[rule['op']]} {words.value_words(Decimal(rule['threshold']), rule['unit'])}",
        statistic=lambda row: _valued(row["value"], row["unit"]),
    )
    document = report.document
    return environment.get_template("report.html").render(
        **document, digest=report.digest, drawings=_drawings(document), longest_gaps=_longest(document["coverage"]["gaps"])
    )


def _breakable(name: str) -> Markup:
    """A name in which a line may end after each underscore."""
    return Markup("_<wbr>").join(name.split("_"))


def _longest(gaps: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return sorted(gaps, key=lambda gap: (gap[0] - gap[1], gap[0]))[:20]


_SIGNS = {">=": "≥", ">": ">", "<=": "≤", "<": "<", "==": "="}


def _valued(value: str, unit: str) -> str:
    return words.value_words(Decimal(value), unit) if value else words.NOT_MEASURED


def _or_dash(write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: words.NOT_MEASURED if value is None else write(value)


def _gain(value: str) -> str:
    shown = words.eur(Decimal(value))
    return f"+{shown}" if Decimal(value) > 0 else shown


def _both(draw: Callable[[int, str], str], wide: int = WIDE) -> Markup:
    """A drawing for wide and for narrow pages; the style sheet shows one of them."""
    return Markup(draw(wide, "wide") + draw(NARROW, "narrow"))  # noqa: S704 - every label in a drawing is escaped


def _drawings(document: Mapping[str, Any]) -> dict[str, Markup]:
    curves, run = document["curves"], document["run"]
    gaps = [Band(begin, end, "", "gap") for begin, end, _ in document["coverage"]["gaps"] if end - begin >= _RATHER_LONG_MS]
    band = [Band(run["since"], run["last_at"], run["stage"], _stage_css(run["stage"])), *gaps]
    cap = Level(Decimal(run["cap_eur"]), f"cap {words.eur(Decimal(run['cap_eur']))}")
    equity, exposure, mid = (_marks(curves[name]) for name in ("equity", "exposure", "mid"))
    fall = _percents(curves["drawdown"])
    subjects = {
        "equity": Subject("Equity in EUR over the run", equity, words.grouped, band),
        "exposure": Subject("Worst-case exposure in EUR against the cap", exposure, words.grouped, gaps, (cap,), zero=True),
        "drawdown": Subject("Fall from the peak in per cent", fall, _percent, gaps, zero=True, css="fall"),
        "mid": Subject("Mid price of the first symbol", mid, words.grouped, gaps),
        "history": _history(document["history"]),
    }
    drawings = {name: _both(_curve(subject)) for name, subject in subjects.items()}
    drawings["coverage"] = _both(_strip(document["coverage"]))
    drawings["orders"] = _both(_orders(document["orders"]))
    slipped = [(to.replace("-", words.MINUS), count) for _, to, count in document["slippage"]["bins"]]
    answered = _answered(document["latency"]["bins"])
    for name, counts in (
        ("latency", Counts("How long the venue took to answer", answered, "at most, from decision to answer")),
        ("slippage", Counts("Slippage of the fills", slipped, "basis points against the mid price; right is worse", edges=True)),
    ):
        drawings[name] = _both(_histogram(counts), HALF)
    return drawings


def _curve(subject: Subject) -> Callable[[int, str], str]:
    return lambda width, css: curve(subject, width, css)


def _histogram(counts: Counts) -> Callable[[int, str], str]:
    return lambda width, css: histogram(counts, width, css)


def _answered(bins: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    """The bins up to the last one that holds something, at least the first few."""
    last = max((place for place, (_, count) in enumerate(bins) if count), default=0)
    return [(name if name == "more" else words.span(int(name)), count) for name, count in bins[: max(last + 1, 6)]]


def _strip(coverage: Mapping[str, Any]) -> Callable[[int, str], str]:
    gaps = [(begin, end, gap_css(reason)) for begin, end, reason in coverage["gaps"]]
    title = f"Coverage: {words.span(coverage['covered_ms'])} of {words.span(coverage['total_ms'])} covered, {len(gaps)} gaps"
    return lambda width, css: strip(title, coverage["since"], coverage["until"], gaps, width, css)


def _orders(orders: Mapping[str, Any]) -> Callable[[int, str], str]:
    rows = [(name, orders["outcomes"][name], colour) for name, colour in _OUTCOMES.items() if name in orders["outcomes"]]
    rows += [("open now", orders["open"], "dim")] if orders["open"] else []
    rows += [("denied by a limit", orders["denied"], "warn")] if orders["denied"] else []
    return lambda width, css: named_bars("Orders by how they ended", rows, width, css)


def _history(runs: Sequence[Mapping[str, Any]]) -> Subject:
    """The result of one run after another: each goes on from where the one before ended, since their accounts differ."""
    marks: list[Mark] = []
    total = Decimal(0)
    for run in runs:
        values = [(at, Decimal(value)) for at, value in run["equity"]]
        first = values[0][1]
        marks += [(at, at, total + value - first, total + value - first, total + value - first) for at, value in values]
        total += values[-1][1] - first
    bands = [Band(run["since"], run["until"], run["stage"], _stage_css(run["stage"])) for run in runs]
    return Subject("Result in EUR, one run after another", marks if len(runs) > 1 else [], words.signed, bands)


def _stage_css(stage: str) -> str:
    return f"band {_STAGE_CSS[stage.split(' step ', maxsplit=1)[0]]}"


def gap_css(reason: str) -> str:
    """The class of a gap's colour: nothing was measured, or something was and it did not count."""
    return "unmeasured" if reason.startswith("nothing was measured") else "uncovered"


def _marks(points: Sequence[Sequence[Any]]) -> list[Mark]:
    return [(begin, end, Decimal(low), Decimal(high), Decimal(last)) for begin, end, low, high, last in points]


def _percents(points: Sequence[Sequence[Any]]) -> list[Mark]:
    return [(begin, end, low * 100, high * 100, last * 100) for begin, end, low, high, last in _marks(points)]


def _percent(value: Decimal, places: int) -> str:
    return f"{words.grouped(value, places)} %"
