from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, expect

from controller.console import lines
from controller.console.alerts import AcknowledgedView, AlertView
from controller.console.drills import DrillView
from controller.console.schema import HaltView, OversightView, SampleView
from exchange.model import OrderStatus
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.console_window import CHROMIUM, Console, Window, a_console, chromium, look
from tests.support.operator_port import (
    LIVE,
    NOW,
    SILENT,
    UNREACHED,
    a_gate,
    a_lost_run,
    a_run,
    a_sample,
    a_status,
    an_entry,
    an_order,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def console() -> Iterator[Console]:
    with a_console() as served:
        yield served


@pytest.fixture
def window(browser: Browser, console: Console) -> Iterator[Window]:
    window = look(browser, console)
    expect(window.page.locator("#link")).to_have_text("● live")
    yield window
    window.page.context.close()


def test_the_page_shows_the_stage_and_both_charts_without_errors(window: Window, console: Console) -> None:
    expect(window.page.locator(".stage")).to_have_text("TESTNET_VALIDATING")
    expect(window.page.locator(".lifecycle.wide .node.current")).to_have_attribute("data-stage", "TESTNET_VALIDATING")
    expect(window.page.locator("#equity-chart canvas")).to_be_visible()
    expect(window.page.locator("#exposure-chart canvas")).to_be_visible()
    expect(window.page.locator("#gates .gate-card")).to_have_count(1)
    assert window.page_errors == []


def test_no_request_leaves_loopback(window: Window, console: Console) -> None:
    expect(window.page.locator("#equity-chart canvas")).to_be_visible()
    assert [url for url in window.requests if not url.startswith(console.url)] == []


def test_the_charts_show_the_measured_values(window: Window, console: Console) -> None:
    expect(window.page.locator("#equity-chart .u-legend")).to_contain_text("€1,000.84")
    console.publish(a_sample(NOW, "1234.56"))
    expect(window.page.locator("#equity-chart .u-legend")).to_contain_text("€1,234.56")


def test_a_new_status_changes_the_open_page(window: Window, console: Console) -> None:
    console.publish(a_status(exposure_eur=Decimal("9.1"), equity_eur=Decimal("1003.5"), unknown_orders=1))
    expect(window.page.locator('[data-f="exposure"]')).to_have_text("€9.10")
    expect(window.page.locator('[data-f="cap_used"]')).to_have_text("91")
    expect(window.page.locator("#cap-bar")).to_have_class("high")


def test_the_run_is_shown_with_its_streams_and_when_it_ends(window: Window, console: Console) -> None:
    expect(window.page.locator('[data-f="run_line"]')).to_have_text(a_run().line)
    expect(window.page.locator("#streams li")).to_have_count(2)
    lost = a_run(
        lost_run=a_lost_run(), hopeless="This run cannot pass any more: longest-gap.", eta_ms=None, no_eta="it cannot pass"
    )
    down = lost.streams[0].model_copy(update={"down_ms": 4_000, "down_why": "the venue closed it"})
    lost = lost.model_copy(update={"streams": (down, lost.streams[1])})
    console.publish(a_status(coverage=lost))
    expect(window.page.locator('[data-f="run_line"]')).to_have_text(lost.line)
    expect(window.page.locator("#lost-run")).to_contain_text(a_lost_run().line)
    expect(window.page.locator("#hopeless")).to_contain_text(lost.hopeless)
    expect(window.page.locator("#streams li.warn")).to_have_text(down.line)
    assert window.page_errors == []


def test_a_new_entry_appears_on_top_and_its_order_is_read(window: Window, console: Console) -> None:
    console.port.order_views.insert(0, an_order(99, status=OrderStatus.UNKNOWN))
    console.publish(an_entry(1841, "order-unknown", "gh000099: time-out"))
    expect(window.page.locator("#journal li").first).to_contain_text("gh000099: time-out")
    expect(window.page.locator("#orders tr").first).to_contain_text("UNKNOWN")


def test_a_halt_is_shown_at_once_with_its_measurement(window: Window, console: Console) -> None:
    halt = HaltView(breach_to_latch_us=184, latch_to_cancelled_us=12_400, cancelled=2, verified_empty=True)
    console.port.gate_views = []
    console.publish(
        a_status(
            stage=Stage.HALTED,
            position="HALTED",
            halted_from="TESTNET_VALIDATING",
            halt_reason="max-drawdown",
            halt=halt,
            venue=None,
        )
    )
    expect(window.page.locator("#halt")).to_be_visible()
    expect(window.page.locator("#halt")).to_contain_text("184 µs")
    expect(window.page.locator(".lifecycle.wide .halted")).to_have_class("halted current")
    expect(window.page.locator(".lifecycle.wide .node.from")).to_have_attribute("data-stage", "TESTNET_VALIDATING")
    expect(window.page.locator("#gates")).to_contain_text("No gate leads up from here.")
    expect(window.page).to_have_title(re.compile("^HALTED"))
    assert window.page_errors == []


def test_the_script_writes_alerts_and_drills_as_the_server_does(window: Window, console: Console) -> None:
    alert = AlertView(id="A-17", kind="halted", title="<b>locked", detail="HTTP 418", at_ms=NOW, times=2, last_at_ms=NOW)
    drill = DrillView(
        command_id="0" * 32, venue=VenueName.TESTNET, stage=Stage.VALIDATED, since_ms=NOW, deadline_ms=NOW, denied=1,
        ended_at_ms=NOW, breach_to_latch_us=184, latch_to_cancelled_us=12_400, cancelled=3, verified_empty=True,
    )  # fmt: skip
    console.publish(a_status(oversight=OversightView(alerts=(alert,), last_drill=drill)))
    expect(window.page.locator("#alerts li")).to_have_text(f"A-17 {lines.alert_line(alert)}")
    expect(window.page.locator('[data-f="drill"]')).to_have_text(lines.drill_line(drill))
    acknowledged = AcknowledgedView(id="A-17", title="<b>locked", persons=("anna", "bo"), at_ms=NOW)
    console.publish(a_status(oversight=OversightView(acknowledged=acknowledged)))
    expect(window.page.locator("#alerts li")).to_have_text("No alert is outstanding.")
    expect(window.page.locator('[data-f="acknowledged"]')).to_have_text(lines.acknowledged_line(acknowledged))


def test_a_bot_and_a_venue_that_fall_silent_turn_red_by_themselves(window: Window, console: Console) -> None:
    console.publish(a_status(bots=(LIVE,)))
    bots, venues = window.page.locator("#bots li"), window.page.locator("#unreached li")
    expect(bots).to_have_class("good")
    expect(bots).to_have_text(f"✔ connected {LIVE.line}")
    console.publish(a_status(bots=(SILENT,), unreached=(UNREACHED,)))
    expect(bots).to_have_class("bad")
    expect(bots).to_have_text(f"✖ not connected {SILENT.line} → {SILENT.remedy}")
    expect(venues).to_have_text(f"✖ no answer {UNREACHED.line} → {UNREACHED.remedy}")
    red = window.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--bad-deep')")
    r, g, b = (int(red.strip()[at : at + 2], 16) for at in (1, 3, 5))
    expect(bots).to_have_css("background-color", f"rgb({r}, {g}, {b})")
    expect(venues).to_have_css("background-color", f"rgb({r}, {g}, {b})")
    assert window.page_errors == []


def test_the_script_keeps_the_lines_about_bots_of_the_server(window: Window, console: Console) -> None:
    console.publish(a_status(bots=(SILENT,), unreached=(UNREACHED,)))
    expect(window.page.locator("#unreached li")).to_have_class("bad")
    console.publish(a_status(bots=(), unreached=()))
    expect(window.page.locator("#bots li")).to_have_text(lines.no_bots_line(None))
    expect(window.page.locator("#unreached li")).to_have_text(lines.no_silence_line(None))


def test_a_lost_controller_is_shown_as_disconnected_until_it_returns(window: Window, console: Console) -> None:
    console.stop()
    expect(window.page.locator("#link")).to_contain_text("disconnected since")
    expect(window.page.locator("body")).to_have_class("stale")
    console.port.view = a_status(equity_eur=Decimal("777.77"))
    console.start()
    expect(window.page.locator("#link")).to_have_text("● live", timeout=15_000)
    expect(window.page.locator('[data-f="equity"]')).to_have_text("€777.77")


def test_a_bots_text_is_never_markup(window: Window, console: Console) -> None:
    attack = "<img src=x onerror=alert(1)>"
    console.port.gate_views = [a_gate().model_copy(update={"gate": attack})]
    console.port.order_views = [an_order(1, symbol=attack)]
    console.publish(an_entry(1841, "order-denied", attack), a_status(guard_level="HALT", guard_reason=attack))
    expect(window.page.locator("#journal li").first).to_contain_text(attack)
    expect(window.page.locator("#orders")).to_contain_text(attack)
    expect(window.page.locator('[data-f="guard_reason"]')).to_have_text(attack)
    assert window.page.locator("main img").count() == 0
    assert window.page_errors == []


def test_an_unknown_value_is_a_gap_in_the_chart(window: Window, console: Console) -> None:
    console.publish(
        SampleView(at=NOW, equity=None, exposure=None, cap=None, covered=False, stage=Stage.MOCK), a_status(equity_eur=None)
    )
    expect(window.page.locator('[data-f="equity"]')).to_have_text("—")
    expect(window.page.locator("#equity-chart .u-legend")).to_contain_text("—")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, console: Console, scheme: str) -> None:
    window = look(browser, console, viewport={"width": 390, "height": 844}, color_scheme=scheme)
    expect(window.page.locator(".lifecycle.tall")).to_be_visible()
    expect(window.page.locator(".lifecycle.wide")).to_be_hidden()
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 390
    window.page.context.close()


