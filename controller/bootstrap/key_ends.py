"""Alerts when an exchange key ends soon, by the end that ``gatehouse.toml`` names. ``bootstrap`` starts it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from controller.bootstrap.beside import run_beside
from controller.core.effects import Alert, AlertKind
from controller.settings.deployment import Settings
from controller.settings.key_ends import KEY_SOON_MS, keys_that_end
from controller.telemetry.alerts import Alerts
from exchange.ports import Clock

LOOK_EVERY_S = 3600.0


def watch_key_ends(settings: Settings, alerts: Alerts, clock: Clock, stack: AsyncExitStack) -> None:
    """Look at a start and every hour, until ``stack`` ends."""

    async def work() -> None:
        while True:
            look(settings, alerts, clock)
            await asyncio.sleep(LOOK_EVERY_S)

    run_beside("the ends of keys", work, alerts.notify, stack)


def look(settings: Settings, alerts: Alerts, clock: Clock) -> None:
    """Alert for each key that ends within ``KEY_SOON_MS``, and clear the alert of one that does not."""
    for table, key in keys_that_end(settings).items():
        title, ends = f"the exchange key of {table} ends soon", key.api_key_ends
        if isinstance(ends, datetime) and ends.timestamp() * 1000 - clock.now() < KEY_SOON_MS:
            when = ends.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
            alerts.notify(Alert(AlertKind.KEY_EXPIRY, title, f"gatehouse.toml says that it ends on {when}"))
        elif ends is not None:
            alerts.ended(AlertKind.KEY_EXPIRY, title, "gatehouse.toml names a later end")
