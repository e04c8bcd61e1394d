"""The certificate of the remote console: used again when it is renewed, without a restart, and alerted before it ends.

``bootstrap.remote_console`` starts it. A program that renews certificates writes two files one after the other, so a pair that does
not fit is looked at again before anybody is alerted; until a pair fits, the console shows the one before.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from cryptography import x509

from controller.bootstrap.beside import run_beside
from controller.core.effects import Alert, AlertKind
from controller.settings.console import RemoteConsoleSettings
from controller.telemetry.alerts import Alerts
from exchange.errors import ConfigError
from exchange.ports import Clock

LOOK_EVERY_S = 30.0
SOON_MS = 10 * 24 * 3_600_000
"""An alert comes this long before the end, or in the last quarter of a life shorter than 40 days, as in doctor."""

_ENDS = "the certificate of the remote console ends soon"
_UNUSABLE = "the renewed certificate of the remote console cannot be used"


def open_tls(directory: Path, settings: RemoteConsoleSettings) -> ssl.SSLContext:
    """The TLS of the console. Raises ``ConfigError`` (``console-tls``) for files that are missing, exposed or do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, directory / settings.certificate, directory / settings.key)
    return context


class ConsoleCertificate:
    """What the remote console shows. ``context`` is its TLS; ``look`` is called now and then on the event loop that serves it.

    Raises:
        ConfigError: ``console-tls``, as ``open_tls``.
    """

    def __init__(self, directory: Path, settings: RemoteConsoleSettings, alerts: Alerts, clock: Clock) -> None:
        self._directory, self._settings = directory, settings
        self._certificate, self._key = directory / settings.certificate, directory / settings.key
        self._alerts, self._clock = alerts, clock
        self._seen = self._stamps()
        self.context = open_tls(directory, settings)
        self._shown = self._read()
        self._misfits = 0
        self._lasts = False

    def look(self) -> None:
        """Use a renewed pair, and alert when what is shown ends soon or what was written cannot be used."""
        if (stamps := self._stamps()) != self._seen or self._misfits:
            self._renew(stamps)
        if self._shown is None:
            return
        begins, ends = (int(one.timestamp() * 1000) for one in self._shown)
        left = ends - self._clock.now()
        if left < min(SOON_MS, (ends - begins) // 4):
            when = self._shown[1].strftime("%Y-%m-%d %H:%M UTC")
            self._alerts.notify(Alert(AlertKind.CERTIFICATE, _ENDS, f"{self._certificate} ends on {when}; browsers refuse it then"))
            self._lasts = False
        elif not self._lasts:
            # The process before this one may have alerted.
            self._alerts.ended(AlertKind.CERTIFICATE, _ENDS, f"{self._certificate} lasts longer")
            self._lasts = True

    def _renew(self, stamps: tuple[object, object]) -> None:
        try:
            # A pair that does not fit would leave a context half changed, so another one tries it.
            open_tls(self._directory, self._settings)
            _load(self.context, self._certificate, self._key)
        except ConfigError as error:
            self._misfits += 1
            if self._misfits > 1:
                self._alerts.notify(Alert(AlertKind.CERTIFICATE, _UNUSABLE, f"{error.message}. The one before is shown"))
        else:
            self._shown, self._misfits = self._read(), 0
            self._alerts.ended(AlertKind.CERTIFICATE, _UNUSABLE, f"{self._certificate} is in use")
        self._seen = stamps

    def _read(self) -> tuple[dt.datetime, dt.datetime] | None:
        """From when until when it counts; ``None`` for a form that cannot be read."""
        with suppress(OSError, ValueError):
            own = x509.load_pem_x509_certificates(self._certificate.read_bytes())[0]
            return own.not_valid_before_utc, own.not_valid_after_utc
        return None

    def _stamps(self) -> tuple[object, object]:
        return _stamp(self._certificate), _stamp(self._key)


def keep_certificate(certificate: ConsoleCertificate, alerts: Alerts, stack: AsyncExitStack) -> None:
    """Look at the files every ``LOOK_EVERY_S`` until ``stack`` ends."""

    async def work() -> None:
        while True:
            certificate.look()
            await asyncio.sleep(LOOK_EVERY_S)

    run_beside("the certificate of the remote console", work, alerts.notify, stack)


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        if key.stat().st_mode & 0o077:
            raise _unusable(f"{key} can be read by others", f"Run `chmod 600 {key}`.")
        # An empty password, so that a key with a password is refused instead of asked for on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
        raise _unusable(
            f"the certificate {certificate} and the key {key} cannot be used: {why}",
            "Write both in PEM, without a password, where [console.remote] names them.",
        ) from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _unusable(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, code="console-tls", remedy=remedy)
