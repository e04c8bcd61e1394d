"""Pre-trade checks: ``check(intent, …)`` admits an order or says exactly why not (architecture.md §1.7, §4.2).

Stage, symbol and standing guards come first, then that every input is there, then the rules of ``policies.order_rules`` and last
the stage's cap. The first that objects answers. None can be switched off, and each denies when what it needs is missing.
Sources: execution-safety.md §1.1 and §2 (R1-R4), mexc-spot-v3.md §3.1.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

from exchange.model import Millis, OrderIntent, Side
from policies.exposure import (
    InputName,
    MissingInput,
    OrderRisk,
    missing_account,
    missing_quote,
    missing_rate,
    missing_rules,
    worst_case,
)
from policies.guards import Level
from policies.limit_types import Admit, Deny, LimitContext, LimitRule
from policies.numbers import WIDE, text
from policies.order_rules import RULES, Case, missing_input
from policies.ramp import cap_eur, symbols_at
from policies.schema import Policy
from policies.stage import Stage

__all__ = ["Admit", "Deny", "LimitContext", "LimitRule", "cap_eur", "check"]


def check(intent: OrderIntent, context: LimitContext, policy: Policy, stage: Stage, step: int, now: Millis) -> Admit | Deny:
    """Judge one order at ``stage`` (``step`` counts for RAMPING only). Pure; no content of an intent or a quote makes it raise."""
    with localcontext(WIDE):
        case = _prove(intent, context, policy, stage=stage, step=step, now=now)
        if isinstance(case, Deny):
            return case
        for rule in RULES:
            denial = rule(case)
            if denial is not None:
                return denial
        return _exposure(case, cap_eur(policy, stage, step))


def _prove(intent: OrderIntent, context: LimitContext, policy: Policy, *, stage: Stage, step: int, now: Millis) -> Case | Deny:
    """Stage, symbol and guards allow this kind of order at all, and every input is there."""
    if cap_eur(policy, stage, step) <= 0:
        return Deny(
            LimitRule.STAGE,
            str(stage.value),
            "a stage that accepts orders",
            f"no new orders are accepted in {stage.value}" + (f" {step}" if stage is Stage.RAMPING else ""),
            "Resume with a signed command once the cause is understood.",
        )
    allowed = symbols_at(policy, stage)
    # What the ramp bought in another symbol must still be sellable after a demotion to LIVE_€10.
    leaves = intent.side is Side.SELL and stage is Stage.LIVE_EUR10 and intent.symbol in policy.symbols
    if intent.symbol not in allowed and not leaves:
        return Deny(
            LimitRule.SYMBOL,
            intent.symbol[:32],
            ", ".join(allowed),
            f"{intent.symbol[:32]} may not be traded in {stage.value}; only {', '.join(allowed)} may",
            "Trade an allowed symbol; another one needs a new policy.",
        )
    standing = context.restriction
    if standing is not None and (intent.side is Side.BUY or standing >= Level.CANCEL_ALL):
        return Deny(
            LimitRule.GUARD,
            standing.name,
            "no standing guard" if intent.side is Side.BUY else f"below {Level.CANCEL_ALL.name}",
            f"a guard stands at {standing.name}, which bars {'new buys' if standing < Level.CANCEL_ALL else 'new orders'}",
            "Wait until the guard clears; `gatehouse status` names it.",
        )
    rules = context.rules.get(intent.symbol)
    quote = context.quotes.get(intent.symbol)
    missing = (
        missing_rules(intent.symbol, rules)
        or missing_rate(policy, now)
        or missing_quote(intent.symbol, quote, policy, now)
        or missing_account(context.account, policy, now)
    )
    if missing:
        return missing_input(missing)
    if rules is None or quote is None or context.account is None:
        return missing_input(MissingInput(InputName.HOLDINGS, "account", "the order's inputs are not known"))
    return Case(intent, context, policy, context.account, rules, quote, now)


def _exposure(case: Case, cap: Decimal) -> Admit | Deny:
    with_it = replace(case.account, orders=(*case.account.orders, OrderRisk.of(case.intent)))
    after = worst_case(with_it, case.context.quotes, case.context.rules, case.policy, case.now)
    if isinstance(after, MissingInput):
        return missing_input(after)
    # A sell within the holdings can only lower the exposure, so it passes even when the market has carried it over the cap.
    if case.buying and after.eur > cap:
        return Deny(
            LimitRule.EXPOSURE,
            f"{text(after.eur)} EUR",
            f"{text(cap)} EUR",
            f"worst-case exposure with this order would be {text(after.eur)} EUR; this stage may reach {text(cap)} EUR",
            "Sell, cancel open buys, or make the order smaller.",
        )
    return Admit(after, cap, case.quote)
