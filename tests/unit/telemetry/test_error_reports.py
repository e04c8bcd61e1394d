from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from controller.core.effects import Alert, AlertKind
from controller.telemetry import sentry
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.errors import ConfigError
from exchange.model import Millis
from tests.support.collectors import Collector, collecting

CANARY = "canary-9f27c1e5d0"


class FixedClock:
    def now(self) -> Millis:
        return Millis(1_000)

    def monotonic_ns(self) -> int:
        return 0


def redactor() -> Redactor:
    redactor = Redactor()
    redactor.register(CANARY)
    return redactor


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as running:
        monkeypatch.setenv("SENTRY_DSN", running.url.replace("http://", "http://public@") + "/7")
        yield running


def reports() -> Reports:
    return sentry.from_environment(controller_id="anna-btc", environment="rehearsal", version="0.1.0", redactor=redactor())


async def test_a_breach_and_a_halt_arrive_as_events_with_tags(project: Collector) -> None:
    running = reports()
    alerts = Alerts(clock=FixedClock(), reports=running, redactor=redactor())
    alerts.notify(Alert(AlertKind.BREACH, "max-drawdown", "3.4 % > 3 %"))
    alerts.notify(Alert(AlertKind.HALTED, "HALTED from LIVE_€10", "max-drawdown"))
    await running.aclose()
    breach, halt = sorted(project.sentry_events(), key=lambda event: event["tags"]["kind"])
    assert breach["message"] == "max-drawdown"
    assert breach["tags"] == {"controller_id": "anna-btc", "environment": "rehearsal", "kind": "breach"}
    assert breach["extra"]["detail"] == "3.4 % > 3 %"
    assert (breach["environment"], breach["release"], breach["level"]) == ("rehearsal", "gatehouse@0.1.0", "error")
    assert (halt["tags"]["kind"], halt["level"]) == ("halted", "fatal")


async def test_an_error_arrives_with_its_stack_and_without_local_variables(project: Collector) -> None:
    running = reports()

    def fail() -> None:
        token = f"local-{CANARY}"
        raise RuntimeError(f"cannot sign with {CANARY}: {len(token)}")

    try:
        fail()
    except RuntimeError as error:
        running.error(error)
    await running.aclose()
    (event,) = project.sentry_events()
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    assert event["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"] == "fail"
    assert CANARY.encode() not in project.everything
    assert b"server_name" not in project.everything


@pytest.mark.parametrize(
    "planted",
    [
        {"extra": {"envelope": '{"payload":"x","payloadType":"t","signatures":[{"sig":"MEUCIQ"}]}'}},
        {"extra": {"note": 'got {"signatures":[{"sig":"MEUCIQ","keyid":"k"}],"payloadType":"t"}'}},
        {"extra": {"query": "symbol=BTCEUR&timestamp=1&signature=MEUCIQ"}},
        {"extra": {"headers": {"X-MEXC-APIKEY": "MEUCIQ", "Authorization": "MEUCIQ"}}},
        {"message": "-----BEGIN OPENSSH PRIVATE KEY-----\nMEUCIQ\n-----END OPENSSH PRIVATE KEY-----"},
        {"message": "-----BEGIN SSH SIGNATURE-----\nMEUCIQ"},
        {"message": "the key mx0vMEUCIQ is wrong"},
        {"request": {"data": "MEUCIQ"}},
        {"user": {"id": "MEUCIQ"}},
        {"breadcrumbs": {"values": [{"message": "MEUCIQ"}]}},
        {"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"a": "MEUCIQ"}, "context_line": "MEUCIQ"}]}}]}},
        {"tags": {"listenKey": "MEUCIQ"}},
        {"extra": {"deep": [[{"a": {"password": "MEUCIQ"}}]]}},
    ],
)
def test_the_scrubber_removes_keys_signatures_and_envelopes(planted: Any) -> None:
    assert "MEUCIQ" not in repr(sentry.scrubber(Redactor())(planted, {}))


def test_the_scrubber_keeps_ordinary_text() -> None:
    event: Any = {"message": "max-drawdown", "tags": {"kind": "breach"}, "extra": {"detail": "3.4 % > 3 %", "seq": 12}}
    assert sentry.scrubber(redactor())(event, {}) == event


def test_a_malformed_dsn_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRY_DSN", "not a dsn")
    with pytest.raises(ConfigError, match="SENTRY_DSN"):
        reports()


async def test_the_environment_of_an_event_is_the_stage(project: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTRY_ENVIRONMENT", raising=False)
    running = reports()
    running.at_stage("LIVE_€10")
    running.event("max-drawdown", "3.4 % > 3 %", level="error", tags={})
    running.error(RuntimeError("lost"))
    monkeypatch.setenv("SENTRY_ENVIRONMENT", "desk")
    running.event("another", "", level="error", tags={})
    await running.aclose()
    assert sorted(event["environment"] for event in project.sentry_events()) == ["LIVE_€10", "LIVE_€10", "rehearsal"]
    assert {event["release"] for event in project.sentry_events()} == {"gatehouse@0.1.0"}
