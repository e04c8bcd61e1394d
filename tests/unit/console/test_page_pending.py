"""The page shows what is pending: a command in its cooling-off time, a demotion, a void validation."""

from __future__ import annotations

from typing import Any

import httpx

from controller.console.app import create_app
from controller.console.schema import PendingView
from controller.core.causes import HaltClass
from policies.authority import Verb
from policies.stage import Stage
from tests.support.operator_port import NOW, FakePort, a_status

PENDING = PendingView(
    command_id="ab" * 16,
    verb=Verb.ADVANCE,
    target="LIVE_€10",
    persons=("anna",),
    reason="it is proven",
    since_ms=NOW,
    applies_at_ms=NOW + 600_000,
    payload_digest="sha256:" + "0" * 64,
)


async def page(**changed: Any) -> str:
    transport = httpx.ASGITransport(create_app(FakePort(view=a_status().model_copy(update=changed)), local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get("/")).text


async def test_a_pending_command_shows_when_it_applies_and_how_to_veto_it() -> None:
    text = await page(pending=PENDING)
    assert "advance to LIVE_€10, signed by anna, is applied at " in text
    assert f"unless someone vetoes command {PENDING.command_id}: it is proven" in text


async def test_a_pending_demotion_says_that_holdings_are_sold_first() -> None:
    text = await page(position="LIVE_€10", pending_demotion="the quote is old")
    assert "LIVE_€10 ends: only sells are allowed, and VALIDATED follows once nothing is held: the quote is old" in text


async def test_a_halt_shows_its_kind_and_that_only_a_reset_is_possible() -> None:
    text = await page(stage=Stage.HALTED, halt_class=HaltClass.BREACH, validation_void="drawdown of 9 %")
    assert '<dd data-f="halt_class">breach</dd>' in text
    assert "The validation is void, so only a reset is possible: drawdown of 9 %" in text


async def test_nothing_is_listed_when_nothing_is_pending() -> None:
    assert '<ul id="standing" class="standing" hidden>' in await page()
