"""The account checks of ``gatehouse doctor``, measured on each venue that answers. ``doctor.verb`` calls this."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from random import SystemRandom

from controller.cli.doctor.checks import CheckResult
from controller.core.decisions.account import assets_of
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.permit import PermitOffice
from controller.settings.deployment import Settings, load_settings, read_exchange_secret
from controller.settings.testnet import VenueSettings
from exchange.errors import ConfigError, GatehouseError
from exchange.mexc.account_checks import AccountCheck, Demands, check_account
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import PRODUCTION, VenueEndpoint, VenueHost, open_venue
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.ports import Permit, VenueName
from policies.baseline import REMEDY, weigh
from policies.document import Policy, load_policy
from policies.stage import Environment


def run_venue_checks(directory: Path) -> list[CheckResult]:
    """The account checks of every venue that answers. A venue that does not answer has its own row already."""
    settings = load_settings(directory)
    rows: list[CheckResult] = []
    for name, venue in ((VenueName.TESTNET, settings.testnet), (VenueName.LIVE, settings.live)):
        try:
            rows += asyncio.run(_checked(directory, settings, name, venue))
        except GatehouseError as error:
            rows.append(CheckResult(f"{name} account", ok=False, found=error.message, fix=error.remedy))
    return rows


async def _checked(directory: Path, settings: Settings, name: VenueName, venue: VenueSettings) -> list[CheckResult]:
    clock = SystemClock()
    production = settings.environment is Environment.PRODUCTION and name is VenueName.LIVE
    endpoint = PRODUCTION if production else VenueEndpoint(venue.rest, venue.ws, Reach.LOOPBACK)
    policy = _policy(directory, settings)
    demands, limits = _demands(policy, powerless_key=production)
    signer = LocalSigner(venue.api_key, read_exchange_secret(directory, settings, name), limits)
    host = VenueHost(endpoint, clock)
    try:
        account = open_venue(name, endpoint, signer, clock, SystemRandom(), host=host)
        try:
            await account.server_time()
        except GatehouseError:
            return []
        office = PermitOffice(clock, 0)

        def permit() -> Permit:
            office.renew()
            return office.current()

        rows = [_result(name, row) for row in await check_account(account, permit, demands)]
        return [*rows, await _holdings(account, policy)] if name is VenueName.LIVE else rows
    finally:
        await host.aclose()


def _policy(directory: Path, settings: Settings) -> Policy:
    try:
        return load_policy((directory / settings.policy).read_bytes())
    except OSError as error:
        raise ConfigError(
            f"the policy cannot be read: {error.strerror}",
            code="file-unreadable",
            remedy="Create the file, or correct its path in gatehouse.toml.",
        ) from None


async def _holdings(account: MexcVenue, policy: Policy) -> CheckResult:
    """Weigh all that the account holds: before the first real order all of it is its owner's.

    It fails above every cap of the policy, and warns above that of LIVE_€10: after a ramp or a profit there may be more.
    """
    name, bids = f"{VenueName.LIVE} holdings", dict[str, Decimal]()
    try:
        amounts = {one.asset: one.total for one in (await account.balances()).values()}
        for symbol in policy.symbols:
            ticker = await account.ticker(symbol)
            if ticker is not None:
                bids[symbol] = ticker.bid
    except GatehouseError as error:
        return CheckResult(name, ok=False, found=error.message, fix=error.remedy)
    found = weigh(amounts, bids, policy, policy.caps.live)
    most = weigh(amounts, bids, policy, max((policy.caps.live, *policy.ramp.steps)))
    return CheckResult(name, ok=most.ok, found=found.line, fix="" if found.ok else REMEDY, warns=not found.ok)


def _demands(policy: Policy, *, powerless_key: bool) -> tuple[Demands, SignerLimits]:
    most = Decimal(policy.limits.order_notional_max_eur) * policy.eur_rate.quote_per_eur
    offset_most = policy.guards.clock_offset.no_entry_ms
    demands = Demands(policy.symbols, most, offset_most, powerless_key=powerless_key, assets=assets_of(policy))
    return demands, SignerLimits(frozenset(policy.symbols), most)


def _result(name: VenueName, row: AccountCheck) -> CheckResult:
    found = row.measured if row.ok else f"{row.measured} (expected: {row.expected})"
    return CheckResult(f"{name} {row.name}", ok=row.ok, found=found, fix=row.remedy)
