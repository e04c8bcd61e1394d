"""The exchange keys that end, as ``gatehouse.toml`` says: MEXC has no call for it. ``doctor`` and the start call it."""

from __future__ import annotations

from controller.settings.deployment import Settings
from controller.settings.testnet import VenueSettings
from controller.settings.watchdog import WatchdogSettings
from exchange.ports import VenueName
from policies.stage import Environment

KEY_SOON_MS = 5 * 24 * 3_600_000
"""MEXC lets a key without a bound address be renewed from 5 days before its end."""


def keys_that_end(settings: Settings) -> dict[str, VenueSettings | WatchdogSettings]:
    """The exchange keys whose end matters, by the table that names them: those of MEXC, and any whose end is written down."""
    production = settings.environment is Environment.PRODUCTION
    keys: dict[str, VenueSettings | WatchdogSettings] = {}
    if production or settings.live.api_key_ends is not None:
        keys["[live]"] = settings.live
    own = settings.watchdog.enabled and settings.watchdog.api_key and VenueName.LIVE in settings.watchdog.venues
    if own and (production or settings.watchdog.api_key_ends is not None):
        keys["[watchdog]"] = settings.watchdog
    return keys
