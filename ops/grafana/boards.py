"""The three dashboards as Grafana reads them: one deployment, its venues, and all deployments. ``make docs`` writes them.

Every query is asked of a real Prometheus that scrapes a real run (``tests/e2e/test_dashboards.py``); one without an answer fails.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

SCHEMA_VERSION = 39
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HERE = '{deployment="$deployment"}'
_RED, _GREEN, _YELLOW, _BLUE = "red", "green", "yellow", "blue"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its title, its form, its queries with their legends, and how a value is shown.

    ``colours`` are steps from a value on; ``words`` replaces values by a word and its colour. ``wide``: columns of 24.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    form: str = "timeseries"
    unit: str = "short"
    what: str = ""
    colours: tuple[tuple[float | None, str], ...] = ((None, _GREEN),)
    words: tuple[tuple[str, str, str], ...] = ()
    wide: int = 8
    high: int = 7


def _flag(title: str, query: str, good: int, yes: str, no: str, what: str) -> Panel:
    """A yes or no; ``good`` is the value that is well, and no value at all is red."""
    words = (("1", yes, _GREEN if good == 1 else _RED), ("0", no, _GREEN if good == 0 else _RED), ("-1", "UNKNOWN", _RED))
    return Panel(title, ((f"{query} or vector(-1)", ""),), "stat", what=what, words=words, wide=4, high=4)


def _total(name: str, *labels: str) -> str:
    """How often since the process started, by these labels; only what happened."""
    return f"sum by ({', '.join(f'gatehouse_{label}' for label in labels)}) (gatehouse_{name}_total{_HERE}) > 0"


def _slowest(part: int, name: str, *, lately: bool = False) -> str:
    """The duration within which ``part`` percent were done: lately, or since the process started for what happens rarely."""
    buckets = f"gatehouse_{name}_duration_seconds_bucket{_HERE}"
    counted = f"rate({buckets}[$__rate_interval])" if lately else buckets
    return f"histogram_quantile({part / 100}, sum by (le) ({counted}))"


_WATCHED = f"gatehouse_halted{_HERE}"
_STAGE_TIMELINE = Panel(
    "Stage",
    ((f"gatehouse_stage{_HERE} == 1", "{{gatehouse_stage}} {{instance}}"),),
    "state-timeline",
    what="The stage over time. HALTED is red.",
    words=(("1", "here", _BLUE),),
    wide=24,
    high=6,
)

DEPLOYMENT: tuple[Panel, ...] = (
    _flag("Halted", f"max({_WATCHED})", 0, "HALTED", "no", "Whether it is HALTED. No value is red too."),
    _flag("Can place orders", f"max(gatehouse_armed{_HERE})", 1, "yes", "NO", "1 only while an order can really be placed."),
    _flag("Answers", 'min(up{job="gatehouse",deployment="$deployment"})', 1, "yes", "NO", "Whether Prometheus can read it."),
    Panel(
        "Stage now",
        ((f"gatehouse_stage{_HERE} == 1", "{{gatehouse_stage}}"),),
        "stat",
        what="The stage that has the value 1.",
        wide=6,
        high=4,
    ),
    Panel(
        "Last decision",
        ((f"gatehouse_decision_age_seconds{_HERE}", "{{instance}}"),),
        "stat",
        "s",
        "The writer decides four times a second. From 2 s on no order leaves.",
        ((None, _GREEN), (1, _YELLOW), (2, _RED)),
        wide=6,
        high=4,
    ),
    _STAGE_TIMELINE,
    Panel(
        "Exposure and cap",
        (
            (f"gatehouse_exposure{_HERE}", "worst case at {{gatehouse_venue}}"),
            (f"gatehouse_exposure_limit{_HERE}", "cap"),
        ),
        unit="currencyEUR",
        what="Worst-case exposure. A gap means that it was not valued.",
    ),
    Panel("Equity", ((f"gatehouse_equity{_HERE}", "{{gatehouse_venue}}"),), unit="currencyEUR", what="A gap: not valued for 60 s."),
    Panel(
        "Profit and loss",
        (
            (f"gatehouse_pnl_day{_HERE}", "today at {{gatehouse_venue}}"),
            (f"gatehouse_pnl_run{_HERE}", "this run at {{gatehouse_venue}}"),
        ),
        unit="currencyEUR",
    ),
    Panel(
        "Orders",
        (
            (f"sum(increase(gatehouse_order_admitted_total{_HERE}[$__rate_interval]))", "admitted"),
            (f"sum(increase(gatehouse_order_denied_total{_HERE}[$__rate_interval]))", "denied"),
            (f"sum(increase(gatehouse_order_unknown_total{_HERE}[$__rate_interval]))", "outcome unknown"),
            (f"sum(increase(gatehouse_fill_booked_total{_HERE}[$__rate_interval]))", "fills"),
        ),
        what="How many in each interval.",
    ),
    Panel(
        "Denials by rule",
        ((f"sum by (gatehouse_rule) (gatehouse_order_denied_total{_HERE})", "{{gatehouse_rule}}"),),
        what="Since the process started.",
    ),
    Panel(
        "Open orders",
        (
            (f"sum by (gatehouse_state) (gatehouse_order_open{_HERE})", "{{gatehouse_state}}"),
            (f"gatehouse_order_unknown_age_seconds{_HERE}", "longest unknown (s)"),
        ),
    ),
    Panel(
        "Guards",
        ((f"gatehouse_guard_level{_HERE} == 1", "{{gatehouse_level}}"),),
        "state-timeline",
        what="The most severe level that a guard demands.",
        words=(("1", "now", _BLUE),),
    ),
    Panel(
        "Breaches and halts",
        (
            (_total("guard_breach", "guard", "level"), "{{gatehouse_guard}}: {{gatehouse_level}}"),
            (_total("halt", "cause"), "halt: {{gatehouse_cause}}"),
        ),
        what="Since the process started.",
    ),
    Panel(
        "Gates and commands",
        (
            (_total("gate_evaluated", "gate", "verdict"), "{{gatehouse_gate}}: {{gatehouse_verdict}}"),
            (_total("command_decided", "verb", "outcome"), "{{gatehouse_verb}}: {{gatehouse_outcome}}"),
        ),
        what="Since the process started.",
    ),
    Panel(
        "Journal: time to be durable",
        tuple((_slowest(part, "journal_append", lately=True), f"{part} %") for part in (50, 99)),
        unit="s",
        what="Every order waits for it.",
    ),
    Panel(
        "Time until a venue's answer is durable",
        ((_slowest(99, "order_answer"), "99 %"),),
        unit="s",
    ),
    Panel(
        "Alerts, drills, copies",
        (
            (f"sum(gatehouse_alert_open{_HERE})", "alerts not acknowledged"),
            (f"gatehouse_drill_passed{_HERE}", "{{gatehouse_drill}} drill passed"),
            (f"gatehouse_checkpoint_agrees{_HERE}", "{{gatehouse_target}} agrees"),
            (f"gatehouse_bot_live{_HERE}", "{{gatehouse_bot}} is connected"),
        ),
    ),
)

VENUE: tuple[Panel, ...] = (
    Panel(
        "Books proven",
        ((f"gatehouse_reconciled{_HERE}", "{{gatehouse_venue}}"),),
        "stat",
        words=(("1", "yes", _GREEN), ("0", "NO", _RED)),
        what="The last reconciliation agreed and is young enough.",
        high=5,
    ),
    Panel(
        "Reachable",
        ((f"gatehouse_venue_reachable{_HERE}", "{{gatehouse_venue}}"),),
        "stat",
        words=(("1", "yes", _GREEN), ("0", "NO", _RED)),
        high=5,
    ),
    Panel(
        "Streams",
        ((f"gatehouse_stream_up{_HERE}", "{{gatehouse_venue}} {{gatehouse_stream}}"),),
        "stat",
        words=(("1", "up", _GREEN), ("0", "DOWN", _RED)),
        high=5,
    ),
    Panel(
        "Age of the quotes",
        (
            (f"gatehouse_market_quote_age_seconds{_HERE}", "{{gatehouse_symbol}} at {{gatehouse_venue}}"),
            (f"gatehouse_market_quote_age_limit_seconds{_HERE}", "no order from here on"),
        ),
        unit="s",
        wide=12,
    ),
    Panel(
        "Age of the last clean reconciliation",
        ((f"gatehouse_reconciliation_age_seconds{_HERE}", "{{gatehouse_venue}}"),),
        unit="s",
        wide=12,
    ),
    Panel(
        "Clock: ours less the venue's",
        (
            (f"gatehouse_venue_clock_offset_seconds{_HERE}", "{{gatehouse_venue}}"),
            (f"gatehouse_venue_clock_uncertainty_seconds{_HERE}", "{{gatehouse_venue}}, uncertainty"),
        ),
        unit="s",
        wide=12,
    ),
    Panel(
        "Reconciliations",
        ((_total("reconciliation_done", "venue", "result"), "{{gatehouse_venue}}: {{gatehouse_result}}"),),
        what="Since the process started.",
        wide=12,
    ),
    Panel(
        "How orders ended",
        ((_total("order_ended", "outcome"), "{{gatehouse_outcome}}"),),
        what="Since the process started.",
        wide=12,
    ),
    Panel(
        "From the breach to the latch, to an empty venue",
        (
            (_slowest(99, "halt_latch"), "latched"),
            (_slowest(99, "halt_cancel"), "cancelled"),
        ),
        unit="s",
        what="The slowest of all halts since the process started.",
        wide=12,
    ),
)

FLEET: tuple[Panel, ...] = (
    Panel(
        "HALTED",
        (("sum(gatehouse_halted) or vector(-1)", ""),),
        "stat",
        what="How many deployments are HALTED. Nothing that answers is red too.",
        colours=((None, _RED), (0, _GREEN), (1, _RED)),
        words=(("-1", "UNKNOWN", _RED),),
        wide=6,
        high=4,
    ),
    Panel(
        "Not answering",
        (('sum(up{job="gatehouse"} == bool 0) or vector(-1)', ""),),
        "stat",
        what="How many controllers Prometheus cannot read.",
        colours=((None, _RED), (0, _GREEN), (1, _RED)),
        words=(("-1", "UNKNOWN", _RED),),
        wide=6,
        high=4,
    ),
    Panel("Can place orders", (("sum(gatehouse_armed)", ""),), "stat", colours=((None, _BLUE),), wide=6, high=4),
    Panel(
        "Alerts not acknowledged",
        (("sum(gatehouse_alert_open)", ""),),
        "stat",
        colours=((None, _GREEN), (1, _YELLOW)),
        wide=6,
        high=4,
    ),
    Panel(
        "Where each deployment is",
        (("gatehouse_stage == 1", "{{deployment}} {{instance}}: {{gatehouse_stage}}"),),
        "state-timeline",
        words=(("1", "here", _BLUE),),
        wide=24,
        high=9,
    ),
    Panel(
        "HALTED, each",
        (("max by (deployment) (gatehouse_halted)", "{{deployment}}"),),
        "state-timeline",
        words=(("1", "HALTED", _RED), ("0", "no", _GREEN)),
        wide=12,
    ),
    Panel(
        "Can place orders, each",
        (("max by (deployment) (gatehouse_armed)", "{{deployment}}"),),
        "state-timeline",
        words=(("1", "yes", _GREEN), ("0", "NO", _YELLOW)),
        wide=12,
    ),
    Panel(
        "Exposure as a part of the cap",
        (
            (
                "max by (deployment) (gatehouse_exposure / on (instance, job) group_left () (gatehouse_exposure_limit > 0))",
                "{{deployment}}",
            ),
        ),
        unit="percentunit",
        wide=12,
    ),
    Panel("Worst-case exposure", (("sum by (deployment) (gatehouse_exposure)", "{{deployment}}"),), unit="currencyEUR", wide=12),
    Panel(
        "Last decision",
        (("max by (deployment, instance) (gatehouse_decision_age_seconds)", "{{deployment}} {{instance}}"),),
        unit="s",
        colours=((None, _GREEN), (2, _RED)),
        wide=12,
    ),
    Panel(
        "Versions",
        (('count by (service_version) (target_info{service_name="gatehouse"})', "{{service_version}}"),),
        wide=12,
    ),
)

DASHBOARDS = {"deployment": ("A deployment", DEPLOYMENT), "venue": ("Its venues", VENUE), "fleet": ("All deployments", FLEET)}
"""Each dashboard's panels, by the name of its file."""


