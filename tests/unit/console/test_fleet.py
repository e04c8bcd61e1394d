"""The fleet page: each deployment is red by itself when it halts, does not answer or is old, and nothing is green by default."""

from __future__ import annotations

import httpx
import pytest

from controller.console.fleet import OLD_AFTER_MS, Heard, create_fleet_app
from controller.console.schema import StatusView
from policies.stage import Environment, Stage
from tests.support.operator_port import a_status

ATTACK = "<script>alert(1)</script>"
WELL = Heard("/srv/well", a_status(controller_id="well"), 100)
HALTED = Heard("/srv/halted", a_status(controller_id="halted", stage=Stage.HALTED, position="HALTED", halt_reason="loss"), 100)


async def page(*fleet: Heard, host: str = "127.0.0.1:8705", path: str = "/") -> httpx.Response:
    transport = httpx.ASGITransport(create_fleet_app(lambda: fleet))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("heard", "why"),
    [
        (WELL, ""),
        (HALTED, "HALTED: loss"),
        (Heard("/srv/a", None, None), "nothing was heard of it yet"),
        (Heard("/srv/a", None, None, "no controller runs"), "no controller runs"),
        (Heard("/srv/a", a_status(), OLD_AFTER_MS), ""),
        (Heard("/srv/a", a_status(), OLD_AFTER_MS + 1000), "nothing was heard of it for 6 s: it does not answer"),
        (Heard("/srv/a", a_status(), None), "nothing was heard of it: it does not answer"),
        (Heard("/srv/a", a_status(decided_ms_ago=9_000), 0), "The writer has decided nothing for 9 s"),
        (Heard("/srv/a", a_status(armed=False, not_armed_because="no clock"), 0), "not armed: no clock"),
    ],
)
def test_a_deployment_is_red_for_a_reason(heard: Heard, why: str) -> None:
    assert heard.red.startswith(why) if why else heard.red == ""


async def test_each_deployment_is_red_by_itself_and_the_red_come_first() -> None:
    text = (await page(WELL, HALTED)).text
    assert "1 red of 2" in text
    assert text.index("✖</span> halted") < text.index("✔</span> well")
    assert 'class="panel deployment good"' in text
    assert 'class="panel deployment bad"' in text


async def test_an_old_stage_is_shown_as_what_it_was() -> None:
    text = (await page(Heard("/srv/a", a_status(), 60_000))).text
    assert "was TESTNET_VALIDATING" in text
    assert "deployment bad old" in text
    assert "· armed" not in text


async def test_real_money_says_so() -> None:
    live: StatusView = a_status(stage=Stage.LIVE_EUR10, environment=Environment.PRODUCTION)
    assert "REAL MONEY" in (await page(Heard("/srv/a", live, 0))).text
    assert "REAL MONEY" not in (await page(WELL)).text


async def test_text_of_a_deployment_is_never_markup() -> None:
    status = a_status(controller_id=ATTACK, position=ATTACK, halt_reason=ATTACK, stage=Stage.HALTED)
    assert ATTACK not in (await page(Heard(ATTACK, status, 0, ATTACK))).text


async def test_the_fleet_page_accepts_no_other_host_and_no_write() -> None:
    assert (await page(WELL, host="evil.example")).status_code == 421
    assert (await page(WELL, path="/halt")).status_code == 404
    transport = httpx.ASGITransport(create_fleet_app(lambda: (WELL,)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.post("/", headers={"origin": "http://127.0.0.1"})).status_code == 405
