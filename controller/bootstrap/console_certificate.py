"""The certificate of the remote console: used again when it is renewed, without a restart, and alerted before it ends.

``bootstrap.remote_console`` starts it. A program that renews certificates writes two files one after the other, so a pair that does
not fit is looked at again before anybody is alerted; until a pair fits, the console shows the one before.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from cryptography import x509

from controller.bootstrap.beside import run_beside
from controller.core.effects import Alert, AlertKind
from controller.settings.certificate_ends import ends_soon
from controller.settings.console import RemoteConsoleSettings
from controller.settings.console_tls import load_pair, open_tls
from controller.telemetry.alerts import Alerts
from exchange.errors import ConfigError
from exchange.ports import Clock

LOOK_EVERY_S = 30.0

_ENDS = "the certificate of the remote console ends soon"
_UNUSABLE = "the renewed certificate of the remote console cannot be used"


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
        if ends_soon(self._shown, self._clock.now()):
            when = self._shown.not_valid_after_utc.strftime("%Y-%m-%d %H:%M UTC")
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
            load_pair(self.context, self._directory, self._settings)
        except ConfigError as error:
            self._misfits += 1
            if self._misfits > 1:
                self._alerts.notify(Alert(AlertKind.CERTIFICATE, _UNUSABLE, f"{error.message}. The one before is shown"))
        else:
            self._shown, self._misfits = self._read(), 0
            self._alerts.ended(AlertKind.CERTIFICATE, _UNUSABLE, f"{self._certificate} is in use")
        self._seen = stamps

    def _read(self) -> x509.Certificate | None:
        """What is shown; ``None`` for a form that cannot be read."""
        with suppress(OSError, ValueError):
            return x509.load_pem_x509_certificates(self._certificate.read_bytes())[0]
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


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
