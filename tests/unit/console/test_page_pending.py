"""The page shows what is pending: a command in its cooling-off time, a demotion, a void validation, the signer's budget."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import httpx
from rich.console import Console

from controller.cli.show.status_view import status_panel
from controller.console.app import create_app
from controller.console.schema import PendingView
from controller.console.signer_view import SignerBudgetView
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


BUDGET = SignerBudgetView(
    spent=Decimal(33), limit=Decimal(33), frees_at_ms=NOW, low=True, used_up=True, line="buys of 33 of 33 are signed"
)


async def page(path: str = "/", **changed: Any) -> str:
    transport = httpx.ASGITransport(create_app(FakePort(view=a_status().model_copy(update=changed)), local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get(path)).text


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


async def test_a_used_up_budget_of_the_signer_says_what_to_do() -> None:
    text = await page(signer_budget=BUDGET)
    assert "The signer signs no such buys: buys of 33 of 33 are signed. Let the bot place fewer or smaller buys" in text


async def test_a_budget_of_the_signer_that_is_not_low_is_not_listed() -> None:
    text = await page(signer_budget=BUDGET.model_copy(update={"low": False, "used_up": False}))
    assert '<ul id="standing" class="standing" hidden>' in text


async def test_readyz_and_the_command_line_name_the_used_up_budget() -> None:
    assert "ok, but The signer signs no such buys: buys of 33 of 33" in await page("/readyz", signer_budget=BUDGET)
    console = Console(width=250, file=StringIO())
    console.print(status_panel(a_status().model_copy(update={"signer_budget": BUDGET})))
    assert "The signer signs no such buys: buys of 33 of 33 are signed" in console.file.getvalue()  # type: ignore[attr-defined]


async def test_nothing_is_listed_when_nothing_is_pending() -> None:
    assert '<ul id="standing" class="standing" hidden>' in await page()
