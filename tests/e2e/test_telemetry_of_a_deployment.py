"""A running controller with a local collector: every order and command is traced, a breach reaches Sentry, no secret leaves."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from exchange.testnet.conditions.faults import FaultKind
from tests.support.collectors import Collector, collecting
from tests.support.rig import SYMBOL, Rig, rig


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
    async with rig(tmp_path / "deployment", environment=environment) as built:
        await built.start()
        yield built


async def test_orders_and_commands_are_traced_and_a_breach_is_reported(deployment: Rig, collector: Collector) -> None:
    await deployment.climb("LIVE_€10")
    market = await deployment.bid()
    taken = await deployment.buy(f"{market * 1002 / 1000:.2f}", "0.00008", "traced")
    assert taken.status_code == 200
    denied = await deployment.buy(await deployment.resting_price(), "0.0009", "denied")
    assert denied.status_code == 400
    await deployment.until(lambda status: float(status["exposure_eur"] or 0) > 4)
    deployment.live.arm(FaultKind.PRICE_GAP, params={"symbol": SYMBOL, "factor": "0.88"})
    await deployment.until(lambda status: status["halt"] is not None)
    await deployment.stop()

    spans = collector.spans()
    roots = [span for span in spans if span.name == "order"]
    outcomes = {a.value.string_value for span in roots for a in span.attributes if a.key == "gatehouse.outcome"}
    assert {"FILLED", "denied"} <= outcomes
    filled = next(span for span in roots if any(a.value.string_value == "FILLED" for a in span.attributes))
    phases = {span.name for span in spans if span.parent_span_id == filled.span_id}
    assert phases == {"order.admission", "order.journal", "order.send", "order.outcome"}
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in spans if span.name == "order.journal")
    commands = [span for span in spans if span.name == "command"]
    assert len(commands) >= 3
    assert {"command.verify", "command.apply"} <= {span.name for span in spans}
    events = collector.sentry_events()
    assert any("breached" in str(event) for event in events)
    assert any("HALTED" in str(event) for event in events)
    for name in ("testnet", "live", "bot"):
        assert (deployment.directory / f"{name}.secret").read_text().encode() not in collector.everything
