"""The curves of a long run as one page without a network: memory, descriptors, threads, answers and the journal over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from controller.drawing.curve import Band, Subject, curve

if TYPE_CHECKING:
    from tests.support.ordinary.load import Resident
    from tests.support.ordinary.soak import Sample

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}svg{width:100%;height:auto}
.grid{stroke:#ddd;fill:none}.line{stroke:#0a58ca;fill:none;stroke-width:1.5}.range{stroke:none}.fault{fill:#c00;opacity:.25}
text{font-size:11px;fill:#444}.end{text-anchor:end}.middle{text-anchor:middle}"""
_WIDTH = 900
_OF_A_PART: tuple[tuple[str, Callable[[Resident], float]], ...] = (
    ("resident MB", lambda one: one.megabytes),
    ("descriptors", lambda one: one.descriptors),
    ("threads", lambda one: one.threads),
)


def page(samples: Sequence[Sample], faults: Sequence[tuple[float, str]], lines: Sequence[str]) -> str:
    """The page. ``faults`` are seconds and names; they are red in every curve."""
    parts = sorted({part for one in samples for part in one.parts})
    curves = [(f"{part}: {what}", _of(part, of)) for what, of in _OF_A_PART for part in parts]
    curves += [("health page: slowest of five answers, ms", lambda one: one.lag_ms), ("journal: MB", lambda one: one.journal)]
    bands = [Band(int(at * 1000), int(at * 1000) + 1000, name, "fault") for at, name in faults]
    drawn = "".join(f"<h2>{escape(title)}</h2>{_drawn(title, samples, value, bands)}" for title, value in curves)
    said = "".join(f"<li>{escape(line)}</li>" for line in lines)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>A long run</title><style>{_STYLE}</style>'
    return f"{head}<h1>A long run: {samples[-1].at / 60:.0f} minutes</h1><ul>{said}</ul>{drawn}</html>\n"


def _of(part: str, of: Callable[[Resident], float]) -> Callable[[Sample], float | None]:
    return lambda one: of(one.parts[part]) if part in one.parts else None


def _drawn(title: str, samples: Sequence[Sample], value: Callable[[Sample], float | None], bands: Sequence[Band]) -> str:
    found = [(int(one.at * 1000), Decimal(f"{number:.3f}")) for one in samples if (number := value(one)) is not None]
    marks = [(begin, end, number, number, number) for (begin, number), (end, _) in pairwise(found)]
    return curve(Subject(title, marks, lambda number, places: f"{number:.{places}f}", bands, zero=True), _WIDTH, "")
