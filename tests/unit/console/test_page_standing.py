"""What stands over the deployment, on the page: a command that waits, a rung that is owed, a way back that is shut."""

from __future__ import annotations

from typing import Any

import httpx

from controller.console.app import create_app
from controller.console.schema import PendingView
from controller.core.causes import HaltClass
from policies.authority import Verb
from policies.stage import Stage
from tests.support.operator_port import NOW, FakePort, a_status

WAITS = PendingView(
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


async def test_a_command_that_cools_off_says_when_it_applies_and_how_to_stop_it() -> None:
    text = await page(pending=WAITS)
    assert "advance to LIVE_€10, signed by anna, is applied at " in text
    assert f"unless somebody vetoes command {WAITS.command_id}: it is proven" in text


async def test_a_rung_that_is_owed_says_what_has_to_be_sold_first() -> None:
    text = await page(position="LIVE_€10", pending_demotion="the quote is old")
    assert "LIVE_€10 is being left: only sells, and VALIDATED once nothing is held: the quote is old" in text


async def test_a_halt_says_its_kind_and_that_only_a_reset_is_left() -> None:
    text = await page(stage=Stage.HALTED, halt_class=HaltClass.BREACH, validation_void="drawdown of 9 %")
    assert '<dd data-f="halt_class">breach</dd>' in text
    assert "Only a reset leads on: the validation is void: drawdown of 9 %" in text


async def test_nothing_stands_over_a_quiet_deployment() -> None:
    assert '<ul id="standing" class="standing" hidden>' in await page()
