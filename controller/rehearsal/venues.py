"""The venues of a rehearsal: the real testnet application and engine, twice. One of them stands in for MEXC."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from controller.rehearsal.folder import DOLLARS, TESTNET_KEY, VENUES, Folder
from controller.rehearsal.network import App, Site, Sites
from exchange.errors import GatehouseError
from exchange.ports import Clock
from exchange.testnet.conditions.latency import DEFAULT_QUANTILES
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.http.app import build_app
from exchange.testnet.market.playback import Playback
from exchange.testnet.saved import Instance
from exchange.testnet.server import build_venue
from exchange.testnet.venue import SimulatedVenue


@dataclass(slots=True)
class InsideVenue:
    """A venue and its site. ``up`` and ``down`` are a restart that loses no order, but every connection."""

    venue: SimulatedVenue
    site: Site
    app: App
    running: asyncio.Task[None]

    def down(self) -> None:
        """Answer nobody; the market goes on."""
        self.site.down()

    def up(self) -> None:
        """Answer again."""
        self.site.app = self.app


def markets_play(venues: Mapping[str, InsideVenue]) -> None:
    """Raise what ended a venue: without its market nothing more is rehearsed. Raises ``GatehouseError`` for a damaged file."""
    errors = [error for one in venues.values() if one.running.done() and (error := _first(one.running.exception())) is not None]
    # Both read the same file, and only the first of them meets what is wrong with it.
    errors.sort(key=lambda error: not isinstance(error, GatehouseError))
    if errors:
        raise errors[0]


def _first(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def open_venues(folder: Folder, markets: Sequence[Playback], sites: Sites, clock: Clock, rng: Random) -> Mapping[str, InsideVenue]:
    """Both venues with their markets, running on the running loop."""
    opened: dict[str, InsideVenue] = {}
    for (name, url), market in zip(VENUES.items(), markets, strict=True):
        account = folder.accounts[name]
        config = TestnetConfig(
            accounts=(AccountConfig(name, account.key, account.secret, {"USDT": Decimal(DOLLARS)}),),
            port=0,
            control_token=folder.control_token,
            rate_limits=NO_RATE_LIMITS,
            entry_latency=DEFAULT_QUANTILES,
            seed=rng.randrange(2**31),
            ids=rng.randbytes(8).hex(),
            key_file=folder.directory / TESTNET_KEY if name == "testnet" else None,
        )
        venue = build_venue(config, clock, market)
        venue.instance = Instance(rng.randbytes(16).hex(), clock.now())
        inside = InsideVenue(venue, sites.at(url), build_app(venue, config.control_token), asyncio.create_task(venue.run()))
        inside.up()
        opened[name] = inside
    return opened
