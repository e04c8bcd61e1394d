"""A venue that takes its fee in MX: the trade is booked, the deployment halts and says why, and the bot sees the fee."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from exchange.testnet.config import AccountConfig
from tests.support.rig import rig


def pays_in_mx(name: str, config: AccountConfig) -> AccountConfig:
    """The account of the testnet pays its fees with MX, of which it has enough."""
    return replace(config, mx_deduction=True, balances={**config.balances, "MX": Decimal(10)}) if name == "testnet" else config


async def test_a_fee_in_mx_halts_and_names_what_to_switch_off(tmp_path: Path) -> None:
    async with rig(tmp_path / "deployment", account=pays_in_mx) as one:
        await one.start()
        await one.climb("TESTNET_VALIDATING")
        price = f"{await one.bid() * Decimal('1.002'):.2f}"
        bought = await one.buy(price, "0.00003", "pays in MX")
        assert bought.status_code == 200, bought.text
        status = await one.until(lambda status: status["stage"] == "HALTED")
        assert "MX; the policy names USDT, BTC" in status["halt_reason"]
        (booked,) = await one.entries("fill-booked")
        assert (booked["body"]["fee_asset"], Decimal(booked["body"]["fee"]) > 0) == ("MX", True)
        trades = (await one.bot("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json()
        assert [(trade["qty"], trade["commission"], trade["commissionAsset"]) for trade in trades] == [
            ("0.00003", booked["body"]["fee"], "MX")
        ]
        refused = await one.buy(price, "0.00003", "another")
        assert refused.status_code == 400, refused.text
        breaches = await one.entries("breach-detected")
        assert [breach["body"]["guard"] for breach in breaches] == ["fee-asset"]
        balance = one.testnet.venue.engine.balances("testnet")["MX"]
        assert balance.total == 10 - Decimal(booked["body"]["fee"])
