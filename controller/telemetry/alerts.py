"""Tells people: every alert goes to the log, and the ones that matter to Sentry.

Edge-triggered: an alert that repeats is told once, and again only after it has been quiet for a while or the stage has changed.
``notify`` never blocks and never raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from controller.core.effects import INFORMS, Alert, AlertKind
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.ports import Clock

QUIET_MS = 60_000
MOST_NOTICED = 256
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
    AlertKind.TAKEOVER: logging.ERROR,
    AlertKind.CHECKPOINT: logging.ERROR,
    AlertKind.BOT_KEY: logging.ERROR,
    AlertKind.DRILL: logging.INFO,
}
_REPORTED = {
    AlertKind.BREACH: "error",
    AlertKind.HALTED: "fatal",
    AlertKind.RECONCILIATION: "error",
    AlertKind.UNKNOWN_ORDER: "warning",
    AlertKind.VENUE_LOCKOUT: "error",
    AlertKind.DISK: "error",
    AlertKind.TAKEOVER: "error",
    AlertKind.CHECKPOINT: "error",
    AlertKind.BOT_KEY: "error",
}


class Alerts:
    """Takes alerts from the runtime."""

    def __init__(self, *, clock: Clock, reports: Reports, redactor: Redactor) -> None:
        self._clock = clock
        self._reports = reports
        self._redactor = redactor
        self._seen: dict[tuple[AlertKind, str], int] = {}
        self._noticed: list[Alert] = []
        self._journalled: Callable[[Alert], None] | None = None

    def journal_with(self, remember: Callable[[Alert], None]) -> None:
        """Give ``remember`` every alert somebody must answer for that no journal entry is behind, those from before now first."""
        self._journalled = remember
        for alert in self._noticed:
            remember(alert)
        self._noticed.clear()

    def notify(self, alert: Alert) -> bool:
        """Tell people what this process noticed, unless they were told just now; returns whether they are told."""
        told = self.decided(alert)
        if told and alert.kind not in INFORMS:
            clean = Alert(alert.kind, self._redactor.text(alert.title), self._redactor.text(alert.detail))
            if self._journalled is not None:
                self._journalled(clean)
            elif len(self._noticed) < MOST_NOTICED:
                self._noticed.append(clean)
        return told

    def decided(self, alert: Alert) -> bool:
        """Tell people what was decided and is in the journal, unless they were told just now; returns whether they are told."""
        now = self._clock.now()
        if alert.kind is AlertKind.STAGE:
            self._seen.clear()
        key = (alert.kind, alert.title)
        last = self._seen.get(key)
        self._seen = {known: at for known, at in self._seen.items() if now - at < QUIET_MS}
        self._seen[key] = now
        if last is not None and now - last < QUIET_MS:
            return False
        title, detail = self._redactor.text(alert.title), self._redactor.text(alert.detail)
        _LOG.log(_LEVELS[alert.kind], "%s: %s", title, detail, extra={"fields": {"kind": alert.kind.value}})
        if level := _REPORTED.get(alert.kind):
            self._reports.event(title, detail, level=level, tags={"kind": alert.kind.value})
        return True
