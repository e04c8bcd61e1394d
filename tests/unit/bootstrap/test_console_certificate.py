"""The remote console shows a renewed certificate without a restart, and somebody is alerted before one ends."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from controller.bootstrap.console_certificate import ConsoleCertificate
from controller.core.effects import Alert, AlertKind
from controller.settings.console import RemoteConsoleSettings
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import NO_REPORTS
from exchange.model import Millis
from tests.support.certificates import DAY, Issued, issue
from tests.support.shell import SetClock

ENDS = "the certificate of the remote console ends soon"
UNUSABLE = "the renewed certificate of the remote console cannot be used"


@dataclass
class Desk:
    """The files that the settings name, what looks at them, and the alerts that it sent and ended."""

    place: Path
    clock: SetClock
    sent: list[Alert] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def put(self, issued: Issued) -> None:
        """As a program that renews certificates does: two files, replaced one after the other."""
        for one, name in ((issued.certificate, "console.pem"), (issued.key, "console.key")):
            shutil.copy(one, self.place / f".{name}")
            (self.place / f".{name}").replace(self.place / name)

    def certificate(self) -> ConsoleCertificate:
        settings = RemoteConsoleSettings(
            host="127.0.0.1", port=0, names=("desk.example",), certificate="console.pem", key="console.key"
        )
        alerts = Alerts(clock=self.clock, reports=NO_REPORTS, redactor=Redactor(), deliver=self.sent.append)
        alerts.follow(lambda _: False, lambda _, title, __: self.ended.append(title))
        return ConsoleCertificate(self.place, settings, alerts, self.clock)

    def titles(self) -> list[str]:
        assert {one.kind for one in self.sent} <= {AlertKind.CERTIFICATE}
        return [one.title for one in self.sent]


Make = Callable[..., Issued]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "desk").mkdir()
    return Desk(tmp_path / "desk", SetClock(Millis(int(dt.datetime.now(dt.UTC).timestamp() * 1000))))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(name: str, ends: dt.timedelta = 60 * DAY) -> Issued:
        one = issue(tmp_path, ends, name=name)
        one.key.chmod(0o600)
        return one

    return made


def shown(context: ssl.SSLContext) -> x509.Certificate:
    """The certificate that a new connection gets."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with ours, context.wrap_socket(ours, server_side=True) as secured:
            secured.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with theirs, client.wrap_socket(theirs) as secured:
        got = secured.getpeercert(binary_form=True)
        secured.send(b"!")
    thread.join()
    return x509.load_der_x509_certificate(got or b"")


def test_a_renewed_certificate_is_shown_without_a_restart(desk: Desk, make: Make) -> None:
    first, second = make("first"), make("second")
    desk.put(first)
    certificate = desk.certificate()
    assert shown(certificate.context) == first.parsed
    desk.put(second)
    certificate.look()
    assert shown(certificate.context) == second.parsed
    assert desk.sent == []


def test_a_pair_that_is_half_written_is_not_shown_and_alerts_nobody(desk: Desk, make: Make) -> None:
    first, second = make("first"), make("second")
    desk.put(first)
    certificate = desk.certificate()
    shutil.copy(second.certificate, desk.place / "console.pem")
    certificate.look()
    assert shown(certificate.context) == first.parsed
    shutil.copy(second.key, desk.place / "console.key")
    certificate.look()
    assert shown(certificate.context) == second.parsed
    assert desk.sent == []


@pytest.mark.parametrize("spoil", ["another's key", "readable by others", "no key", "no pem"])
def test_a_renewed_pair_that_cannot_be_used_alerts_and_is_not_shown(desk: Desk, make: Make, spoil: str) -> None:
    first, second = make("first"), make("second")
    desk.put(first)
    certificate = desk.certificate()
    desk.put(second)
    key = desk.place / "console.key"
    if spoil == "another's key":
        shutil.copy(first.key, key)
    elif spoil == "readable by others":
        key.chmod(0o644)
    elif spoil == "no key":
        key.unlink()
    else:
        key.write_text("nothing")
    certificate.look()
    certificate.look()
    assert desk.titles() == [UNUSABLE]
    assert shown(certificate.context) == first.parsed
    desk.put(second)
    certificate.look()
    assert UNUSABLE in desk.ended
    assert shown(certificate.context) == second.parsed


@pytest.mark.parametrize(("days", "alerted"), [(11, False), (9, True), (-1, True)])
def test_a_certificate_that_ends_within_ten_days_is_alerted(desk: Desk, make: Make, days: int, alerted: bool) -> None:
    desk.put(make("own", days * DAY))
    desk.certificate().look()
    assert desk.titles() == ([ENDS] if alerted else [])
    assert (ENDS in desk.ended) is not alerted


def test_a_renewal_ends_the_alert(desk: Desk, make: Make) -> None:
    desk.put(make("short", DAY))
    certificate = desk.certificate()
    certificate.look()
    assert ENDS not in desk.ended
    desk.put(make("long"))
    certificate.look()
    assert ENDS in desk.ended


def test_one_that_was_good_is_alerted_when_its_end_comes_near(desk: Desk, make: Make) -> None:
    desk.put(make("own"))
    certificate = desk.certificate()
    certificate.look()
    desk.clock.at = Millis(desk.clock.at + 51 * 24 * 3_600_000)
    certificate.look()
    assert desk.titles() == [ENDS]
