from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from controller.core.effects import INFORMS, Alert, AlertKind
from controller.telemetry import alerts as subject
from controller.telemetry.alerts import QUEUE, QUIET_MS, SIGNATURE_HEADER, Alerts, Webhook
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.model import Millis

BREACH = Alert(AlertKind.BREACH, "max-drawdown", "3.4 % > 3 %")


class SetClock:
    def __init__(self) -> None:
        self.at = 0

    def now(self) -> Millis:
        return Millis(self.at)

    def monotonic_ns(self) -> int:
        return self.at * 1_000_000


def make(clock: SetClock | None = None, answer: Callable[[httpx.Request], httpx.Response] | None = None, **more: str) -> Alerts:
    redactor = Redactor()
    redactor.register("canary-secret")
    return Alerts(
        controller_id="anna-btc",
        environment="rehearsal",
        clock=clock or SetClock(),
        reports=NO_REPORTS,
        redactor=redactor,
        webhook=Webhook("http://127.0.0.1:9/hook", **more) if answer else None,
        transport=(lambda: httpx.MockTransport(answer)) if answer else None,
    )


@asynccontextmanager
async def delivering(alerts: Alerts) -> AsyncIterator[None]:
    task = asyncio.create_task(alerts.run())
    try:
        yield
        await asyncio.wait_for(alerts.drained(), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_repeated_alert_is_sent_once() -> None:
    clock = SetClock()
    alerts = make(clock)
    sent = []
    for clock.at in range(0, 5 * QUIET_MS, QUIET_MS // 4):
        sent.append(alerts.notify(BREACH))
    assert sent == [True] + [False] * (len(sent) - 1)


def test_an_alert_is_sent_again_after_a_quiet_time() -> None:
    clock = SetClock()
    alerts = make(clock)
    alerts.notify(BREACH)
    clock.at = QUIET_MS
    assert alerts.notify(BREACH)


def test_a_second_halt_after_a_stage_change_is_sent_at_once() -> None:
    alerts = make()
    halted = Alert(AlertKind.HALTED, "HALTED", "drawdown")
    assert alerts.notify(halted)
    assert alerts.notify(Alert(AlertKind.STAGE, "HALTED to LIVE_€10", "resume"))
    assert alerts.notify(halted)


def test_an_alert_is_logged_at_its_level_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    make().notify(Alert(AlertKind.HALTED, "HALTED", "said canary-secret"))
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage() == "HALTED: said [removed]"


async def test_a_webhook_gets_a_signed_alert() -> None:
    got: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(204)

    alerts = make(answer=answer, secret="hook-secret")
    async with delivering(alerts):
        alerts.notify(BREACH)
    (request,) = got
    assert json.loads(request.content) == {
        "kind": "breach",
        "title": "max-drawdown",
        "detail": "3.4 % > 3 %",
        "at_ms": 0,
        "controller_id": "anna-btc",
        "environment": "rehearsal",
    }
    assert request.headers[SIGNATURE_HEADER] == "sha256=" + hmac.new(b"hook-secret", request.content, hashlib.sha256).hexdigest()


async def test_a_failing_webhook_is_retried_and_then_the_alert_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "BACKOFF_S", 0)
    got: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        raise httpx.ConnectError("no")

    alerts = make(answer=answer)
    async with delivering(alerts):
        alerts.notify(BREACH)
    assert len(got) == subject.ATTEMPTS
    assert alerts.dropped == 1


def test_a_full_queue_drops_and_counts_instead_of_waiting() -> None:
    alerts = make(answer=lambda _: httpx.Response(204))
    for number in range(QUEUE + 3):
        alerts.notify(Alert(AlertKind.BREACH, f"guard-{number}", ""))
    assert alerts.dropped == 3


def test_alerts_from_before_the_journal_are_journalled_without_secrets() -> None:
    alerts, remembered = make(), list[Alert]()
    early = Alert(AlertKind.VENUE_LOCKOUT, "locked out", "said canary-secret")
    alerts.notify(early)
    alerts.journal_with(remembered.append)
    alerts.notify(BREACH)
    assert remembered == [Alert(AlertKind.VENUE_LOCKOUT, "locked out", "said [removed]"), BREACH]


def test_an_alert_of_a_journalled_decision_is_not_journalled_again() -> None:
    alerts, remembered = make(), list[Alert]()
    alerts.journal_with(remembered.append)
    assert alerts.decided(BREACH)
    assert remembered == []


def test_an_alert_that_needs_no_acknowledgement_is_not_journalled() -> None:
    alerts, remembered = make(), list[Alert]()
    alerts.journal_with(remembered.append)
    for kind in INFORMS:
        assert alerts.notify(Alert(kind, "title", ""))
    assert remembered == []
