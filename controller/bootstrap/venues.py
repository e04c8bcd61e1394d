"""Opens the venues at a start: their hosts, feeds and clients, and what is read from them before the servers start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random, SystemRandom

from controller.bootstrap.read import Deployment
from controller.bootstrap.signer import Signers
from controller.core.decisions.account import assets_of
from controller.core.effects import Alert, AlertKind
from controller.runtime.drills.control import TestnetControl
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.venues.account_checks import Findings
from controller.runtime.venues.candles import Candles
from controller.settings.deployment import read_secret
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from exchange.mexc.account_checks import Demands, check_account
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueHost, open_feed, open_history, open_venue
from exchange.mexc.market import MexcFeed
from exchange.mexc.ratelimit import LockOut
from exchange.mexc.reach import Reach
from exchange.mexc.statements import StatementSource
from exchange.ports import Clock, MarketFeed, Venue, VenueName
from policies.ramp import symbols_at
from policies.stage import Environment, Stage


def open_hosts(
    deployment: Deployment, alert: Callable[[Alert], object], clock: Clock, stack: AsyncExitStack
) -> dict[VenueName, VenueHost]:
    """One ``VenueHost`` for each address, shared by all its clients: a venue counts its rate limits by address.

    ``alert`` gets the alert of a lock-out.
    """
    by_url: dict[str, VenueHost] = {}
    hosts: dict[VenueName, VenueHost] = {}
    for name in (VenueName.TESTNET, VenueName.LIVE):
        endpoint = deployment.endpoint(name)
        if endpoint.rest_url not in by_url:
            by_url[endpoint.rest_url] = VenueHost(endpoint, clock, on_lockout=partial(_alert_lockout, alert, name))
            stack.push_async_callback(by_url[endpoint.rest_url].aclose)
        hosts[name] = by_url[endpoint.rest_url]
    return hosts


def _alert_lockout(alert: Callable[[Alert], object], name: VenueName, lockout: LockOut) -> None:
    detail = f"HTTP {lockout.status}: only a cancel every few seconds is sent for {lockout.seconds} s"
    alert(Alert(AlertKind.VENUE_LOCKOUT, f"the {name} venue has locked this address out", detail))


def open_feeds(deployment: Deployment, hosts: dict[VenueName, VenueHost], clock: Clock, rng: Random) -> dict[VenueName, MexcFeed]:
    """Every venue's market feed, before the venue has said what its data is."""
    return {
        name: open_feed(deployment.policy.symbols, deployment.endpoint(name), clock, rng, host=host) for name, host in hosts.items()
    }


def open_candles(
    deployment: Deployment, hosts: Mapping[VenueName, VenueHost], feeds: Mapping[VenueName, MarketFeed], clock: Clock
) -> Candles:
    """The candles and statistics of every venue's market. A testnet has its own history, MEXC has everybody's."""
    endpoints = {name: deployment.endpoint(name) for name in hosts}
    return Candles(
        sources={name: open_history(endpoints[name], clock, host=host) for name, host in hosts.items()},
        feeds=feeds,
        own_history={name for name, endpoint in endpoints.items() if endpoint.reach is not Reach.MEXC},
        clock=clock,
    )


def open_statements(deployment: Deployment, stack: AsyncExitStack) -> StatementSource:
    """What asks the testnet for signed statements, until ``stack`` ends."""
    account = deployment.settings.testnet.api_key
    source = StatementSource(deployment.endpoint(VenueName.TESTNET), account)
    stack.push_async_callback(source.aclose)
    return source


async def examine(deployment: Deployment, live: MexcVenue, permits: PermitOffice) -> Findings:
    """Check whether the live account is fit for what the policy allows; the evidence of ``live-ready``."""
    policy, production = deployment.policy, deployment.settings.environment is Environment.PRODUCTION
    demands = Demands(
        symbols=symbols_at(policy, Stage.LIVE_EUR10),
        order_notional_most=policy.limits.order_notional_max_eur * policy.eur_rate.quote_per_eur,
        offset_most_ms=policy.guards.clock_offset.no_entry_ms,
        powerless_key=production,
        assets=assets_of(policy),
    )
    rows = await check_account(live, permits.current, demands)
    failed = [row for row in rows if not row.ok]
    return Findings(
        len(rows), tuple(row.name for row in failed), tuple(f"{row.measured}. {row.remedy.rstrip('.')}" for row in failed)
    )


def testnet_control(deployment: Deployment, redactor: Redactor) -> TestnetControl:
    """The control endpoint of the deployment's testnet, for the drills in which the venue misbehaves."""

    def token() -> str:
        secret = read_secret(deployment.directory, deployment.settings.drills.control_token_file)
        redactor.register(secret)
        return secret

    return TestnetControl(deployment.endpoint(VenueName.TESTNET).rest_url, token)


def open_venues(
    deployment: Deployment, hosts: dict[VenueName, VenueHost], clock: Clock, signers: Signers, rng: Random
) -> dict[VenueName, MexcVenue]:
    """The clients of the testnet and the live venue, each with a signer of its own."""
    return {name: open_venue(name, deployment.endpoint(name), signers[name], clock, rng, host=host) for name, host in hosts.items()}


@asynccontextmanager
async def own_venues(
    deployment: Deployment, alerts: Alerts, clock: Clock, signers: Signers
) -> AsyncIterator[Mapping[VenueName, Venue]]:
    """Clients of the same venues with connections of their own, for the event loop that enters this."""
    async with AsyncExitStack() as stack:
        # An alert of another thread cannot be journalled: the inbox belongs to the event loop that is stuck.
        yield open_venues(deployment, open_hosts(deployment, alerts.decided, clock, stack), clock, signers, SystemRandom())
