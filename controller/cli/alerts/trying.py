"""Sends a labelled test through each channel of a deployment. ``gatehouse alerts test`` calls it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from controller.alerts.notice import Channel, ChannelError, Notice, Source
from controller.cli.alerts.view import Tried
from controller.core.effects import AlertKind
from controller.settings.alerts import ChannelSettings
from controller.settings.deployment import Settings, load_settings
from controller.telemetry.redact import Redactor
from exchange.errors import GatehouseError
from exchange.model import Millis

WITHIN_S = 15.0


def try_channels(directory: Path) -> list[Tried]:
    """Test every channel, and the log and Sentry. Raises ``ConfigError`` when there is no deployment."""
    settings, redactor = load_settings(directory), Redactor()
    notice = Notice(
        Source(settings.controller_id, settings.environment.value),
        AlertKind.CHANNEL,
        "a test of the alert channels",
        "`gatehouse alerts test` sent this message.",
        Millis(time.time_ns() // 1_000_000),
        test=True,
    )
    tried = [_try(directory, one, notice, redactor) for one in settings.alerts.channels]
    return [*tried, _try_log(notice), _try_sentry(settings, notice, redactor)]


def _try(directory: Path, settings: ChannelSettings, notice: Notice, redactor: Redactor) -> Tried:
    from controller.settings.channels import open_channel

    began = time.monotonic()
    try:
        _send(open_channel(directory, settings, redactor), notice)
    except GatehouseError as error:
        why, remedy = redactor.text(error.message), redactor.text(error.remedy)
        return Tried(settings.name, settings.to, handed_over=False, ms=_ms(began), why=why, remedy=remedy)
    return Tried(settings.name, settings.to, handed_over=True, ms=_ms(began))


def _send(channel: Channel, notice: Notice) -> None:
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            channel.send(notice)
        except ChannelError as error:
            ended.put(error)
        else:
            ended.put(None)

    Thread(target=work, daemon=True).start()
    try:
        error = ended.get(timeout=WITHIN_S)
    except Empty:
        remedy = "Restart the service behind the channel."
        raise ChannelError(f"no answer in {WITHIN_S:g} s", code="channel-hangs", remedy=remedy) from None
    if error is not None:
        raise error


def _try_log(notice: Notice) -> Tried:
    from controller.telemetry.logs import priority_prefix

    began = time.monotonic()
    try:
        sys.stderr.write(f"{priority_prefix(sys.stderr, 'info')}{notice.subject}\n")
        sys.stderr.flush()
    except OSError as error:
        return Tried("log", "standard error", handed_over=False, ms=_ms(began), why=str(error), remedy="Open standard error.")
    return Tried("log", "standard error", handed_over=True, ms=_ms(began))


def _try_sentry(settings: Settings, notice: Notice, redactor: Redactor) -> Tried:
    from controller.telemetry import sentry
    from controller.version import VERSION

    began = time.monotonic()
    if not os.environ.get("SENTRY_DSN"):
        remedy = "Set SENTRY_DSN where gatehouse runs, if you want reports there."
        return Tried("sentry", "SENTRY_DSN", handed_over=True, ms=0, why="switched off: SENTRY_DSN is not set", remedy=remedy)
    try:
        reports = sentry.from_environment(
            controller_id=settings.controller_id, environment=settings.environment.value, version=VERSION, redactor=redactor
        )
    except GatehouseError as error:
        return Tried("sentry", "SENTRY_DSN", handed_over=False, ms=_ms(began), why=error.message, remedy=error.remedy)
    reports.event(notice.subject, notice.text, level="info", tags={"kind": notice.kind.value})
    asyncio.run(reports.aclose())
    said = "handed to Sentry's client, which does not say whether it arrived"
    return Tried("sentry", "SENTRY_DSN", handed_over=True, ms=_ms(began), why=said, remedy="Look for it in the project.")


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
