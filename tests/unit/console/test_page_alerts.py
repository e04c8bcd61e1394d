"""The page shows outstanding alerts, keys that do not work, who acknowledged the last alert, and the last drill."""

from __future__ import annotations

import httpx
import pytest

from controller.console.alerts import AcknowledgedView, AlertView
from controller.console.app import create_app
from controller.console.bot_keys import BotKeyView
from controller.console.channels import ChannelView
from controller.console.drills import DrillView
from controller.console.flatten import WayOutView
from controller.console.schema import OversightView
from exchange.ports import VenueName
from policies.authority import Verb
from policies.stage import Stage
from tests.support.operator_port import NOW, FakePort, a_status

ALERT = AlertView(id="A-17", kind="halted", title="VALIDATED → HALTED", detail="halt: stop", at_ms=NOW, times=2, last_at_ms=NOW)
DRILL = DrillView(
    command_id="0" * 32,
    venue=VenueName.TESTNET,
    stage=Stage.VALIDATED,
    since_ms=NOW,
    deadline_ms=NOW + 30_000,
    denied=1,
    ended_at_ms=NOW + 1500,
    breach_to_latch_us=184,
    latch_to_cancelled_us=12_400,
    cancelled=3,
    verified_empty=True,
)


async def page(view: OversightView) -> str:
    transport = httpx.ASGITransport(create_app(FakePort(view=a_status(oversight=view)), local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get("/")).text


async def test_an_alert_is_on_the_page_until_it_is_acknowledged() -> None:
    text = await page(OversightView(alerts=(ALERT,)))
    assert "<strong>A-17</strong> VALIDATED → HALTED (2 times): halt: stop" in text
    assert "No alert is outstanding" in await page(OversightView())


async def test_the_page_says_who_acknowledged_the_last_alert() -> None:
    text = await page(OversightView(acknowledged=AcknowledgedView(id="A-9", title="locked out", persons=("anna",), at_ms=NOW)))
    assert "Last acknowledged: A-9 locked out, by anna at " in text


async def test_the_page_shows_the_figures_of_the_last_drill() -> None:
    text = await page(OversightView(last_drill=DRILL))
    assert "request to latch 184 µs, latch to all orders cancelled 12.4 ms, 3 cancelled, 1 denied, ✔ verified empty." in text


async def test_a_drill_that_became_a_halt_shows_no_figures() -> None:
    text = await page(OversightView(last_drill=DRILL.model_copy(update={"ended_by": "VALIDATED → HALTED: late"})))
    assert "not completed: VALIDATED → HALTED: late." in text
    assert "request to latch" not in text


async def test_only_a_key_that_does_not_work_is_listed_with_the_reason() -> None:
    bad = BotKeyView(bot="one", key="onebotkey", since_ms=NOW, revoked=False, problem="the secret is missing")
    good = BotKeyView(bot="two", key="twobotkey", since_ms=NOW, revoked=False, problem="")
    text = await page(OversightView(bot_keys=(bad, good)))
    assert "the secret is missing" in text
    assert "twobotkey" not in text


async def test_an_alerts_text_is_never_markup() -> None:
    attack = "<script>alert(1)</script>"
    text = await page(OversightView(alerts=(ALERT.model_copy(update={"title": attack, "detail": attack, "id": attack}),)))
    assert attack not in text


async def test_the_page_of_a_halt_names_every_way_out_and_what_it_refuses() -> None:
    ways = (
        WayOutView(
            verb=Verb.RESET,
            target="MOCK",
            persons_needed=1,
            cooling_off_ms=0,
            gate="",
            refused="",
            remedy="",
            since_ms=NOW,
            command="gatehouse reset --key KEY --reason …",
        ),
        WayOutView(
            verb=Verb.FLATTEN,
            target="HALTED",
            persons_needed=1,
            cooling_off_ms=0,
            gate="",
            refused="a flatten is running",
            remedy="Wait.",
            since_ms=NOW,
            command="",
        ),
    )
    view = a_status(stage=Stage.HALTED, position="HALTED", ways_out=ways)
    transport = httpx.ASGITransport(create_app(FakePort(view=view), local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        text = (await client.get("/")).text
    assert "<li>reset to MOCK (1 signature) is open since " in text
    assert "is refused since " in text
    assert "a flatten is running. Wait.</li>" in text
    assert "Ways out: reset, flatten; see above." in text


async def alerts_page(port: FakePort) -> str:
    transport = httpx.ASGITransport(create_app(port, local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return " ".join((await client.get("/alerts")).text.split())


async def test_the_page_says_how_each_channel_is() -> None:
    text = await alerts_page(FakePort())
    assert "✔ delivers</span> <span><b>mail</b> from info on" in text
    assert "✖ does not deliver</span> <span><b>pager</b> from critical on, after 1 deadlines" in text
    assert "2026-11-22 10:01:00 UTC: HTTP 500" in text
    assert "2 wait, tried next at 2026-11-22 10:01:30 UTC · 3 dropped" in text
    assert "? nothing sent yet</span> <span><b>chat</b>" in text


async def test_a_process_without_channels_says_that_nobody_is_told() -> None:
    port = FakePort()
    port.inspector.channel_views = []
    assert "nobody is told outside this machine" in await alerts_page(port)


@pytest.mark.parametrize(
    ("delivered", "failed", "failing", "works"),
    [(None, None, "", None), (5, None, "", True), (5, 4, "", True), (5, 6, "", False), (None, 4, "", False), (9, 4, "x", False)],
)
def test_a_channel_works_only_if_its_last_attempt_did(
    delivered: int | None, failed: int | None, failing: str, works: bool | None
) -> None:
    view = ChannelView(name="a", severity="info", step=0, queued=0, dropped=0)
    seen = view.model_copy(update={"delivered_at_ms": delivered, "failed_at_ms": failed, "failing": failing})
    assert seen.works is works
