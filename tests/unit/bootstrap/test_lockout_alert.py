"""A venue that has locked this address out is an alert for people."""

import logging

import pytest

from controller.bootstrap import venues
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.mexc.ratelimit import LockOut
from exchange.model import Millis
from exchange.ports import VenueName


class Clock:
    def now(self) -> Millis:
        return Millis(1_700_000_000_000)

    def monotonic_ns(self) -> int:
        return 0


def test_a_lock_out_is_an_alert_that_names_the_venue_and_its_length(caplog: pytest.LogCaptureFixture) -> None:
    redactor = Redactor()
    alerts = Alerts(clock=Clock(), reports=NO_REPORTS, redactor=redactor)
    with caplog.at_level(logging.ERROR, logger="gatehouse.alerts"):
        venues._alert_lockout(alerts.notify, VenueName.LIVE, LockOut(418, 0, 120))
    assert "the live venue has locked this address out" in caplog.text
    assert "HTTP 418" in caplog.text
    assert "120 s" in caplog.text
