"""Every page over HTTP: complete without a script, escaped, filtered, and honest about what it does not know."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import httpx
import pytest

from controller.console.alerts import AlertView
from controller.console.app import create_app
from controller.console.inspection import CheckedView, FactsView, FactView, GuardView
from controller.console.pages.drawing import MOST_AT_ONCE
from controller.console.pages.frame import PLACES
from controller.console.port import GateRefused
from controller.console.schema import OversightView, PendingView
from exchange.errors import Unreachable
from exchange.model import OrderStatus
from policies.authority import Verb
from tests.support.operator_port import DIGEST, NOW, FakePort, a_gate, a_sample, a_status, an_entry, an_order

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
PAGES = [*(place.path for place in PLACES), "/orders/gh000003", "/journal/1840"]


async def get(path: str, port: FakePort | None = None, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(port or FakePort(), local=False, may_halt=lambda _: True, **more))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as client:
        return await client.get(path)


async def post(path: str, form: dict[str, str], port: FakePort) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(port, local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as client:
        return await client.post(path, data=form, headers={"origin": "http://127.0.0.1:8701"})


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_names_itself_and_has_no_inline_code(path: str) -> None:
    response = await get(path, FakePort(samples=[a_sample(NOW - 60_000), a_sample(NOW - 1000)]))
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = response.text
    assert 'aria-current="page"' in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert not re.search(r'(src|href|action)="(https?:)?//', text)


@pytest.mark.parametrize("path", PAGES)
async def test_each_page_has_the_halt_button(path: str) -> None:
    text = (await get(path)).text
    assert '<form method="post" action="/halt">' in text
    assert "■ Halt now" in text


@pytest.mark.parametrize("path", [*PAGES, "/orders?symbol=%22%3E%3Cscript%3E", "/journal?text=%22%3E%3Cscript%3E"])
async def test_text_of_a_bot_or_a_venue_is_never_markup_on_a_page(path: str) -> None:
    view = a_status(guard_reason=ATTACK, controller_id=ATTACK, not_armed_because=ATTACK, eur_rate=ATTACK, position=ATTACK)
    view = view.model_copy(update={"pending": _pending(ATTACK), "release": view.release.model_copy(update={"name": ATTACK})})
    port = FakePort(view=view, order_views=[an_order(3, bot=ATTACK, bot_client_id=ATTACK, symbol=ATTACK)])
    port.entries = [an_entry(1840, ATTACK, ATTACK).model_copy(update={"body": {"reason": ATTACK, "persons": [ATTACK]}})]
    port.gate_views = [a_gate().model_copy(update={"gate": ATTACK, "hopeless": ATTACK, "declared": (ATTACK,)})]
    port.inspector.guard_views = [
        GuardView(guard=ATTACK, measured=ATTACK, limit=ATTACK, used_per_mille=1, level=ATTACK, message=ATTACK)
    ]
    port.inspector.facts = [FactsView(title=ATTACK, facts=(FactView(name=ATTACK, value=ATTACK),))]
    text = (await get(path, port)).text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<img src=x" not in text


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_says_when_the_writer_decides_nothing(path: str) -> None:
    fresh, late = await get(path), await get(path, FakePort(view=a_status(decided_ms_ago=31_000)))
    assert 'data-facts="new"' in fresh.text
    assert 'data-facts="old"' in late.text
    assert "The writer has decided nothing for 31 s" in late.text
    assert "has decided nothing since this process started" in (await get(path, FakePort(view=a_status(decided_ms_ago=None)))).text


async def test_a_guard_that_is_not_measured_is_not_quiet() -> None:
    port = FakePort()
    port.inspector.guard_views = [GuardView(guard="drawdown", measured="", limit="5 %", used_per_mille=None)]
    text = (await get("/", port)).text
    assert "cannot be judged" in text
    assert "not measured" in text
    assert '<tr class="unknown"><th scope="row">drawdown' in text


async def test_what_needs_a_person_is_listed() -> None:
    view = a_status(unproven=("gh000001 is asked about",), oversight=OversightView())
    text = (await get("/", FakePort(view=view))).text
    assert "has no proof yet: gh000001 is asked about" in text
    assert "Nothing is waiting for a person." not in text


async def test_orders_are_filtered_and_a_page_leads_to_the_next() -> None:
    port = FakePort(order_views=[an_order(1), an_order(2, status=OrderStatus.UNKNOWN), an_order(5)])
    port.inspector.more_orders = 77
    text = (await get("/orders?status=UNKNOWN", port)).text
    assert "gh000002" in text
    assert "gh000001" not in text
    assert "/orders?status=UNKNOWN&amp;before=77" in text


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/orders?status=GREEN", "bad-query"),
        ("/orders?before=-1", "bad-query"),
        ("/journal?before=abc", "bad-query"),
        ("/charts?minutes=9999999999999999999", "bad-query"),
        (f"/journal?text={'x' * 65}", "bad-query"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_on_a_page(path: str, code: str) -> None:
    response = await get(path)
    assert response.status_code == 400
    assert code in response.text
    assert "This was not done" in response.text


@pytest.mark.parametrize("path", ["/orders/nothing", "/journal/99", "/journal/0"])
async def test_what_does_not_exist_is_a_page_that_says_so(path: str) -> None:
    response = await get(path)
    assert response.status_code == 404
    assert "This was not done" in response.text


async def test_an_order_page_shows_its_entries_and_links_to_them() -> None:
    port = FakePort()
    text = (await get("/orders/gh000003", port)).text
    assert 'href="/journal/1826"' in text
    assert port.entries[0].summary in text


async def test_an_order_page_names_its_trace_where_there_is_one() -> None:
    port = FakePort()
    assert "No trace id" in (await get("/orders/gh000003", port)).text
    port.entries[0] = port.entries[0].model_copy(update={"body": {"trace_id": "4bf92f3577b34da6"}})
    assert "<code>4bf92f3577b34da6</code>" in (await get("/orders/gh000003", port)).text


async def test_an_entry_with_a_wrong_hash_is_shown_as_wrong() -> None:
    port = FakePort()
    assert "✔ Its hash is that of its content" in (await get("/journal/1840", port)).text
    port.inspector.chain_problem = "entry 1840 is not what was written"
    assert "✖ entry 1840 is not what was written" in (await get("/journal/1840", port)).text


async def test_the_charts_draw_the_window_that_is_asked_for() -> None:
    port = FakePort(samples=[a_sample(NOW - minutes * 60_000, f"{1000 + minutes}") for minutes in range(600, 0, -1)])
    hour = (await get("/charts?minutes=60", port)).text
    assert "59 points" in hour
    assert "€1,001.00 and €1,059.00" in hour
    earlier = (await get(f"/charts?minutes=60&until={NOW - 120 * 60_000}", port)).text
    assert "€1,120.00 and €1,179.00" in earlier
    assert "Later ▸" in earlier
    assert "600 points" in (await get("/charts?minutes=0", port)).text


async def test_the_fall_is_measured_from_the_peak_before_the_window() -> None:
    values = {120: "2000", 60: "1000", 1: "1500"}
    port = FakePort(samples=[a_sample(NOW - minutes * 60_000, value) for minutes, value in values.items()])
    assert "50.00 %" in (await get("/charts?minutes=70", port)).text


async def test_charts_without_a_measured_value_say_so() -> None:
    text = (await get("/charts", FakePort(samples=[a_sample(NOW - 1000, None)]))).text
    assert "Nothing was measured in this time." in text


def _pending(reason: str = "ready") -> PendingView:
    return PendingView(
        command_id="ab" * 16, verb=Verb.ADVANCE, target="LIVE_€10", persons=("anna", "bo"), reason=reason, since_ms=NOW,
        applies_at_ms=NOW + 1, payload_digest=DIGEST, word_code="amber-bell",
    )  # fmt: skip


async def test_a_waiting_command_shows_who_signed_and_how_to_stop_it() -> None:
    text = (await get("/approvals", FakePort(view=a_status(pending=_pending())))).text
    for shown in ("anna, bo", "amber-bell", f"gatehouse veto {'ab' * 16}", "gatehouse propose advance --to VALIDATED"):
        assert shown in text


def a_check(**changes: Any) -> CheckedView:
    check = CheckedView(
        verb="advance", moves="MOCK → TESTNET_VALIDATING", reason="go", command_id="cd" * 16, payload_digest=DIGEST,
        word_code="amber-bell", persons=("anna",), needed=1,
    )  # fmt: skip
    return check.model_copy(update=changes)


async def test_a_signed_command_is_shown_before_it_is_handed_in() -> None:
    port = FakePort()
    port.inspector.checked = a_check()
    shown = await post("/approvals/check", {"envelope": "{}"}, port)
    assert "amber-bell" in shown.text
    assert "✔ Signed by anna; 1 needed" in shown.text
    assert port.submitted == []
    done = await post("/approvals/submit", {"envelope": "{}"}, port)
    assert port.submitted == ["{}"]
    assert "The command is accepted" in done.text
    # The answer to a form cannot be read again at its own address.
    assert 'data-again="/approvals"' in done.text


async def test_a_command_with_too_few_or_bad_signatures_is_not_green() -> None:
    port = FakePort()
    port.inspector.checked = a_check(needed=2)
    assert "Signed by 1 of 2 persons: it will be refused" in (await post("/approvals/check", {"envelope": "{}"}, port)).text
    port.inspector.checked = a_check(persons=(), problem="the key is revoked")
    assert "✖ Its signatures do not count: the key is revoked" in (await post("/approvals/check", {"envelope": "{}"}, port)).text


async def test_a_refused_command_shows_its_gate_rule_by_rule() -> None:
    refused = GateRefused("the gate does not pass", code="gate-refused", remedy="Wait.", gate=a_gate())
    response = await post("/approvals/submit", {"envelope": "{}"}, FakePort(submit_error=refused))
    assert response.status_code == 409
    assert "covered-time" in response.text


async def test_a_section_that_cannot_be_read_says_why() -> None:
    class NoGates(FakePort):
        async def gates(self) -> list[object]:  # type: ignore[override]
            raise Unreachable("no evidence yet", code="no-evidence", remedy="Wait for the first sample.")

    assert "no evidence yet. Wait for the first sample." in (await get("/gates", NoGates())).text


async def test_an_alert_shows_what_it_means_and_how_to_acknowledge_it() -> None:
    alert = AlertView(
        id="A-17", kind="halted", title="it stopped", detail="drawdown", at_ms=NOW, times=2, last_at_ms=NOW, severity="critical",
        escalated=1, reached=("mail",),
    )  # fmt: skip
    newer = alert.model_copy(update={"id": "A-18", "kind": "a-kind-of-a-newer-version", "severity": ""})
    text = (await get("/alerts", FakePort(view=a_status(oversight=OversightView(alerts=(newer, alert)))))).text
    for shown in (
        "gatehouse ack-alert A-17 --key KEY",
        "gatehouse ack-alert A-18",
        "mail; 1 deadlines passed",
        "no order is placed",
    ):
        assert shown in text
    assert text.index("A-17") < text.index("A-18")
    assert "No alert is outstanding." in (await get("/alerts")).text


async def test_the_settings_that_are_handed_over_are_shown() -> None:
    group = FactsView(title="servers", facts=(FactView(name="console", value="127.0.0.1 port 8701"),))
    text = (await get("/settings", settings=lambda: (group,))).text
    assert "127.0.0.1 port 8701" in text
    assert "team" in text


async def test_a_flood_of_pages_is_refused_and_a_halt_is_not() -> None:
    port = FakePort()
    transport = httpx.ASGITransport(create_app(port, local=False, may_halt=lambda _: True))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8701") as client:
        pages = [client.get("/streams") for _ in range(MOST_AT_ONCE + 8)]
        halt = client.post("/halt", data={"reason": "in the flood"}, headers={"origin": "http://127.0.0.1:8701"})
        *answers, halted = await asyncio.gather(*pages, halt)
    assert Counter(one.status_code for one in answers) == {200: MOST_AT_ONCE, 503: 8}
    refused = next(one for one in answers if one.status_code == 503)
    assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("too-many-pages", "2")
    assert halted.status_code == 200
    assert port.halted == ["in the flood"]
    assert (await get("/streams")).status_code == 200


async def test_an_entry_beyond_every_number_does_not_exist() -> None:
    assert (await get(f"/journal/{10**40}")).status_code == 404