def test_the_page_is_complete_without_a_script(browser: Browser, console: Console) -> None:
    window = look(browser, console, java_script_enabled=False)
    expect(window.page.locator(".stage")).to_have_text("TESTNET_VALIDATING")
    expect(window.page.locator("noscript p")).to_contain_text("Reload the page")
    expect(window.page.locator("#gates .gate-card")).to_have_count(1)
    window.page.context.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_has_enough_contrast(browser: Browser, console: Console, scheme: str) -> None:
    """WCAG 2.2 §1.4.3: 4.5 to 1 for text, against its panel's colour."""
    window = look(browser, console, color_scheme=scheme)
    ratios = window.page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const light = (name) => {
            const hex = style.getPropertyValue(name).trim().slice(1);
            const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
              .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
          const inks = ['text', 'muted', 'accent', 'good', 'warn', 'bad'];
          const pairs = inks.flatMap((ink) => ['bg', 'panel', 'panel-2'].map((ground) => [ink, ground]));
          pairs.push(['good', 'good-deep'], ['warn', 'warn-deep'], ['bad', 'bad-deep']);
          pairs.push(['text', 'bad-deep'], ['text', 'accent-deep']);
          return pairs.map(([c, p]) => [`${c} on ${p}`, ratio(`--${c}`, `--${p}`)]);
        }"""
    )
    assert [(pair, ratio) for pair, ratio in ratios if ratio < 4.5] == []
    window.page.context.close()
