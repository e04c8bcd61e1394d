from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest

from controller.core.alert_catalogue import INFORMS
from controller.core.effects import Alert, AlertKind
from controller.telemetry.alerts import QUIET_MS, Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS, Reports
from exchange.model import Millis

BREACH = Alert(AlertKind.BREACH, "max-drawdown", "3.4 % > 3 %")


class SetClock:
    def __init__(self) -> None:
        self.at = 0

    def now(self) -> Millis:
        return Millis(self.at)

    def monotonic_ns(self) -> int:
        return self.at * 1_000_000


def make(clock: SetClock | None = None) -> Alerts:
    redactor = Redactor()
    redactor.register("canary-secret")
    return Alerts(clock=clock or SetClock(), reports=NO_REPORTS, redactor=redactor)


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


def test_a_clock_that_is_set_back_keeps_no_alert_quiet() -> None:
    clock = SetClock()
    clock.at = 3_600_000
    alerts = make(clock)
    alerts.notify(BREACH)
    clock.at = 0
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


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_is_sent_and_reported_if_it_needs_a_person(kind: AlertKind) -> None:
    reported = list[str]()

    class Collected(Reports):
        def event(self, title: str, detail: str, *, level: str, tags: Mapping[str, str]) -> None:
            reported.append(title)

    alerts = Alerts(clock=SetClock(), reports=Collected(), redactor=Redactor())
    assert alerts.decided(Alert(kind, "said", "why"))
    assert kind in INFORMS or reported == ["said"]


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


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_is_sent(kind: AlertKind) -> None:
    assert make().decided(Alert(kind, "a title", "a detail"))


@pytest.mark.parametrize("kind", [kind for kind in AlertKind if kind not in INFORMS])
def test_every_alert_that_must_be_acknowledged_is_reported(kind: AlertKind) -> None:
    reported: list[str] = []

    class Listening:
        def event(self, title: str, detail: str, *, level: str, tags: Mapping[str, str]) -> None:
            reported.append(tags["kind"])

        def error(self, error: BaseException, *, tags: Mapping[str, str] | None = None) -> None:
            raise AssertionError(error)

        async def aclose(self) -> None:
            return

    Alerts(clock=SetClock(), reports=Listening(), redactor=Redactor()).decided(Alert(kind, "a title", "a detail"))
    assert reported == [kind.value]
