from __future__ import annotations

import logging

import pytest

from controller.core.effects import INFORMS, Alert, AlertKind
from controller.telemetry.alerts import QUIET_MS, Alerts
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


def make(clock: SetClock | None = None) -> Alerts:
    redactor = Redactor()
    redactor.register("canary-secret")
    return Alerts(clock=clock or SetClock(), reports=NO_REPORTS, redactor=redactor)


def test_an_alert_that_repeats_is_told_once() -> None:
    clock = SetClock()
    alerts = make(clock)
    told = []
    for clock.at in range(0, 5 * QUIET_MS, QUIET_MS // 4):
        told.append(alerts.notify(BREACH))
    assert told == [True] + [False] * (len(told) - 1)


def test_an_alert_is_told_again_after_it_has_been_quiet() -> None:
    clock = SetClock()
    alerts = make(clock)
    alerts.notify(BREACH)
    clock.at = QUIET_MS
    assert alerts.notify(BREACH)


def test_a_second_halt_after_a_stage_change_is_told_at_once() -> None:
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


def test_what_this_process_noticed_is_remembered_without_secrets_also_from_before_there_was_a_journal() -> None:
    alerts, remembered = make(), list[Alert]()
    early = Alert(AlertKind.VENUE_LOCKOUT, "locked out", "said canary-secret")
    alerts.notify(early)
    alerts.journal_with(remembered.append)
    alerts.notify(BREACH)
    assert remembered == [Alert(AlertKind.VENUE_LOCKOUT, "locked out", "said [removed]"), BREACH]


def test_what_is_in_the_journal_already_is_not_remembered_again() -> None:
    alerts, remembered = make(), list[Alert]()
    alerts.journal_with(remembered.append)
    assert alerts.decided(BREACH)
    assert remembered == []


def test_what_nobody_has_to_answer_for_is_not_remembered() -> None:
    alerts, remembered = make(), list[Alert]()
    alerts.journal_with(remembered.append)
    for kind in INFORMS:
        assert alerts.notify(Alert(kind, "title", ""))
    assert remembered == []
