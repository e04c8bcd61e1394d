"""The venues of a rehearsal: the real testnet application and engine, twice. One of them stands in for MEXC."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from controller.rehearsal.folder import DOLLARS, TESTNET_KEY, VENUES, Folder
from controller.rehearsal.market import Tapes
from controller.rehearsal.network import App, Site, Sites
from exchange.ports import Clock
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.http.app import build_app
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


def open_venues(folder: Folder, tapes: Tapes, sites: Sites, clock: Clock, rng: Random) -> Mapping[str, InsideVenue]:
    """Both venues, running on the running loop. Raises as ``Tapes.playbacks``."""
    opened: dict[str, InsideVenue] = {}
    for (name, url), market in zip(VENUES.items(), tapes.playbacks(len(VENUES), clock), strict=True):
        account = folder.accounts[name]
        config = TestnetConfig(
            accounts=(AccountConfig(name, account.key, account.secret, {"USDT": Decimal(DOLLARS)}),),
            port=0,
            control_token=folder.control_token,
            rate_limits=NO_RATE_LIMITS,
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
