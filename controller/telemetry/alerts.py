"""Sends alerts: all to the log, the important ones also to Sentry. ``runtime`` calls it.

A repeated alert is sent once, and again only after ``QUIET_MS`` without it or after a change of stage. ``notify`` never blocks and
never raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from controller.core.effects import INFORMS, Alert, AlertKind
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.ports import Clock

QUIET_MS = 60_000
MOST_UNJOURNALLED = 256
"""How many alerts are kept until there is a journal to remember them."""

_LOG = logging.getLogger("gatehouse.alerts")

_LEVELS = {
    AlertKind.BREACH: logging.ERROR,
    AlertKind.HALTED: logging.CRITICAL,
    AlertKind.UNKNOWN_ORDER: logging.WARNING,
    AlertKind.RECONCILIATION: logging.ERROR,
    AlertKind.STAGE: logging.INFO,
    AlertKind.VENUE_LOCKOUT: logging.ERROR,
    AlertKind.DISK: logging.ERROR,
    AlertKind.NOT_EMPTY: logging.CRITICAL,
    AlertKind.TAKEOVER: logging.ERROR,
    AlertKind.FLATTEN: logging.ERROR,
    AlertKind.WATCHDOG: logging.CRITICAL,
    AlertKind.SIGNER: logging.ERROR,
    AlertKind.SYMBOL: logging.ERROR,
    AlertKind.CHECKPOINT: logging.ERROR,
    AlertKind.BOT_KEY: logging.ERROR,
    AlertKind.DRILL: logging.INFO,
    AlertKind.TESTNET: logging.WARNING,
    AlertKind.PROPOSAL: logging.ERROR,
    AlertKind.PAUSED: logging.WARNING,
    AlertKind.RATE: logging.ERROR,
    AlertKind.RELEASE: logging.ERROR,
    AlertKind.ATTESTATION: logging.ERROR,
    AlertKind.BACKGROUND: logging.ERROR,
}
_REPORTED = {
    AlertKind.BREACH: "error",
    AlertKind.HALTED: "fatal",
    AlertKind.RECONCILIATION: "error",
    AlertKind.UNKNOWN_ORDER: "warning",
    AlertKind.VENUE_LOCKOUT: "error",
    AlertKind.DISK: "error",
    AlertKind.NOT_EMPTY: "fatal",
    AlertKind.TAKEOVER: "error",
    AlertKind.FLATTEN: "error",
    AlertKind.WATCHDOG: "fatal",
    AlertKind.SIGNER: "error",
    AlertKind.SYMBOL: "error",
    AlertKind.CHECKPOINT: "error",
    AlertKind.BOT_KEY: "error",
    AlertKind.TESTNET: "warning",
    AlertKind.PROPOSAL: "error",
    AlertKind.PAUSED: "warning",
    AlertKind.RATE: "error",
    AlertKind.RELEASE: "error",
    AlertKind.ATTESTATION: "error",
    AlertKind.BACKGROUND: "error",
}


class Alerts:
    """Accepts alerts from the runtime."""

    def __init__(self, *, clock: Clock, reports: Reports, redactor: Redactor) -> None:
        self._clock = clock
        self._reports = reports
        self._redactor = redactor
        self._last_sent: dict[tuple[AlertKind, str], int] = {}
        self._unjournalled: list[Alert] = []
        self._journal: Callable[[Alert], None] | None = None

    def journal_with(self, remember: Callable[[Alert], None]) -> None:
        """Give ``remember`` every alert of this process that must be acknowledged, those from before this call first."""
        self._journal = remember
        for alert in self._unjournalled:
            remember(alert)
        self._unjournalled.clear()

    def notify(self, alert: Alert) -> bool:
        """Send an alert that is not journalled, unless the same one was sent within ``QUIET_MS``; returns whether it is sent."""
        sent = self.decided(alert)
        if sent and alert.kind not in INFORMS:
            clean = Alert(alert.kind, self._redactor.text(alert.title), self._redactor.text(alert.detail))
            if self._journal is not None:
                self._journal(clean)
            elif len(self._unjournalled) < MOST_UNJOURNALLED:
                self._unjournalled.append(clean)
        return sent

    def decided(self, alert: Alert) -> bool:
        """Send an alert of a journalled decision, unless the same one was sent within ``QUIET_MS``; returns whether it is sent."""
        now = self._clock.now()
        if alert.kind is AlertKind.STAGE:
            self._last_sent.clear()
        key = (alert.kind, alert.title)
        last = self._last_sent.get(key)
        self._last_sent = {sent: at for sent, at in self._last_sent.items() if 0 <= now - at < QUIET_MS}
        self._last_sent[key] = now
        # A clock that was set back must not keep alerts quiet for as long as it was set back.
        if last is not None and 0 <= now - last < QUIET_MS:
            return False
        title, detail = self._redactor.text(alert.title), self._redactor.text(alert.detail)
        _LOG.log(_LEVELS[alert.kind], "%s: %s", title, detail, extra={"fields": {"kind": alert.kind.value}})
        if level := _REPORTED.get(alert.kind):
            self._reports.event(title, detail, level=level, tags={"kind": alert.kind.value})
        return True

    async def send_now(self, alert: Alert) -> None:
        """Send an alert of a process that is about to end, and wait until it is sent or cannot be."""
        self.decided(alert)
        await self._reports.aclose()
