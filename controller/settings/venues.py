"""The addresses of the venues that the settings name. The controller and its watchdog open their clients with them."""

from __future__ import annotations

from controller.settings.deployment import Settings
from exchange.errors import ConfigError
from exchange.mexc.connect import PRODUCTION, VenueEndpoint
from exchange.mexc.reach import Reach
from exchange.ports import VenueName
from policies.stage import Environment


def endpoint_of(settings: Settings, name: VenueName) -> VenueEndpoint:
    """Where a venue is and what its client may reach.

    Raises:
        ConfigError: in production the live venue is not MEXC itself.
    """
    venue = settings.testnet if name is VenueName.TESTNET else settings.live
    if settings.environment is Environment.PRODUCTION and name is VenueName.LIVE:
        if (venue.rest, venue.ws) != (PRODUCTION.rest_url, PRODUCTION.stream_url):
            raise ConfigError(
                "in production the live venue must have MEXC's own address",
                code="live-address",
                remedy=f'Set live.rest = "{PRODUCTION.rest_url}" and live.ws = "{PRODUCTION.stream_url}".',
            )
        return PRODUCTION
    return VenueEndpoint(venue.rest, venue.ws, Reach.LOOPBACK)
