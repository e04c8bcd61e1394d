"""Sends alerts: all to the log and to the channels, the important ones also to Sentry. ``runtime`` calls it.

A repeated alert is sent once, and again only after ``QUIET_MS`` without it or after a change of stage; one that the journal knows
to go on is not sent again. ``notify`` never blocks and never raises: channels are queues with threads of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from controller.core.alert_catalogue import INFORMS, Severity, severity_of
from controller.core.effects import Alert, AlertKind
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.ports import Clock

QUIET_MS = 60_000
MOST_UNJOURNALLED = 256
"""How many alerts are kept until there is a journal to remember them."""

_LOG = logging.getLogger("gatehouse.alerts")

_LEVELS = {Severity.INFO: logging.INFO, Severity.WARNING: logging.ERROR, Severity.CRITICAL: logging.CRITICAL}
_REPORTED = {Severity.WARNING: "error", Severity.CRITICAL: "fatal"}


class Alerts:
    """Accepts alerts from the runtime."""

    def __init__(
        self,
        *,
        clock: Clock,
        reports: Reports,
        redactor: Redactor,
        deliver: Callable[[Alert], None] = lambda _: None,
        drain: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._reports = reports
        self._redactor = redactor
        self._deliver = deliver
        self._drain = drain
        self._last_sent: dict[tuple[AlertKind, str], int] = {}
        self._unjournalled: list[Alert] = []
        self._journal: Callable[[Alert], None] | None = None
        self._goes_on: Callable[[Alert], bool] = lambda _: False
        self._end: Callable[[AlertKind, str, str], None] = lambda *_: None

    def journal_with(self, remember: Callable[[Alert], None]) -> None:
        """Give ``remember`` every alert of this process that must be acknowledged, those from before this call first."""
        self._journal = remember
        for alert in self._unjournalled:
            remember(alert)
        self._unjournalled.clear()

    def follow(self, goes_on: Callable[[Alert], bool], end: Callable[[AlertKind, str, str], None]) -> None:
        """Ask ``goes_on`` whether the journal knows an alert already, and give ``end`` what is over."""
        self._goes_on, self._end = goes_on, end

    def notify(self, alert: Alert) -> bool:
        """Send an alert that is not journalled, unless it is known to go on or was just sent; returns whether it is sent."""
        if self._goes_on(alert):
            return False
        sent = self.decided(alert)
        if sent and alert.kind not in INFORMS:
            clean = self._clean(alert)
            if self._journal is not None:
                self._journal(clean)
            elif len(self._unjournalled) < MOST_UNJOURNALLED:
                self._unjournalled.append(clean)
        return sent

    def ended(self, kind: AlertKind, title: str, proof: str) -> None:
        """Say that the condition behind an alert is over, and what shows it."""
        self._last_sent.pop((kind, title), None)
        self._end(kind, self._redactor.text(title), self._redactor.text(proof))

    def decided(self, alert: Alert) -> bool:
        """Send an alert of a journalled decision, unless the same one was sent within ``QUIET_MS``; returns whether it is sent."""
        now = self._clock.now()
        if alert.kind in {AlertKind.STAGE, AlertKind.STEP_DOWN}:
            self._last_sent.clear()
        key = (alert.kind, alert.title)
        last = self._last_sent.get(key)
        self._last_sent = {sent: at for sent, at in self._last_sent.items() if 0 <= now - at < QUIET_MS}
        self._last_sent[key] = now
        # A clock that was set back must not keep alerts quiet for as long as it was set back.
        if last is not None and 0 <= now - last < QUIET_MS and not alert.step:
            return False
        clean, severity = self._clean(alert), severity_of(alert.kind)
        fields = {"kind": alert.kind.value, "severity": severity.value, "step": alert.step}
        _LOG.log(_LEVELS[severity], "%s: %s", clean.title, clean.detail, extra={"fields": fields})
        if level := _REPORTED.get(severity):
            self._reports.event(clean.title, clean.detail, level=level, tags={"kind": alert.kind.value})
        self._deliver(clean)
        return True

    def _clean(self, alert: Alert) -> Alert:
        return replace(alert, title=self._redactor.text(alert.title), detail=self._redactor.text(alert.detail))

    async def send_now(self, alert: Alert) -> None:
        """Send an alert of a process that is about to end, and wait until it is sent or cannot be."""
        self.decided(alert)
        await asyncio.gather(self._reports.aclose(), asyncio.to_thread(self._drain))
