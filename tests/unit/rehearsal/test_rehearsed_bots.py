"""Bots in a rehearsal: modules, programs on ccxt, and what is refused (controller.rehearsal.bots)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from controller.cli.rehearse.parts import processes
from controller.rehearsal.bots import load_bot
from controller.rehearsal.run import Result, rehearse
from controller.rehearsal.scene import Script
from exchange.errors import ConfigError
from policies.stage import Stage
from tests.support.rehearsing import bars
from tests.support.rig import ROOT

BUYER = """
from decimal import Decimal

async def trade(port):
    await port.sleep(5)
    book = await port.public("/api/v3/ticker/bookTicker", symbol=port.symbol)
    await port.order("BUY", Decimal(book["askPrice"]), Decimal("0.00003"), "first")
"""


def traded(folder: Path, bot: str, name: str = "d", until: Stage = Stage.MOCK) -> Result:
    """A short rehearsal with a bot."""
    script = Script(folder / name, (bars(folder / "bars.csv"),), 0.01, 7, load_bot(bot), until)
    return rehearse(script, processes())


def test_a_program_on_ccxt_trades_unchanged_and_alike_each_time(tmp_path: Path) -> None:
    program = f"ccxt {ROOT / 'ops' / 'demo' / 'bot.py'}"
    one, again = (traded(tmp_path, program, name, Stage.TESTNET_VALIDATING) for name in ("one", "again"))
    assert one.stage == "TESTNET_VALIDATING"
    assert one.counts["orders-sent"] > 3
    assert one.journal_head == again.journal_head


def test_a_module_with_a_coroutine_trade_is_a_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "first_buyer.py").write_text(BUYER)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        result = traded(tmp_path, "first_buyer")
    finally:
        sys.modules.pop("first_buyer", None)
    assert result.counts["orders-sent"] == 1
    assert result.bot_ended == "it returned"


def test_a_bot_that_fails_is_named_in_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_bot.py").write_text("async def trade(port):\n    raise ValueError('no idea')\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        result = traded(tmp_path, "failing_bot")
    finally:
        sys.modules.pop("failing_bot", None)
    assert "no idea" in result.bot_ended


@pytest.mark.parametrize("name", ["no.such.module", "json", "ccxt /no/such/program.py"])
def test_what_is_no_bot_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_bot(name)
    assert refused.value.code == "rehearsal-bot"
