"""The account checks of ``gatehouse doctor``, measured on a venue that answers. ``doctor.checks`` calls this."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_UP, Decimal, localcontext
from pathlib import Path
from random import SystemRandom

from controller.cli.doctor.result import CheckResult
from controller.cli.doctor.running import Controller
from controller.core.decisions.account import assets_of
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.permit import PermitOffice
from controller.settings.deployment import Settings, read_exchange_secret
from controller.settings.policy_file import read_policy
from exchange.errors import GatehouseError
from exchange.mexc.account_checks import AccountCheck, Demands, check_account
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import PRODUCTION, VenueEndpoint, VenueHost, open_venue
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Balance, SymbolRules
from exchange.ports import Permit, VenueName
from policies.baseline import REMEDY, weigh
from policies.document import Policy
from policies.numbers import WIDE, text
from policies.stage import Environment

_CAUSE = re.compile(r"^[^:(]*: (?P<cause>.+?)(?: \(expected: .*\))?$")
"""What a failed question says after its own name: the venue's refusal, or why there was no answer."""

_CENT = Decimal("0.01")
_PAUSE_S = 1.0
"""A running controller asks the same venue from the same address, and the venue limits both together."""
_CROWDED = frozenset({"venue-refused-for-now", "venue-held-back"})
"""What is answered while the limit is used up. It says nothing about the account, so the question is asked again."""
_TRIES = 4


def check_venue_account(directory: Path, settings: Settings, name: VenueName, controller: Controller) -> list[CheckResult]:
    """The account checks of one venue. Other rows say whether it answers, and whether its clock is ours.

    Raises:
        GatehouseError: the account cannot be asked at all.
    """
    return asyncio.run(_checked(directory, settings, name, controller))


async def _checked(directory: Path, settings: Settings, name: VenueName, controller: Controller) -> list[CheckResult]:
    clock = SystemClock()
    production = settings.environment is Environment.PRODUCTION and name is VenueName.LIVE
    venue = settings.testnet if name is VenueName.TESTNET else settings.live
    endpoint = PRODUCTION if production else VenueEndpoint(venue.rest, venue.ws, Reach.LOOPBACK)
    policy = read_policy(directory / settings.policy)
    demands, limits = _demands(policy, powerless_key=production)
    signer = LocalSigner(venue.api_key, read_exchange_secret(directory, settings, name), limits)
    host = VenueHost(endpoint, clock)
    try:
        account = open_venue(name, endpoint, signer, clock, SystemRandom(), host=host)
        await account.server_time()
        office = PermitOffice(clock, 0)

        def permit() -> Permit:
            office.renew()
            return office.current()

        for _ in range(_TRIES):
            checks = [row for row in await check_account(account, permit, demands) if row.name != "clock"]
            await asyncio.sleep(_PAUSE_S)
            if not any(row.code in _CROWDED for row in checks):
                break
            await asyncio.sleep(_PAUSE_S)
        return one_row_for_each_cause(name, [*map(_result, checks), *await _money(account, name, policy, controller)])
    finally:
        await host.aclose()


def one_row_for_each_cause(venue: VenueName, rows: Sequence[CheckResult]) -> list[CheckResult]:
    """The rows with the venue's name; those that failed for one cause, such as a key that the venue does not know, are one row."""
    failed: dict[str, list[CheckResult]] = {}
    for row in rows:
        if not row.ok and (cause := _CAUSE.search(row.found)) is not None:
            failed.setdefault(cause["cause"], []).append(row)
    found = [
        replace(row, name=f"{venue} {row.name}") for row in rows if not any(row in group for group in _several(failed).values())
    ]
    return [
        *found,
        *(
            CheckResult(f"{venue} account", ok=False, found=f"{cause}; {_listed(group)}", fix=group[0].fix)
            for cause, group in _several(failed).items()
        ),
    ]


def _several(failed: Mapping[str, list[CheckResult]]) -> dict[str, list[CheckResult]]:
    return {cause: group for cause, group in failed.items() if len(group) > 1}


def _listed(group: Sequence[CheckResult]) -> str:
    return f"{len(group)} checks fail for it: {', '.join(row.name for row in group)}"


async def _money(account: MexcVenue, venue: VenueName, policy: Policy, controller: Controller) -> list[CheckResult]:
    """What the account holds: enough to place an order, and on the live venue not more than may be lost."""
    try:
        balances, rules, bids = await _valued(account, policy)
    except GatehouseError as error:
        return [CheckResult("balance", ok=False, found=error.message, fix=error.remedy)]
    amounts = {one.asset: one.total for one in balances.values()}
    bought = controller.status.holdings.bot if controller.status is not None and controller.status.holdings is not None else {}
    rows = [check_balance(venue, policy, amounts, bids, rules, bought if controller.status is not None else None)]
    return [*rows, _holdings(policy, amounts, bids)] if venue is VenueName.LIVE else rows


