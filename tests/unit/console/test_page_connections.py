"""The page shows which bots are heard and which venues do not answer, and what to do about it."""

from __future__ import annotations

from typing import Any

import httpx

from controller.console.app import create_app
from controller.console.role import StandbyView
from tests.support.operator_port import LIVE, SILENT, UNREACHED, FakePort, a_status


async def page(**changed: Any) -> str:
    transport = httpx.ASGITransport(create_app(FakePort(view=a_status(**changed)), local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get("/")).text.replace("&#39;", "'")


def rows(text: str, id_: str) -> str:
    return text.partition(f'<ul id="{id_}"')[2].partition("</ul>")[0]


async def test_a_bot_that_is_heard_is_shown_with_its_limit_and_streams() -> None:
    bots = rows(await page(bots=(LIVE,)), "bots")
    assert '<li class="good"><span class="mark">✔ connected</span>' in bots
    assert "meanrev is connected: heard 3 s ago by a stream, 1 open stream; it may be silent for 00:02:00" in bots
    assert "→" not in bots


async def test_a_bot_that_is_missed_is_red_with_what_to_do() -> None:
    bots = rows(await page(bots=(SILENT,)), "bots")
    assert '<li class="bad"><span class="mark">✖ not connected</span>' in bots
    assert "heard 131 s ago" in bots
    assert "set silence_max_ms below its [[bots]] in the policy" in bots


async def test_a_bot_that_nothing_depends_on_is_not_red() -> None:
    bots = rows(await page(bots=(SILENT.model_copy(update={"counts": False}),)), "bots")
    assert '<li class="muted">' in bots
    assert "→" not in bots


def test_what_to_do_follows_from_why_a_bot_is_not_connected() -> None:
    never = SILENT.model_copy(update={"silent_ms": None})
    set_back = SILENT.model_copy(update={"silent_ms": 0, "why_not": "the clock was set back"})
    assert "gatehouse bot-config CLIENT meanrev" in never.remedy
    assert "the clock was set back. Correct this machine's clock." in set_back.remedy
    assert "See in its log whether it runs" in SILENT.remedy


async def test_a_venue_that_orders_wait_for_is_red_and_another_is_not() -> None:
    assert '<li class="bad"><span class="mark">✖ no answer</span>' in rows(await page(unreached=(UNREACHED,)), "unreached")
    not_needed = UNREACHED.model_copy(update={"orders_wait": False})
    venues = rows(await page(unreached=(not_needed,)), "unreached")
    assert '<li class="warn"><span class="mark">✖ no answer</span>' in venues
    assert "run `gatehouse doctor`" in venues


async def test_no_bot_at_all_is_never_shown_as_good() -> None:
    bots = rows(await page(), "bots")
    assert '<li class="warn">No bot has a gateway key, so no time is covered.' in bots


async def test_a_standby_says_that_it_hears_no_bot_and_asks_no_venue() -> None:
    text = await page(standby=StandbyView(leader_epoch=3, behind_entries=0, quiet_ms=0, takes_over_after_ms=9_000))
    assert "A standby hears no bot." in rows(text, "bots")
    assert "A standby asks no venue." in rows(text, "unreached")
