"""Delivers the alerts of a controller, and connects what they say with the journal. ``bootstrap.run`` calls it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from controller.alerts.delivery import END_WITHIN_S, Delivery, Hooks, Route, failing_title
from controller.alerts.notice import Notice, Source
from controller.bootstrap.key_ends import watch_key_ends
from controller.bootstrap.read import Deployment
from controller.console.channels import ChannelView
from controller.core import events as e
from controller.core.alert_catalogue import ALERTS, INFORMS, Severity
from controller.core.decisions.alerts import is_standing
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import AlertDelivered, AlertEnded, Input
from controller.runtime.assembly import Assembly
from controller.runtime.loop.writer import CommittedBatch
from controller.settings.channels import open_channel, quiet_hours
from controller.settings.deployment import Settings
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from controller.telemetry.sentry import Reports
from exchange.ports import Clock

MOST_EARLY = 256


def routes_of(directory: Path, settings: Settings, redactor: Redactor) -> list[Route]:
    """Every channel of a deployment with what it gets. Raises ``ConfigError`` as ``open_channel``."""
    found = settings.alerts.channels
    return [Route(open_channel(directory, one, redactor), Severity(one.severity), one.step) for one in found]


class AlertLine:
    """The alerts of one process, with the channels that deliver them."""

    def __init__(self, deployment: Deployment, clock: Clock, redactor: Redactor, reports: Reports) -> None:
        settings = deployment.settings
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        # What is handed over before there is a journal is journalled once there is one.
        self._early: deque[Input] = deque(maxlen=MOST_EARLY)
        self._put: Callable[[Input], object] = self._early.append
        self.delivery = Delivery(
            routes_of(deployment.directory, settings, redactor),
            Source(settings.controller_id, settings.environment.value),
            clock,
            hours=quiet_hours(settings.alerts),
            hooks=Hooks(handed_over=self._handed_over, failing=self._failing, recovered=self._recovered),
        )
        self.alerts = Alerts(
            clock=clock,
            reports=reports,
            redactor=redactor,
            deliver=self.delivery.offer,
            drain=partial(self.delivery.end, END_WITHIN_S),
        )

    def channels(self) -> tuple[ChannelView, ...]:
        """The channels as they are now, for the page Alerts."""
        return tuple(
            ChannelView(
                name=one.name,
                severity=one.floor.value,
                step=one.step,
                queued=one.queued,
                dropped=one.dropped,
                failing=one.failing,
                delivered_at_ms=one.delivered_at,
                failed_at_ms=one.failed_at,
                failed_because=one.failed_because,
                next_at_ms=one.next_at,
            )
            for one in self.delivery.views()
        )

    def start(self, stack: AsyncExitStack) -> None:
        """Deliver until ``stack`` ends; what is queued then has ``END_WITHIN_S``."""
        self.delivery.start()
        stack.push_async_callback(asyncio.to_thread, self.delivery.end, END_WITHIN_S)

    def connect(self, assembly: Assembly, stack: AsyncExitStack) -> None:
        """Let the journal hear what is over and what was handed over, and offer what nobody was handed before this start.

        The ends of keys are watched from here on, until ``stack`` ends.
        """
        writer, inbox, clock = assembly.writer, assembly.inbox, self._clock

        def put(input_: Input) -> None:
            inbox.fact(input_, clock.monotonic_ns())

        def goes_on(alert: Alert) -> bool:
            return bool(ALERTS[alert.kind].ends) and is_standing(writer.state, alert.kind, alert.title)

        self._put = put
        while self._early:
            put(self._early.popleft())
        self.alerts.follow(goes_on, lambda kind, title, proof: put(AlertEnded(kind, title, proof)))
        writer.add_follower(self._on_batch)
        for one in writer.state.alerts:
            if one.last_at < writer.state.started_at:
                self.delivery.offer_again(Alert(one.kind, one.title, one.detail, one.escalated), one.last_at, one.reached)
        watch_key_ends(self._settings, self.alerts, clock, stack)

    def _on_batch(self, batch: CommittedBatch) -> None:
        for _, event in batch.entries:
            if isinstance(event, e.CommandRefused) and event.code == "under-quorum":
                title = f"{event.verb} {event.command_id} waits for another signature"
                self.alerts.decided(Alert(AlertKind.COMMAND, title, event.message))

    def _handed_over(self, channel: str, notice: Notice) -> None:
        if notice.kind not in INFORMS:
            self._soon(lambda: self._put(AlertDelivered(notice.kind, notice.title, channel)))

    def _failing(self, channel: str, why: str) -> None:
        self._soon(lambda: self.alerts.notify(Alert(AlertKind.CHANNEL, failing_title(channel), why)))

    def _recovered(self, channel: str) -> None:
        self._soon(lambda: self.alerts.ended(AlertKind.CHANNEL, failing_title(channel), "it took an alert over"))

    def _soon(self, work: Callable[[], object]) -> None:
        # A loop that has ended hears nothing more, and the lane goes on.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work)
