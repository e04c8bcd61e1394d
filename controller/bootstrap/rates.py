"""Makes the readers of the EUR rate: the ECB's daily file, and the live venue's own pair of EUR and the quote asset (ADR 40)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from controller.bootstrap.read import Deployment
from controller.core.inputs import RateRead
from controller.journal.targets.https import checked_url, send
from controller.runtime.venues.rates import ReadRate
from exchange.ecb import ADDRESS, parse_reference_rate
from exchange.errors import ConfigError, Unreachable
from exchange.mexc.client import MexcVenue
from exchange.ports import Clock
from policies.eur import RateSource
from policies.stage import Environment


def open_rates(deployment: Deployment, live: MexcVenue, clock: Clock) -> Mapping[RateSource, ReadRate]:
    """A reader of each source. Raises ``ConfigError`` (``rates-address``) for an address that may not be asked."""
    pair = f"EUR{deployment.policy.eur_rate.asset}"
    return {RateSource.ECB: partial(read_ecb, _address(deployment)), RateSource.VENUE: partial(_read_pair, live, pair, clock)}


def _address(deployment: Deployment) -> str:
    address = deployment.settings.rates.ecb
    if address == ADDRESS:
        return address
    if deployment.settings.environment is Environment.PRODUCTION:
        raise _refused(
            "in production the rate must come from the ECB's own address", f'Set rates.ecb = "{ADDRESS}", or leave it out.'
        )
    try:
        return checked_url(address, loopback=True)
    except ConfigError:
        raise _refused("rates.ecb is not an address that may be asked", "Use https://, or plain http to this machine.") from None


def _refused(message: str, remedy: str) -> ConfigError:
    return ConfigError(message, code="rates-address", remedy=remedy)


async def read_ecb(address: str) -> RateRead:
    """What the ECB's file says. Raises ``Unreachable``, ``Refused`` for a redirect, or ``VenueError`` for another file."""
    answer = await send("GET", address)
    if answer.status != 200:
        raise Unreachable(f"HTTP {answer.status}", code="rate-unreachable", remedy="Check `[rates] ecb` in gatehouse.toml.")
    rate = parse_reference_rate(answer.body)
    return RateRead(RateSource.ECB, rate.dollars, rate.dollars, rate.at)


async def _read_pair(live: MexcVenue, pair: str, clock: Clock) -> RateRead | None:
    asked_at = clock.now()
    ticker = await live.ticker(pair)
    if ticker is None or ticker.symbol != pair or not 0 < ticker.bid <= ticker.ask:
        return None
    return RateRead(RateSource.VENUE, ticker.bid, ticker.ask, asked_at)
