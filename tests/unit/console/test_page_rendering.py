from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

import controller.console
from controller.console import wording
from controller.console.app import create_app
from controller.console.schema import HaltView
from exchange.errors import Unreachable
from exchange.model import DataSource
from policies.stage import Environment, Stage
from tests.support.operator_port import FakePort, a_gate, a_status, an_entry, an_order

STATIC = Path(controller.console.__file__).parent / "static"


async def page(port: FakePort) -> str:
    transport = httpx.ASGITransport(create_app(port, local=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.get("/")
    assert response.status_code == 200
    return response.text


async def test_the_page_is_complete_without_a_script() -> None:
    text = await page(FakePort())
    for value in ("TESTNET_VALIDATING", "€1,002.48", "40:47:00", "covered-time", "gh", "fill-booked", "team", "meanrev 2.3.1"):
        assert value in text


async def test_the_page_shows_both_rehearsal_and_simulated_data() -> None:
    text = await page(FakePort())
    assert "REHEARSAL" in text
    assert "SIMULATED DATA: recorded-l2" in text


async def test_the_page_shows_real_money_and_no_simulation() -> None:
    status = a_status(environment=Environment.PRODUCTION, stage=Stage.LIVE_EUR10, simulated=False, source=DataSource.LIVE)
    text = await page(FakePort(view=status))
    assert "REAL MONEY" in text
    assert "REHEARSAL" not in text
    assert "SIMULATED" not in text


async def test_production_before_real_money_has_no_notice() -> None:
    status = a_status(environment=Environment.PRODUCTION, stage=Stage.VALIDATED, simulated=False)
    assert 'class="notice" role="note" hidden' in await page(FakePort(view=status))


async def test_text_of_a_bot_or_a_venue_is_never_markup() -> None:
    attack = '"><script>alert(1)</script>'
    port = FakePort(view=a_status(guard_reason=attack, halt_reason=attack, not_armed_because=attack, controller_id=attack))
    port.order_views = [an_order(1, symbol=attack, bot=attack)]
    port.entries = [an_entry(1840, attack, attack)]
    port.gate_views = [a_gate().model_copy(update={"gate": attack, "verdict": attack})]
    assert "<script>alert" not in await page(port)


async def test_the_page_has_no_inline_script_and_no_inline_style() -> None:
    text = await page(FakePort())
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert not re.search(r'(src|href)="(https?:)?//', text)


async def test_a_halt_shows_its_reason_and_its_measurement() -> None:
    halt = HaltView(breach_to_latch_us=184, latch_to_cancelled_us=12_400, cancelled=2, verified_empty=True)
    text = await page(
        FakePort(view=a_status(stage=Stage.HALTED, position="HALTED", halted_from="LIVE_€10", halt_reason="drawdown", halt=halt))
    )
    for value in ("drawdown", "184 µs", "12.4 ms", "✔ verified"):
        assert value in text


async def test_an_unreadable_section_says_why_and_the_rest_is_shown() -> None:
    class NoGates(FakePort):
        async def gates(self) -> list[object]:  # type: ignore[override]
            raise Unreachable("no evidence yet", code="no-evidence", remedy="Wait for the first sample.")

    text = await page(NoGates())
    assert "no evidence yet. Wait for the first sample." in text
    assert "€1,002.48" in text


async def test_an_unknown_value_is_a_dash_and_never_zero() -> None:
    text = await page(FakePort(view=a_status(equity_eur=None, exposure_eur=None, quote=None, coverage=None, day_pnl_eur=None)))
    assert re.search(r'data-f="equity">—<', text)
    assert re.search(r'data-f="exposure">—<', text)
    assert re.search(r'id="cap-bar" max="1000" value="1000"', text)


def test_scripts_insert_text_as_text_only() -> None:
    for script in STATIC.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", script.read_text())


def test_the_vendored_chart_library_has_the_digest_in_its_readme() -> None:
    folder = STATIC / "vendor" / "uplot"
    named = dict(re.findall(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", (folder / "README.md").read_text()))
    assert named == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("uPlot.*")}


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [
        (None, "—", "—"),
        ("1234.505", "€1,234.50", "+€1,234.50"),
        ("-0.004", "€0.00", "€0.00"),
        ("-1.5", "-€1.50", "-€1.50"),
        ("0.005", "€0.00", "€0.00"),
        ("0.006", "€0.01", "+€0.01"),
    ],
)
def test_euros_are_written_with_cents_and_a_sign(value: str | None, text: str, signed: str) -> None:
    amount = None if value is None else Decimal(value)
    assert (wording.euro(amount), wording.signed_euro(amount)) == (text, signed)


def test_an_unknown_exposure_counts_as_the_whole_cap() -> None:
    assert wording.per_mille(None, Decimal(10)) == 1000
    assert wording.per_mille(Decimal(1), Decimal(0)) == 1000
    assert wording.per_mille(Decimal(0), Decimal(0)) == 0
    assert wording.per_mille(Decimal("6.42"), Decimal(10)) == 642
