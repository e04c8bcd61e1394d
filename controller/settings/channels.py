"""Opens the channels for alerts that the settings name. The controller, its watchdog and ``gatehouse alerts test`` call it."""

from __future__ import annotations

import re
from pathlib import Path

from controller.alerts.apprise_channel import AppriseChannel
from controller.alerts.hours import QuietHours
from controller.alerts.notice import Channel
from controller.alerts.webhook import Webhook
from controller.settings.alerts import AlertSettings, ChannelSettings, WebhookAlertSettings
from controller.settings.deployment import read_secret
from controller.telemetry.redact import Redactor

_TOKEN = re.compile(r"[A-Za-z0-9_+=~%-]{8,}")
_PUBLIC = re.compile(r"^(localhost|[a-z]+://.*|[0-9.]+)$")


def open_channel(directory: Path, settings: ChannelSettings, redactor: Redactor) -> Channel:
    """One channel; its address and its secret are registered with ``redactor``.

    Raises:
        ConfigError: a secret is missing or readable by others, or the address is not allowed.
    """
    url = read_secret(directory, settings.url_file)
    hide(redactor, url)
    if isinstance(settings, WebhookAlertSettings):
        secret = read_secret(directory, settings.secret_file)
        redactor.register(secret)
        return Webhook(settings.name, url, secret, private=settings.private)
    return AppriseChannel(settings.name, url)


def hide(redactor: Redactor, url: str) -> None:
    """Register an address and whatever in it looks like a token: a library may print a part of it."""
    redactor.register(url)
    for part in _TOKEN.findall(url.partition("://")[2]):
        mixed = any(one.isdigit() for one in part) and any(one.isalpha() for one in part)
        if not _PUBLIC.match(part) and (mixed or len(part) >= 16):
            redactor.register(part)


def quiet_hours(settings: AlertSettings) -> QuietHours:
    """When alerts that only inform wait."""
    return QuietHours(settings.quiet_from, settings.quiet_to, settings.zone)