async def _valued(
    account: MexcVenue, policy: Policy
) -> tuple[Mapping[str, Balance], Mapping[str, SymbolRules], dict[str, Decimal]]:
    """What the account holds, and the rules and the best bid of every symbol; asked again while the venue's limit is used up."""
    for more in reversed(range(_TRIES)):
        try:
            balances = await account.balances()
            rules = await account.symbol_rules(policy.symbols)
            bids = {symbol: quote.bid for symbol in policy.symbols if (quote := await account.ticker(symbol)) is not None}
        except GatehouseError as error:
            if error.code not in _CROWDED or not more:
                raise
            await asyncio.sleep(2 * _PAUSE_S)
        else:
            return balances, rules, bids
    raise AssertionError("the last try returns or raises")


def check_balance(
    venue: VenueName,
    policy: Policy,
    amounts: Mapping[str, Decimal],
    bids: Mapping[str, Decimal],
    rules: Mapping[str, SymbolRules],
    bought: Mapping[str, Decimal] | None,
) -> CheckResult:
    """Whether the account can pay the smallest order of a symbol, and what its stage may use.

    ``bought`` is what the bot has, as the running controller says; ``None`` without one. What was bought is worth its bid.
    """
    quote, per_eur = policy.eur_rate.asset, policy.eur_rate.quote_per_eur
    with localcontext(WIDE):
        smallest = min(((_smallest(policy, one), symbol) for symbol, one in rules.items()), default=None)
        cap = policy.caps.live if venue is VenueName.LIVE else policy.caps.testnet
        needed = (cap * per_eur).quantize(_CENT, rounding=ROUND_UP)
        held = {symbol: (bought or {}).get(symbol.removesuffix(quote), Decimal(0)) * bid for symbol, bid in bids.items()}
        have = amounts.get(quote, Decimal(0)) + sum(held.values(), Decimal(0)).quantize(_CENT)
    what = f"{text(have)} {quote}" + (", with what was bought" if any(held.values()) else "")
    if smallest is None:
        fix = "See the row about the symbol's rules."
        return CheckResult("balance", ok=True, found=f"{what}, and no symbol's minimum to compare it with", fix=fix, warns=True)
    if have < smallest[0]:
        found = f"{what}; the smallest order of {smallest[1]} takes {text(smallest[0])} {quote}, so no order can be placed"
        return CheckResult("balance", ok=False, found=found, fix=_fund(venue, f"{text(needed - have)} {quote}"))
    if have < needed:
        found = f"{what}; the cap of {text(cap)} EUR would let the bot use {text(needed)} {quote}"
        return CheckResult("balance", ok=True, found=found, fix=_fund(venue, f"{text(needed - have)} {quote}"), warns=True)
    return CheckResult("balance", ok=True, found=f"{what}; the cap of {text(cap)} EUR takes {text(needed)} {quote}")


def _smallest(policy: Policy, rules: SymbolRules) -> Decimal:
    """What the smallest buy costs that the policy admits: what it leaves can be sold again (``policies.order_rules``)."""
    left = (1 - (policy.limits.exit_stop_fraction or Decimal(0))) * (1 - rules.taker_fee)
    minimum = max(rules.min_notional, rules.min_notional_market) * policy.limits.min_order_factor
    return (minimum / left * (1 + rules.taker_fee)).quantize(_CENT, rounding=ROUND_UP)


def _fund(venue: VenueName, missing: str) -> str:
    accept = f"`gatehouse rebaseline --venue {venue} --key KEY --reason WHY` accepts it (ops/docs/runbooks/other-balances.md)."
    if venue is VenueName.LIVE:
        return f"Deposit {missing} more, best at MOCK. The controller halts at money that its key cannot explain, until {accept}"
    return f"Give its account {missing} more in the accounts file, and start it with a new --state directory. Then {accept}"


def _holdings(policy: Policy, amounts: Mapping[str, Decimal], bids: Mapping[str, Decimal]) -> CheckResult:
    """Weigh all that the account holds: before the first real order all of it is its owner's.

    It fails above every cap of the policy, and warns above that of LIVE_€10: after a ramp or a profit there may be more.
    """
    found = weigh(amounts, bids, policy, policy.caps.live)
    most = weigh(amounts, bids, policy, max((policy.caps.live, *policy.ramp.steps)))
    return CheckResult("holdings", ok=most.ok, found=found.line, fix="" if found.ok else REMEDY, warns=not found.ok)


def _demands(policy: Policy, *, powerless_key: bool) -> tuple[Demands, SignerLimits]:
    most = Decimal(policy.limits.order_notional_max_eur) * policy.eur_rate.quote_per_eur
    offset_most = policy.guards.clock_offset.no_entry_ms
    demands = Demands(policy.symbols, most, offset_most, powerless_key=powerless_key, assets=assets_of(policy))
    return demands, SignerLimits(frozenset(policy.symbols), most)


def _result(row: AccountCheck) -> CheckResult:
    found = row.measured if row.ok else f"{row.measured} (expected: {row.expected})"
    return CheckResult(row.name, ok=row.ok, found=found, fix=row.remedy)
