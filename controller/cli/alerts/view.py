"""What ``gatehouse alerts`` prints. ``verbs`` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from controller.cli.shared.output import clock, table
from controller.console.alerts import AlertView
from controller.core.alert_catalogue import ALERTS, ESCALATE_AFTER_MS, Severity, severity_of
from controller.core.effects import AlertKind

_STYLES = {Severity.INFO: "", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the test of one channel. ``why`` is empty when it was handed over."""

    channel: str
    to: str
    handed_over: bool
    ms: int
    why: str = ""
    remedy: str = ""

    def as_json(self) -> dict[str, object]:
        """The test as JSON values."""
        return asdict(self)


def kind_of(name: str) -> AlertKind | None:
    """The kind of this name, if there is one."""
    return next((kind for kind in AlertKind if kind.value == name), None)


def open_alerts(alerts: Sequence[AlertView]) -> Table | str:
    """The open alerts, or that there are none."""
    if not alerts:
        return "No alert waits for an acknowledgement."
    rows = [
        (
            one.id,
            Text(severity_of(AlertKind(one.kind)).value, _STYLES[severity_of(AlertKind(one.kind))]),
            one.kind,
            f"{one.title}{f' ({one.times} times)' if one.times > 1 else ''}\n{one.detail}",
            clock(one.at_ms),
            state_of(one),
            ", ".join(one.reached) or "–",
        )
        for one in alerts
    ]
    return table(("id", "severity", "kind", "what", "since (UTC)", "condition", "handed over to"), rows)


def state_of(alert: AlertView) -> str:
    """Whether the condition goes on, and how often the alert was escalated."""
    ends = ALERTS[AlertKind(alert.kind)].ends
    condition = "over" if alert.cleared_at_ms is not None else "goes on" if ends else "happened"
    return f"{condition}, escalated {alert.escalated}×" if alert.escalated else condition


def explained(kind: str, alert: AlertView | None) -> dict[str, str]:
    """What an alert means, as labelled lines; with what is known of the open one."""
    spec = ALERTS[AlertKind(kind)]
    found = (
        {} if alert is None else {"id": alert.id, "what": f"{alert.title}: {alert.detail}", "since": f"{clock(alert.at_ms)} UTC"}
    )
    if alert is not None:
        found |= {"condition": state_of(alert), "handed over to": ", ".join(alert.reached) or "no channel yet"}
        found["acknowledge"] = f"gatehouse ack-alert {alert.id} --key KEY --reason WHY"
    found |= {"kind": kind, "severity": spec.severity.value, "meaning": spec.meaning, "what to do": spec.action}
    found["ends"] = f"when {spec.ends}" if spec.ends else "when a person acknowledges it"
    if spec.severity is Severity.CRITICAL:
        minutes = ", ".join(str(ms // 60_000) for ms in ESCALATE_AFTER_MS)
        found["escalates"] = f"after {minutes} minutes without an acknowledgement; then no step up to real money is possible"
    return found | {"page": f"ops/docs/{spec.page}"}


def tried_table(tried: Sequence[Tried]) -> Table:
    """What became of each test."""
    rows = [
        (one.channel, one.to, Text("handed over", "green") if one.handed_over else Text("NOT handed over", "bold red"),
         f"{one.ms} ms", f"{one.why}. {one.remedy}" if one.why else "")
        for one in tried
    ]  # fmt: skip
    return table(("channel", "to", "test", "took", "why"), rows)
