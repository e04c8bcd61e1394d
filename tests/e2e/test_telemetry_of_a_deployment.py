"""A running controller with a local collector: orders and commands are traced, every declared metric is emitted with its unit, a
halt is visible in the metrics and in readiness, a breach reaches Sentry, and no secret leaves.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families

from controller.telemetry.instruments import INSTRUMENTS
from tests.support.collectors import Collector, collecting
from tests.support.eventful import SPAN_ID, TRACE_ID, breach, scrape, trade_live
from tests.support.rig import Rig, rig

NOT_IN_THIS_RUN = {"gatehouse_order_unknown", "gatehouse_telemetry_lost"}
"""The counters of what does not happen here; ``tests/unit/telemetry`` counts them."""


def values(text: str, *names: str) -> list[float]:
    """The values of metrics without labels."""
    return [float(line.split()[1]) for name in names for line in text.splitlines() if line.startswith(f"{name} ")]


def check_declared(text: str, open_metrics: str) -> None:
    """Every declared metric has a value, with its type, unit and description, and no other is there."""
    emitted = {family.name: family for family in text_string_to_metric_families(text) if family.samples}
    emitted.pop("target_info")
    declared = {one.prometheus_name.removesuffix("_total"): one for one in INSTRUMENTS}
    assert set(emitted) == set(declared)
    for name, one in declared.items():
        assert (emitted[name].type, emitted[name].documentation) == (one.kind.value, one.description)
    still = {name for name, family in emitted.items() if family.type == "counter" and not any(one.value for one in family.samples)}
    assert still == NOT_IN_THIS_RUN
    units = {family.name: family.unit for family in open_metrics_families(open_metrics)}
    assert {name for name, unit in units.items() if unit == "seconds"} == {n for n, one in declared.items() if one.unit == "s"}


def check_pushed(collector: Collector) -> None:
    """The collector got the same metrics with their units."""
    assert collector.units() == {one.name: one.unit for one in INSTRUMENTS}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
async def deployment(tmp_path: Path, collector: Collector) -> AsyncIterator[Rig]:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "SENTRY_DSN": f"{collector.url.replace('://', '://public@')}/1",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    async with rig(tmp_path / "deployment", environment=environment, witnesses=(tmp_path / "copies",)) as built:
        await built.start()
        yield built


async def readiness(deployment: Rig) -> tuple[int, int]:
    """The status of ``/livez`` and of ``/readyz``."""
    live, ready = await deployment.ask("GET", "/livez"), await deployment.ask("GET", "/readyz")
    return live.status_code, ready.status_code


async def test_orders_and_commands_are_traced_and_a_breach_is_reported(deployment: Rig, collector: Collector) -> None:
    await trade_live(deployment)
    assert values(await scrape(deployment), "gatehouse_halted", "gatehouse_armed") == [0, 1]
    assert await readiness(deployment) == (200, 200)
    await breach(deployment)
    text = await scrape(deployment)
    assert values(text, "gatehouse_halted", "gatehouse_armed") == [1, 0]
    assert 'gatehouse_stage{gatehouse_stage="HALTED"} 1.0' in text
    assert await readiness(deployment) == (200, 503)
    check_declared(text, await scrape(deployment, "application/openmetrics-text; version=1.0.0"))
    admitted = await deployment.entries("order-admitted")
    await deployment.stop()
    check_pushed(collector)

    spans = collector.spans()
    roots = [span for span in spans if span.name == "order"]
    outcomes = {a.value.string_value for span in roots for a in span.attributes if a.key == "gatehouse.outcome"}
    assert {"FILLED", "denied"} <= outcomes
    filled = next(span for span in roots if any(a.value.string_value == "FILLED" for a in span.attributes))
    phases = {span.name for span in spans if span.parent_span_id == filled.span_id}
    assert phases >= {"order.request", "order.admission", "order.journal", "order.send", "order.outcome"}
    assert (filled.trace_id.hex(), filled.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert [entry["body"]["trace_id"] for entry in admitted] == [TRACE_ID]
    assert {"gate", "reconciliation", "halt", "halt.latch", "halt.cancel", "drill", "drill.latch"} <= {span.name for span in spans}
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in spans if span.name == "order.journal")
    commands = [span for span in spans if span.name == "command"]
    assert len(commands) >= 3
    assert {"command.verify", "command.apply"} <= {span.name for span in spans}
    events = collector.sentry_events()
    assert any("breached" in str(event) for event in events)
    assert any("HALTED" in str(event) and event["environment"] == "HALTED" for event in events)
    found = {(one["monitor_slug"], one["status"]) for one in collector.check_ins()}
    assert found >= {("rig-heartbeat", "ok"), ("rig-heartbeat", "error"), ("rig-reconciliation", "ok"), ("rig-drill-halt", "ok")}
    for name in ("testnet", "live", "bot"):
        assert (deployment.directory / f"{name}.secret").read_text().encode() not in collector.everything
