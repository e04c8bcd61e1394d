"""What a move up would land on: whether the target's market, account and clock are seen now. ``commands`` and the views ask it.

A deployment that moves to a venue it cannot see would be stopped there by its own guards. So the move is refused before, with what
is missing and how old the last of it is. A move to real money is refused too while the account holds more of its own than the stage
may risk (``policies.baseline``). A move down lands anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from controller.core.decisions import attestation
from controller.core.decisions.account import baseline
from controller.core.inputs import Tick
from controller.core.lifecycle import Position
from controller.core.state import State, market_of, venue_of
from exchange.errors import Refused
from exchange.model import Millis
from exchange.ports import VenueName
from policies.authority import MOVES_UP, Verb
from policies.baseline import REMEDY, weigh
from policies.eur import priced_for_exit
from policies.exposure import missing_quote
from policies.guards import ClockOffset
from policies.ramp import cap_eur, symbols_at
from policies.schema import Policy
from policies.stage import LIVE_STAGES


class Sight(StrEnum):
    """What must be seen of a venue before a deployment moves there. ``HOLDINGS`` is seen, and must be little enough."""

    MARKET = "market"
    ACCOUNT = "account"
    CLOCK = "clock"
    HOLDINGS = "holdings"
    STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is seen of the target's venue, or is not: ``line`` says it in words, with its age in ms where it has one."""

    sight: Sight
    line: str
    ok: bool
    age_ms: int | None


class TargetNotSeen(Refused):
    """The venue that a move up leads to is blind, not reconciled, or its clock is not known. ``facts`` are those that fail."""

    def __init__(self, target: Position, venue: VenueName, facts: tuple[Fact, ...]) -> None:
        super().__init__(
            f"{target} cannot be entered now, because of what is seen of {venue}: {'; '.join(fact.line for fact in facts)}",
            code="target-not-seen",
            remedy="Wait until `gatehouse status` shows the step without this, then propose and submit it again.",
        )
        self.facts = facts


class TooMuchToRisk(Refused):
    """The account that a move up leads to holds more of its own than the target's cap."""

    def __init__(self, target: Position, fact: Fact) -> None:
        super().__init__(f"{target} cannot be entered: {fact.line}", code="too-much-to-risk", remedy=REMEDY)


def facts(state: State, policy: Policy, verb: Verb, target: Position, seen: Tick | None, now: Millis) -> tuple[Fact, ...]:
    """Everything that must be seen for this move; nothing for a move that is not up."""
    venue = venue_of(target.stage)
    if verb not in MOVES_UP or venue is None:
        return ()
    quotes = tuple(_quoted(policy, venue, symbol, seen, now) for symbol in symbols_at(policy, target.stage))
    holdings = (_holdings(state, policy, target, seen, now),) if target.stage in LIVE_STAGES else ()
    proves = verb is Verb.ADVANCE and attestation.needs_attestation(policy, venue)
    proven = (_statement(state, policy, seen, now),) if proves else ()
    return (*quotes, _account(state, policy, venue, now), _clock(policy, venue, seen, now), *proven, *holdings)


