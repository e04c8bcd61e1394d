"""Sends alerts: all to the log and to the webhook if one is set, the important ones also to Sentry. ``runtime`` calls it.

A repeated alert is sent once, and again only after ``QUIET_MS`` without it or after a change of stage. ``notify`` never blocks and
never raises; an alert that does not fit into the queue is counted and dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from controller.core.effects import INFORMS, Alert, AlertKind
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.ports import Clock

QUIET_MS = 60_000
QUEUE = 256
ATTEMPTS = 3
BACKOFF_S = 2
TIMEOUT_S = 5
SIGNATURE_HEADER = "X-Gatehouse-Signature"

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


@dataclass(frozen=True, slots=True)
class Webhook:
    """The address that gets alerts as JSON. With a secret, ``X-Gatehouse-Signature`` is ``sha256=`` and the body's HMAC-SHA256."""

    url: str
    secret: str = ""


class Alerts:
    """Accepts alerts from the runtime. ``run`` delivers them to the webhook until it is cancelled."""

    def __init__(
        self,
        *,
        controller_id: str,
        environment: str,
        clock: Clock,
        reports: Reports,
        redactor: Redactor,
        webhook: Webhook | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._origin = {"controller_id": controller_id, "environment": environment}
        self._clock = clock
        self._reports = reports
        self._redactor = redactor
        self._webhook = webhook
        self._transport = transport
        self._last_sent: dict[tuple[AlertKind, str], int] = {}
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE)
        self._unjournalled: list[Alert] = []
        self._journal: Callable[[Alert], None] | None = None
        self.dropped = 0

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
            elif len(self._unjournalled) < QUEUE:
                self._unjournalled.append(clean)
        return sent

    def decided(self, alert: Alert) -> bool:
        """Send an alert of a journalled decision, unless the same one was sent within ``QUIET_MS``; returns whether it is sent."""
        now = self._clock.now()
        if alert.kind is AlertKind.STAGE:
            self._last_sent.clear()
        key = (alert.kind, alert.title)
        last = self._last_sent.get(key)
        self._last_sent = {sent: at for sent, at in self._last_sent.items() if now - at < QUIET_MS}
        self._last_sent[key] = now
        if last is not None and now - last < QUIET_MS:
            return False
        title, detail = self._redactor.text(alert.title), self._redactor.text(alert.detail)
        _LOG.log(_LEVELS[alert.kind], "%s: %s", title, detail, extra={"fields": {"kind": alert.kind.value}})
        if level := _REPORTED.get(alert.kind):
            self._reports.event(title, detail, level=level, tags={"kind": alert.kind.value})
        if self._webhook is not None:
            self._post({"kind": alert.kind.value, "title": title, "detail": detail, "at_ms": now, **self._origin})
        return True

    def _post(self, body: dict[str, str | int]) -> None:
        try:
            self._queue.put_nowait(json.dumps(body).encode())
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Deliver queued alerts, oldest first, until cancelled. Returns at once without a webhook."""
        if self._webhook is None:
            return
        transport = self._transport() if self._transport else None
        async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
            while True:
                await self._deliver(client, self._webhook, await self._queue.get())
                self._queue.task_done()

    async def drained(self) -> None:
        """Wait until every queued alert is delivered or dropped."""
        await self._queue.join()

    async def _deliver(self, client: httpx.AsyncClient, webhook: Webhook, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        if webhook.secret:
            headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(BACKOFF_S * attempt)
            try:
                response = await client.post(webhook.url, content=body, headers=headers)
            except httpx.HTTPError as error:
                why = type(error).__name__
                continue
            if response.is_success:
                return
            why = f"HTTP {response.status_code}"
        # The address may contain a token, so it is not logged.
        self.dropped += 1
        _LOG.warning("the alert webhook did not accept an alert: %s", why)
