"""Example policies, a way to change one field of them through the real reader, and an account that may trade."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType, Quote, Side, SymbolRules
from policies import canonical
from policies.document import canonical_bytes, load_policy, parse_canonical
from policies.exposure import AccountView, OrderRisk
from policies.limits import Admit, Deny, LimitContext, check
from policies.schema import Policy
from policies.stage import Stage

EXAMPLES = Path(__file__).parents[3] / "policies" / "examples"
NOW = Millis(1_723_100_000_000)
BTC = "BTCUSDT"

RULES = SymbolRules(
    symbol=BTC,
    base="BTC",
    quote="USDT",
    quantity_precision=8,
    price_precision=2,
    min_quantity=Decimal("0.000001"),
    min_notional=Decimal(1),
    min_notional_market=Decimal(1),
    max_notional=Decimal(2_000_000),
    max_notional_market=Decimal(1_000_000),
    maker_fee=Decimal(0),
    taker_fee=Decimal("0.0005"),
    order_types=frozenset(OrderType),
    trading=True,
    api_allowed=True,
)
QUOTE = Quote(BTC, Decimal("59990.00"), Decimal(1), Decimal("60000.00"), Decimal(1), 7, NOW, NOW)


def example(name: str) -> Policy:
    return load_policy((EXAMPLES / f"{name}.toml").read_bytes())


REHEARSAL_FILE = Path(__file__).with_name("rehearsal.toml")
REHEARSAL = load_policy(REHEARSAL_FILE.read_bytes())


def tree_of(policy: Policy) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(canonical_bytes(policy))
    return tree


def changed(policy: Policy, path: str, value: object) -> Policy:
    """The policy with one field replaced, read again through the real reader with all its checks."""
    tree = tree_of(policy)
    *parents, last = path.split(".")
    node = tree
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    node[last] = value
    return parse_canonical(canonical.encode(tree))


def pinned(policy: Policy, days: int = 30) -> Policy:
    """The policy with a rate that follows no source and is good for some days."""
    rate = {"asset": "USDT", "quote_per_eur": "1.05", "as_of": NOW, "valid_until": NOW + days * 86_400_000}
    return changed(policy, "eur_rate", rate)


def following(policy: Policy, **changes: object) -> Policy:
    """The policy with a rate of 1.10 that follows the ECB and the venue's own pair."""
    follow = {"band_percent": "5", "ecb_max_age_ms": 6 * 86_400_000, "venue_max_age_ms": 600_000, **changes}
    kept = {name: value for name, value in follow.items() if value is not None}
    return changed(policy, "eur_rate", {"asset": "USDT", "quote_per_eur": "1.1", "as_of": NOW, "follow": kept})


def account(*orders: OrderRisk, usdt: str = "10000", btc: str = "0") -> AccountView:
    return AccountView({"USDT": Decimal(usdt), "BTC": Decimal(btc)}, NOW, orders)


def context(*orders: OrderRisk, usdt: str = "10000", btc: str = "0", **changes: Any) -> LimitContext:
    inputs = LimitContext(account(*orders, usdt=usdt, btc=btc), {BTC: RULES}, {BTC: QUOTE}, ())
    return replace(inputs, **changes)


def limit(side: Side, quantity: str, price: str = "60000.00", client_id: str = "a") -> OrderIntent:
    return OrderIntent(BTC, side, OrderType.LIMIT, client_id, quantity=Decimal(quantity), price=Decimal(price))


def buy(quantity: str = "0.00008", price: str = "60000.00", client_id: str = "a") -> OrderIntent:
    return limit(Side.BUY, quantity, price, client_id)


def sell(quantity: str = "0.00008", price: str = "60000.00", client_id: str = "a") -> OrderIntent:
    return limit(Side.SELL, quantity, price, client_id)


def working(status: OrderStatus, quantity: str = "0.00008", side: Side = Side.BUY, client_id: str = "w") -> OrderRisk:
    return replace(OrderRisk.of(limit(side, quantity, client_id=client_id)), status=status)


def judge(
    intent: OrderIntent,
    inputs: LimitContext | None = None,
    policy: Policy = REHEARSAL,
    stage: Stage = Stage.LIVE_EUR10,
    step: int = 0,
    now: Millis = NOW,
) -> Admit | Deny:
    return check(intent, inputs or context(), policy, stage, step, now)


def denied(*args: Any, **kwargs: Any) -> Deny:
    verdict = judge(*args, **kwargs)
    assert isinstance(verdict, Deny), verdict
    return verdict


def admitted(*args: Any, **kwargs: Any) -> Admit:
    verdict = judge(*args, **kwargs)
    assert isinstance(verdict, Admit), verdict
    return verdict
