"""The short form of ``make bots``: recipes whose clients are in the test environment, from MOCK up to LIVE_€10 in seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from controller.cli.bots.clients import ClientName, load_clients
from tests.support.bots.field import STAGES, Did, by_stage, climb, field_of
from tests.support.bots.players import Player
from tests.support.rig import quick_policy

QUICK = (ClientName.CCXT, ClientName.CCXT_PRO, ClientName.PYMEXC)
"""Those whose package the lock file of the tests has."""


def one_round_trip(did: Did) -> bool:
    return did.fills >= 2


@pytest.mark.parametrize("client", QUICK)
async def test_a_recipe_trades_at_every_stage_as_it_is_printed(client: ClientName, tmp_path: Path) -> None:
    async with field_of(tmp_path / "deployment", quick_policy()) as deployment:
        bot = Player(load_clients()[client], tmp_path / "bot", deployment, python=Path(sys.executable))
        try:
            await bot.start()
            await climb(deployment, bot, one_round_trip, lambda _: None, within=240)
        finally:
            await bot.stop()
        did = by_stage(await deployment.entries())
        assert {name: did[name].cancels > 0 and did[name].fills > 1 for name in STAGES} == dict.fromkeys(STAGES, True)
        assert {name: (did[name].denied, did[name].rejected) for name in STAGES} == dict.fromkeys(STAGES, ({}, 0)), (
            bot.log.read_text()
        )
        assert "refused" not in bot.log.read_text()
