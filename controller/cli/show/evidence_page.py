"""Renders the evidence report as one HTML page without scripts or outside files. ``show.report`` calls this."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from controller.authority.envelope import parse_envelope
from controller.authority.verify import read_command
from controller.authority.wordcode import word_code
from controller.cli.show.charts import Line, line_chart
from controller.cli.show.evidence_bundle import Case
from controller.core.lifecycle import Position
from exchange.model import Millis
from policies import canonical


def render(case: Case) -> str:
    """The page."""
    loader = PackageLoader("controller.cli.show")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("report.html")
    payload = parse_envelope(case.accepted.envelope).payload
    command = read_command(payload)
    sources = sorted({sample.source.value for _, sample in case.samples})
    return template.render(
        case=case,
        command=command,
        here=Position(command.expected_stage, command.expected_step),
        there=Position(command.target_stage, command.target_step),
        digest=canonical.digest(payload),
        words=word_code(canonical.digest(payload)),
        applied=_utc(case.entry.at),
        result=case.result,
        evidence=case.evidence,
        attestation=case.result.get("attestation", ""),
        sources=", ".join(sources) or "none",
        equity=_chart(case, "equity_eur", "Equity in EUR"),
        exposure=_chart(case, "exposure_eur", "Worst-case exposure in EUR"),
        covered=sum(sample.interval_ms for _, sample in case.samples if sample.covered) // 1000,
        total=sum(sample.interval_ms for _, sample in case.samples) // 1000,
        stages=[(_utc(at), change.from_stage.value, change.stage.value, change.cause, change.reason) for at, change in case.stages],
    )


def _chart(case: Case, field: str, label: str) -> Markup:
    points: list[tuple[int, Decimal]] = [
        (at, value) for at, sample in case.samples if (value := getattr(sample, field)) is not None
    ]
    return Markup(line_chart([Line("series", points)], label))  # noqa: S704 - numbers and our own labels only


def _utc(at: Millis) -> str:
    return datetime.fromtimestamp(at // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