def blind(found: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Those that fail because something is not seen: they may be seen in the next moment, and nobody has to do anything."""
    return tuple(fact for fact in found if not fact.ok and fact.sight is not Sight.HOLDINGS)


def check(state: State, policy: Policy, verb: Verb, target: Position, seen: Tick | None, now: Millis) -> None:
    """Refuse a move up to a venue that is not seen, or to real money where the account holds too much.

    Raises:
        TargetNotSeen: a quote is missing or old, the account is not reconciled, or the clock is not known.
        TooMuchToRisk: the account's own holdings are above the cap, and the policy does not keep them.
    """
    venue = venue_of(target.stage)
    found = facts(state, policy, verb, target, seen, now)
    if venue is not None and (missing := blind(found)):
        raise TargetNotSeen(target, venue, missing)
    for fact in found:
        if not fact.ok:
            raise TooMuchToRisk(target, fact)


def _quoted(policy: Policy, venue: VenueName, symbol: str, seen: Tick | None, now: Millis) -> Fact:
    market = seen.markets.get(market_of(venue)) if seen is not None else None
    most = min(policy.limits.quote_max_age_ms, policy.guards.quote_stale.no_entry_ms)
    quote = market.quotes.get(symbol) if market is not None else None
    if quote is not None:
        age = max(0, now - quote.received_at)
        return Fact(Sight.MARKET, f"{symbol} was quoted {age} ms ago, and {most} ms is the most", age <= most, age)
    last = market.seen_at.get(symbol) if market is not None else None
    if last is None:
        return Fact(Sight.MARKET, f"{symbol} was never quoted", ok=False, age_ms=None)
    return Fact(
        Sight.MARKET, f"{symbol} has no valid order book and was last quoted {now - last} ms ago", ok=False, age_ms=now - last
    )


def _account(state: State, policy: Policy, venue: VenueName, now: Millis) -> Fact:
    ledger, most = state.ledger(venue), policy.guards.reconciliation.max_age_ms
    age = None if ledger.reconciled_at is None else max(0, now - ledger.reconciled_at)
    differences = ledger.breaks if venue is state.venue else ledger.breaks or ledger.suspected
    if differences:
        return Fact(Sight.ACCOUNT, f"the account does not reconcile: {'; '.join(differences)[:300]}", ok=False, age_ms=age)
    if ledger.totals is None or age is None:
        return Fact(Sight.ACCOUNT, "the account was not reconciled since the controller started", ok=False, age_ms=None)
    return Fact(Sight.ACCOUNT, f"the account was reconciled {age} ms ago, and {most} ms is the most", age <= most, age)


def _holdings(state: State, policy: Policy, target: Position, seen: Tick | None, now: Millis) -> Fact:
    market = seen.markets.get(VenueName.LIVE) if seen is not None else None
    quotes = market.quotes if market is not None else {}
    bids = {symbol: quote.bid for symbol, quote in quotes.items() if missing_quote(symbol, quote, policy, now) is None}
    own = baseline(state.ledger(VenueName.LIVE))
    weighed = weigh(own, bids, priced_for_exit(policy, state.rates, now), cap_eur(policy, target.stage, target.step))
    return Fact(Sight.HOLDINGS, weighed.line, weighed.ok, age_ms=None)


def _statement(state: State, policy: Policy, seen: Tick | None, now: Millis) -> Fact:
    judged = attestation.judge(state, policy, seen or Tick(markets={}), now)
    if judged.at is None:
        return Fact(Sight.STATEMENT, attestation.refusal(judged), ok=False, age_ms=None)
    age = max(0, now - judged.at)
    return Fact(Sight.STATEMENT, f"the testnet's own key vouched for its data and for our books {age} ms ago", ok=True, age_ms=age)


def _clock(policy: Policy, venue: VenueName, seen: Tick | None, now: Millis) -> Fact:
    ms = seen.clock_offset_ms.get(venue) if seen is not None else None
    most = policy.guards.clock_offset.no_entry_ms
    if seen is not None and ms is not None:
        offset = ClockOffset(ms, seen.clock_uncertainty_ms.get(venue, 0))
        ok = offset.tells(most) and offset.most <= most
        line = f"our clock and the venue's differ by {offset.least} to {offset.most} ms, and {most} ms is the most"
        return Fact(Sight.CLOCK, line, ok, 0)
    good = seen.clock_good.get(venue) if seen is not None else None
    if good is None:
        return Fact(Sight.CLOCK, "the venue's clock was never measured", ok=False, age_ms=None)
    age = now - good.at
    return Fact(Sight.CLOCK, f"the venue's clock was last measured well enough {age} ms ago", ok=False, age_ms=age)
