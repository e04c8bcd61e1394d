"""The short form of ``make bots``: recipes whose clients are in the test environment, from MOCK up to LIVE_€10 in seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.bots.clients import ClientName, load_clients
from tests.support.bots.field import STAGES, Did, by_stage, climb, field_of
from tests.support.bots.players import Player
from tests.support.rig import ROOT, quick_policy

QUICK = (ClientName.CCXT, ClientName.CCXT_PRO, ClientName.PYMEXC)
"""Those whose package the lock file of the tests has."""


LOOPBACK_ONLY = "tests/support/bots/loopback_only"


OF_A_STEP = {"balance", "moved"}


def one_round_trip(did: Did) -> bool:
    return did.fills >= 2


@pytest.mark.parametrize("client", QUICK)
async def test_a_recipe_trades_at_every_stage_as_it_is_printed(client: ClientName, tmp_path: Path) -> None:
    async with field_of(tmp_path / "deployment", quick_policy()) as deployment:
        here = {"PYTHONPATH": str(ROOT / LOOPBACK_ONLY)}
        bot = Player(load_clients()[client], tmp_path / "bot", deployment, python=Path(sys.executable), extra=here)
        try:
            await bot.start()
            await climb(deployment, bot, one_round_trip, lambda _: None, within=240)
        finally:
            await bot.stop()
        entries = await deployment.entries()
        did = by_stage(entries)
        assert {name: did[name].cancels > 0 and did[name].fills > 1 for name in STAGES} == dict.fromkeys(STAGES, True)
        assert [name for name in STAGES if did[name].rejected] == [], bot.log.read_text()
        sides = {
            entry["body"]["side"] for entry in entries if entry["kind"] == "order-denied" and entry["body"]["rule"] == "balance"
        }
        assert sides <= {"SELL"}, bot.log.read_text()
        # A step between a buy and its sale leaves the coins at the old venue, so that sale, and no other order, is refused.
        refused = {name: did[name].denied for name in STAGES if did[name].denied}
        assert all(rules.keys() <= OF_A_STEP and sum(rules.values()) <= 1 for rules in refused.values()), bot.log.read_text()


@pytest.mark.parametrize("host", ["api.mexc.com", "192.0.2.1", "2001:db8::1"])
def test_a_bot_of_these_tests_reaches_loopback_alone(host: str) -> None:
    asks = f"import socket; socket.create_connection(({host!r}, 443), 1)"
    tried = subprocess.run(
        (sys.executable, "-c", asks), env={"PYTHONPATH": LOOPBACK_ONLY}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "only loopback can be reached from here" in tried.stderr
