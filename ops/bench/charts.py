"""Draws a run as SVG: the stages of one order, and how far each line is from its goal."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ops.bench.showing import Row, short, stages_in

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 760, 24, 230, 130, 46


def stages_chart(rows: Sequence[Row], bench: str = "order-path") -> str:
    """The stages of one order, one bar below the other, each beginning where the one before it ends."""
    stages = stages_in(rows, bench)
    whole = sum(spread["median"] for spread in stages.values()) or 1.0
    span, begun, parts = _WIDTH - _LEFT - _RIGHT, 0.0, list[str]()
    for place, (name, spread) in enumerate(stages.items()):
        y, x = _TOP + _ROW * place, _LEFT + span * begun / whole
        wide, begun = max(1.0, span * spread["median"] / whole), begun + spread["median"]
        note = f"{spread['median']:,.0f} µs, {spread['median'] / whole:.0%}"
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        hint = f"{spread['min']:,.0f} to {spread['max']:,.0f} µs"
        parts.append(
            f'<rect x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="16" rx="2" fill="#2f6f9f"><title>{hint}</title></rect>'
        )
        parts.append(f'<text x="{x + wide + 6:.1f}" y="{y + 15}" fill="#555">{note}</text>')
    title = f"One governed order in the controller, by stage: {whole:,.0f} µs (sum of the medians)"
    if not stages:
        title = f"The stages of an order were not measured in this run ({bench})"
    return _drawn(title, parts, len(stages))


def goals_chart(rows: Sequence[Row]) -> str:
    """Each line with a goal: what was measured, the goal, and whether it was met; those that missed come first."""
    judged = sorted((row for row in rows if row["goals"]), key=lambda row: bool(row["met"]))
    parts = []
    for place, row in enumerate(judged):
        y, met = _TOP + _ROW * place, row["met"]
        word = "met" if met else "missed" if row["ours"] else "not measured"
        colour = "#2e7d32" if met else "#b3261e"
        parts.append(f'<rect x="12" y="{y + 4}" width="86" height="16" rx="2" fill="{colour}"/>')
        parts.append(f'<text x="55" y="{y + 16}" text-anchor="middle" fill="#fff">{word}</text>')
        parts.append(f'<text x="106" y="{y + 16}">{escape(row["what"])}</text>')
        parts.append(f'<text x="{_WIDTH + 228}" y="{y + 16}" text-anchor="end">{escape(_measured(row))}</text>')
    met = sum(bool(row["met"]) for row in judged)
    return _drawn(f"{met} of {len(judged)} lines with a goal met it", parts, len(judged), width=_WIDTH + 240)


def _measured(row: Row) -> str:
    if not row["ours"]:
        return "; ".join(row["goals"])
    ratio = f" ({short(row['ratio']['median'])} ×)" if row["ratio"] else ""
    return f"{short(row['ours']['median'])} {row['unit']}{ratio}, goal {'; '.join(row['goals'])}"


def _drawn(title: str, parts: Sequence[str], lines: int, width: int = _WIDTH) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_TOP + _ROW * lines + 12}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="{escape(title)}">'
        f'<rect width="100%" height="100%" fill="#fff"/><text x="12" y="26" font-size="15" font-weight="600">{escape(title)}</text>'
        f"{''.join(parts)}</svg>\n"
    )
