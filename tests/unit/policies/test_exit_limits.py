"""A sale of a flatten is judged by a bot's rules except those that keep risk out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest

from exchange.model import Millis, OrderIntent, OrderStatus, OrderType
from policies.guards import Level
from policies.limits import Admit, Deny, LimitRule, check_exit
from policies.stage import Stage
from tests.unit.policies.policy_kit import BTC, NOW, QUOTE, REHEARSAL, RULES, account, buy, changed, context, sell, working

TWO = changed(REHEARSAL, "symbols", [BTC, "ETHUSDT"])


def judge(
    intent: OrderIntent, inputs: Any = None, policy: Any = REHEARSAL, stage: Stage = Stage.HALTED, step: int = 0
) -> Admit | Deny:
    return check_exit(intent, inputs or context(btc="0.0001"), policy, stage, step, NOW)


def refused(intent: OrderIntent, inputs: Any = None, **more: Any) -> Deny:
    verdict = judge(intent, inputs, **more)
    assert isinstance(verdict, Deny), verdict
    return verdict


@pytest.mark.parametrize("stage", Stage)
def test_a_sale_is_admitted_at_every_stage(stage: Stage) -> None:
    assert isinstance(judge(sell(), stage=stage), Admit)


def test_a_buy_is_refused() -> None:
    verdict = refused(buy())
    assert (verdict.rule, verdict.measured, verdict.threshold) == (LimitRule.STAGE, "BUY", "SELL")


def test_a_severe_guard_keeps_no_sale_from_leaving() -> None:
    assert isinstance(judge(sell(), context(btc="0.0001", restriction=Level.HALT)), Admit)


def test_a_symbol_that_no_policy_allows_any_more_can_still_be_sold() -> None:
    symbol = "ETHUSDT"
    inputs = context(rules={symbol: replace(RULES, symbol=symbol)}, quotes={symbol: replace(QUOTE, symbol=symbol)}, btc="0.0001")
    assert isinstance(judge(replace(sell(), symbol=symbol), inputs), Admit)


def test_another_symbol_without_a_price_keeps_no_sale_from_leaving() -> None:
    holdings = {"USDT": Decimal(10), "BTC": Decimal("0.0001"), "ETH": Decimal(1)}
    inputs = context(
        account=replace(account(), holdings=holdings), rules={BTC: RULES, "ETHUSDT": replace(RULES, symbol="ETHUSDT", base="ETH")}
    )
    assert isinstance(judge(sell(), inputs, policy=TWO), Admit)


def test_a_sale_without_a_quote_is_refused() -> None:
    assert refused(sell(), context(btc="0.0001", quotes={})).rule is LimitRule.QUOTE


def test_a_sale_on_a_quote_that_is_too_old_is_refused() -> None:
    old = replace(QUOTE, received_at=Millis(NOW - 2_001))
    assert refused(sell(), context(btc="0.0001", quotes={BTC: old})).rule is LimitRule.QUOTE


def test_a_sale_of_more_than_is_held_is_refused() -> None:
    assert refused(sell("0.0002"), context(btc="0.0001"), policy=TWO).rule is LimitRule.ORDER_NOTIONAL
    assert refused(sell("0.00009"), context(btc="0.00008")).rule is LimitRule.BALANCE


def test_a_sale_far_from_the_market_is_refused() -> None:
    assert refused(sell(price="59000.00")).rule is LimitRule.PRICE_COLLAR


def test_a_working_sell_reserves_its_coins() -> None:
    other = working(OrderStatus.NEW, side=sell().side)
    assert refused(sell(), context(other, btc="0.0001")).rule is LimitRule.BALANCE


@pytest.mark.parametrize(("stage", "step", "cap"), [(Stage.RAMPING, 2, 25), (Stage.LIVE_EUR10, 0, 10), (Stage.HALTED, 0, 0)])
def test_the_verdict_names_the_cap_of_the_stage(stage: Stage, step: int, cap: int) -> None:
    verdict = judge(sell(), stage=stage, step=step)
    assert isinstance(verdict, Admit)
    assert verdict.cap_eur == cap


def test_the_verdict_names_the_exposure_of_the_holding() -> None:
    verdict = judge(sell())
    assert isinstance(verdict, Admit)
    assert [item.subject for item in verdict.exposure.items] == ["BTC"]


def test_a_market_sale_is_judged_too() -> None:
    intent = OrderIntent(BTC, sell().side, OrderType.MARKET, "m", quantity=Decimal("0.00008"))
    assert isinstance(judge(intent), Admit)


def test_a_verdict_does_not_depend_on_the_precision_of_the_caller() -> None:
    with localcontext() as here:
        here.prec = 3
        verdict = judge(sell("0.00008"), context(btc="0.00012345678"))
    assert isinstance(verdict, Admit)
    assert str(verdict.exposure.eur) == "6.79578606"


def test_the_collar_of_a_sale_does_not_depend_on_the_callers_precision() -> None:
    with localcontext() as here:
        here.prec = 3
        assert refused(sell(price="59395.04")).measured == "100.001666805568 bps"
