"""The page of metrics, from the table in ``controller/telemetry/instruments.py``. ``generate.py`` writes it."""

from __future__ import annotations

from controller.telemetry.instruments import BUCKETS_S, INSTRUMENTS, Instrument, Kind

_HEAD = """# Metrics of a deployment

Generated from `controller/telemetry/instruments.py` by `make docs`. Why they are so:
[ADR 65](adr/0065-telemetry-cannot-hide-a-halt.md). The metrics that a gate rule compares are others: [metrics.md](metrics.md).

## Where they come from

- **Prometheus** reads `GET /metrics` on the console's port (8701, loopback), in its text format or as OpenMetrics. It needs no
  setting. [ops/prometheus](../prometheus/README.md) has a scrape configuration and alerts, [ops/grafana](../grafana/README.md) has
  three dashboards.
- **A collector** gets the same metrics over OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is
  set ([ops/otel](../otel/README.md)).

Prometheus writes a dot as `_`, adds `_seconds` to a time and `_total` to a counter. Labels begin with `gatehouse_`. `target_info`
has the version, the controller's id (`service_instance_id`) and the environment.

## What a value means

- A gauge is judged by its age at the moment of the scrape. It turns to 0 or ends by itself; nothing has to report that it is wrong.
  `gatehouse_armed` is 1 only while an order can really be placed.
- What is not known is not shown as 0: the last column says when a gauge has no value. An alert on such a gauge needs `absent` or
  `unless`, as in `ops/prometheus`.
- A counter counts since the process started. Values that are known beforehand are there from the start, at 0.
- The buckets of every histogram end at {buckets} s.
- An uptime check reads `/readyz` (200 only while orders can be placed; 503 when HALTED, not armed, late, or a standby) and
  `/livez` (200 while the writer decides).
"""

_COLUMNS = ["| metric | in Prometheus | unit | what it is | labels | no value while |", "|---|---|---|---|---|---|"]
_TITLES = {Kind.GAUGE: "What is true now", Kind.COUNTER: "What happened", Kind.HISTOGRAM: "How long it took"}


def telemetry() -> str:
    """The page: how to read the metrics, and a table for each kind."""
    lines = [_HEAD.format(buckets=", ".join(format(bucket, "g") for bucket in BUCKETS_S))]
    for kind, title in ((Kind.GAUGE, "What is true now"), (Kind.COUNTER, "What happened"), (Kind.HISTOGRAM, "How long it took")):
        lines += [
            f"## {title}",
            "",
            "| metric | in Prometheus | unit | what it is | labels | no value while |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(one) for one in INSTRUMENTS if one.kind is kind]
        lines.append("")
    return "\n".join(lines)


def _row(one: Instrument) -> str:
    labels = ", ".join(f"`{name}`" for name in one.labels) or "-"
    return f"| `{one.name}` | `{one.prometheus_name}` | `{one.unit}` | {one.description} | {labels} | {one.missing or '-'} |"
