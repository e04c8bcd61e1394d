"""Pre-trade checks: ``check(intent, …)`` admits an order or says exactly why not (architecture.md §1.7, §4.2).

``controller.core.decisions.orders`` calls it. The checks run in this order: stage, symbol, restriction by guards, presence of
every input, the rules of ``policies.order_rules``, the cap of the stage, the bot's balance. The first check that fails denies the
order. No check can be turned off, and a check whose input is missing denies. Sources: execution-safety.md §1.1 and §2 (R1-R4),
mexc-spot-v3.md §3.1.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

from exchange.model import Millis, OrderIntent, Side
from policies.eur import priced_for_exit
from policies.exposure import (
    InputName,
    MissingInput,
    OrderRisk,
    at_rate,
    missing_account,
    missing_quote,
    missing_rate,
    missing_rules,
    worst_case,
)
from policies.guards import Level
from policies.limit_types import Admit, Deny, LimitContext, LimitRule
from policies.numbers import WIDE, text
from policies.order_rules import RULES, Case, balance, missing_input
from policies.ramp import cap_eur, symbols_at
from policies.schema import Policy
from policies.stage import Stage

__all__ = ["Admit", "Deny", "LimitContext", "LimitRule", "cap_eur", "check", "check_exit"]


def check(intent: OrderIntent, context: LimitContext, policy: Policy, stage: Stage, step: int, now: Millis) -> Admit | Deny:
    """Judge one order at ``stage`` (``step`` matters in RAMPING only).

    Pure, and no content of an intent or a quote makes it raise.
    """
    with localcontext(WIDE):
        case = _with_inputs(intent, context, policy, stage=stage, step=step, now=now)
        if isinstance(case, Deny):
            return case
        return _judged(case, cap_eur(policy, stage, step))


def check_exit(intent: OrderIntent, context: LimitContext, policy: Policy, stage: Stage, step: int, now: Millis) -> Admit | Deny:
    """Judge one sale of a flatten, by every rule that judges a bot's sale except those about stage, symbol and guards.

    Those rules keep risk out, and a flatten takes it off. The exposure of the verdict is that of the order's own symbol, so that
    another symbol without a price cannot keep this one from being sold. Pure, as ``check``.
    """
    with localcontext(WIDE):
        if intent.side is not Side.SELL:
            return Deny(LimitRule.STAGE, intent.side.value, Side.SELL.value, "a flatten only sells", "Send a sale.")
        case = _present(intent, context, policy.model_copy(update={"symbols": (intent.symbol,)}), now)
        if isinstance(case, Deny):
            return case
        return _judged(case, cap_eur(policy, stage, step))


def _with_inputs(
    intent: OrderIntent, context: LimitContext, policy: Policy, *, stage: Stage, step: int, now: Millis
) -> Case | Deny:
    """Check stage, symbol and guards, and that every input is present; return them as a ``Case``."""
    if cap_eur(policy, stage, step) <= 0:
        return Deny(
            LimitRule.STAGE,
            str(stage.value),
            "a stage that accepts orders",
            f"no new orders are accepted in {stage.value}" + (f" {step}" if stage is Stage.RAMPING else ""),
            "Find the cause, then resume with a signed command.",
        )
    allowed = symbols_at(policy, stage)
    # A holding in another symbol, bought during the ramp, can still be sold after a demotion to LIVE_€10.
    sells_holding = intent.side is Side.SELL and stage is Stage.LIVE_EUR10 and intent.symbol in policy.symbols
    if intent.symbol not in allowed and not sells_holding:
        return Deny(
            LimitRule.SYMBOL,
            intent.symbol[:32],
            ", ".join(allowed),
            f"{intent.symbol[:32]} may not be traded in {stage.value}; only {', '.join(allowed)} may",
            "Trade an allowed symbol, or adopt a policy that allows this one.",
        )
    level = context.restriction
    if level is not None and (intent.side is Side.BUY or level >= Level.CANCEL_ALL):
        return Deny(
            LimitRule.GUARD,
            level.name,
            "no restriction" if intent.side is Side.BUY else f"below {Level.CANCEL_ALL.name}",
            f"a guard is at {level.name}, so {'new buys' if level < Level.CANCEL_ALL else 'new orders'} are denied",
            "Wait until the guard clears; `gatehouse status` names the guard.",
        )
    return _present(intent, context, policy, now)


def _present(intent: OrderIntent, context: LimitContext, policy: Policy, now: Millis) -> Case | Deny:
    """Check that every input is present and fresh; return them as a ``Case``. A sale needs no fresh EUR rate (``policies.eur``)."""
    sells = intent.side is Side.SELL
    found = priced_for_exit(policy, context.rates, now) if sells else at_rate(policy, context.rates, now)
    if isinstance(found, MissingInput):
        return missing_input(found)
    policy = found
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


def _judged(case: Case, cap: Decimal) -> Admit | Deny:
    for rule in RULES:
        denial = rule(case)
        if denial is not None:
            return denial
    verdict = _exposure(case, cap)
    return verdict if isinstance(verdict, Deny) else balance(case) or verdict


def _exposure(case: Case, cap: Decimal) -> Admit | Deny:
    with_order = replace(case.account, orders=(*case.account.orders, OrderRisk.of(case.intent)))
    after = worst_case(with_order, case.context.quotes, case.context.rules, case.policy, case.now)
    if isinstance(after, MissingInput):
        return missing_input(after)
    # A sell within the holdings only lowers the exposure, so it passes even when the market has lifted the exposure over the cap.
    if case.buying and after.eur > cap:
        return Deny(
            LimitRule.EXPOSURE,
            f"{text(after.eur)} EUR",
            f"{text(cap)} EUR",
            f"the worst-case exposure with this order would be {text(after.eur)} EUR; the cap of this stage is {text(cap)} EUR",
            "Sell, cancel open buys, or send a smaller order.",
        )
    return Admit(after, cap, case.quote)
