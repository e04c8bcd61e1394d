"""Every page over a real controller's state and journal, at each stage of its life."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from controller.console.app import create_app
from controller.console.pages.frame import PLACES
from controller.core.events import CommandAccepted, OrderAdmitted
from controller.core.inputs import HaltAsked
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.operating import operating
from tests.support.shell import Shell


async def pages_of(desk: Desk, path: Path, *more: str) -> dict[str, str]:
    shell = Shell(desk, path)
    async with operating(shell) as operator:
        for entry, (event, _) in zip(list(shell.journal.read()), desk.journal, strict=True):
            operator._history.record(entry, event, desk.state)  # as a start does
        transport = httpx.ASGITransport(create_app(operator, local=False, may_halt=lambda _: True))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as client:
            answers = {one: await client.get(one) for one in (*(place.path for place in PLACES), *more)}
            answers["halted"] = await client.post("/halt", data={"reason": "smoke"}, headers={"origin": "http://127.0.0.1:8701"})
            answers["after"] = await client.get("/")
    shell.journal.close()
    assert {one: answer.status_code for one, answer in answers.items() if answer.status_code != 200} == {}
    return {one: re.sub(r"\s+", " ", answer.text) for one, answer in answers.items()}


async def test_the_pages_of_a_validated_deployment(tmp_path: Path) -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    order = desk.events(OrderAdmitted)[-1].client_id  # type: ignore[attr-defined]
    command = desk.events(CommandAccepted)[-1]
    assert isinstance(command, CommandAccepted)
    pages = await pages_of(
        desk, tmp_path / "journal.db", f"/orders/{order}", "/journal/3", f"/v1/chain?after=0&limit={desk.state.seq}"
    )
    assert order in pages["/orders"]
    assert all(kind in pages[f"/orders/{order}"] for kind in ("order-admitted", "order-acked", "fill-booked", "order-reported"))
    assert "VALIDATED" in pages["/charts"]
    assert "live-ready" in pages["/gates"]
    assert all(person in pages["/approvals"] for person in command.persons)
    assert "gatehouse propose advance --to LIVE_EUR10" in pages["/approvals"]
    assert "✔ Its hash is that of its content" in pages["/journal/3"]
    assert '"problem":""' in pages[f"/v1/chain?after=0&limit={desk.state.seq}"]
    assert "order_notional_max_eur" in pages["/settings"]
    assert "drawdown" in pages["/"]
    assert "HALTED" in pages["after"]
    assert "console page: smoke" in pages["after"]


@pytest.mark.parametrize("stage", [Stage.MOCK, Stage.LIVE_EUR10])
async def test_the_pages_at_another_stage(tmp_path: Path, stage: Stage) -> None:
    desk = Desk().arm() if stage is Stage.MOCK else Desk().walk_to(stage)
    assert f'data-stage="{stage}"' in (await pages_of(desk, tmp_path / "journal.db"))["/streams"]


async def test_the_pages_of_a_halted_deployment_show_its_ways_out(tmp_path: Path) -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.give(HaltAsked("test", "stop"))
    pages = await pages_of(desk, tmp_path / "journal.db")
    assert "gatehouse reset" in pages["/approvals"]
    assert "The deployment is HALTED" in pages["/"]