def dashboard(name: str) -> str:
    """The dashboard as JSON."""
    title, panels = DASHBOARDS[name]
    placed, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.wide > 24:
            x, y, row = 0, y + row, 0
        placed.append(_panel(panel, number, x, y))
        x, row = x + panel.wide, max(row, panel.high)
    document = {
        "uid": f"gatehouse-{name}",
        "title": f"gatehouse: {title}",
        "tags": ["gatehouse"],
        "timezone": "utc",
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables(of_one=name != "fleet")},
        "annotations": {"list": []},
        "panels": placed,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _variables(*, of_one: bool) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
    if of_one:
        query = "label_values(gatehouse_leading, deployment)"
        found.append(
            {"name": "deployment", "type": "query", "datasource": _SOURCE, "query": query, "refresh": 2, "sort": 1, "multi": False}
        )
    return found


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, object]:
    words = [
        {"type": "value", "options": {value: {"text": text, "color": colour, "index": index}}}
        for index, (value, text, colour) in enumerate(panel.words)
    ]
    defaults: dict[str, object] = {
        "unit": panel.unit,
        "mappings": words,
        "thresholds": {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in panel.colours]},
    }
    if panel.form == "timeseries":
        # A gap is shown as a gap: a line across it would say that the value was known.
        defaults["custom"] = {"spanNulls": False}
    return {
        "id": number,
        "type": panel.form,
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.wide, "h": panel.high},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.form],
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend or "__auto",
                # Now, and not the last value of the hour: what does not answer any more has none.
                "instant": panel.form == "stat",
                "range": panel.form != "stat",
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }


def _legend(*, shown: bool) -> dict[str, object]:
    return {"displayMode": "list", "placement": "bottom", "showLegend": shown, "calcs": []}


_OPTIONS: dict[str, dict[str, object]] = {
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value_and_name",
        "justifyMode": "auto",
        "orientation": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["last"], "fields": "", "values": False},
    },
    "timeseries": {"legend": _legend(shown=True), "tooltip": {"mode": "multi", "sort": "none"}},
    "state-timeline": {
        "mergeValues": True,
        "showValue": "auto",
        "rowHeight": 0.8,
        "legend": _legend(shown=False),
        "tooltip": {"mode": "single", "sort": "none"},
    },
}
