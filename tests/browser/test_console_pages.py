"""Every page of the console in a real browser: live, by keyboard, on a phone, readable by assistive technology, and honest.

Screenshots are kept in ``build/screenshots/console``, for a person to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from controller.console.inspection import CheckedView
from controller.console.pages.frame import PLACES
from controller.console.schema import HaltView
from exchange.model import OrderStatus
from policies.stage import Environment, Stage
from tests.support.console_window import CHROMIUM, Console, Window, a_console, chromium, look
from tests.support.operator_port import DIGEST, FakePort, a_status, an_entry, an_order
from tests.support.proofs import long_form, proven

KEPT = Path(__file__).parents[2] / "build" / "screenshots" / "console"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAGES = {**{place.title.lower(): place.path for place in PLACES}, "order": "/orders/gh000003", "entry": "/journal/1840"}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    KEPT.mkdir(parents=True, exist_ok=True)
    with chromium() as running:
        yield running


@pytest.fixture
def console() -> Iterator[Console]:
    with a_console() as served:
        yield served


def halted_port() -> FakePort:
    """A port of a deployment that halted."""
    halt = HaltView(breach_to_latch_us=184, latch_to_cancelled_us=12_400, cancelled=2, verified_empty=True)
    return FakePort(view=a_status(stage=Stage.HALTED, position="HALTED", halt_reason="smoke", halt=halt, venue=None))


def opened(browser: Browser, console: Console, path: str, **options: object) -> Window:
    window = look(browser, console, path, **options)
    expect(window.page.locator("#link")).to_have_text("● live")
    return window


SCHEMES = {"dark": ("dark", list(PAGES)), "light": ("light", list(PAGES)), "orders": ("light", ["orders"])}


@pytest.mark.parametrize("case", proven(SCHEMES, short=["orders"]))
def test_each_page_is_without_errors_and_fits_a_phone(browser: Browser, console: Console, case: tuple[str, list[str]]) -> None:
    scheme, names = case
    for name, viewport in (("wide", WIDE), ("phone", PHONE)):
        for page in names:
            path = PAGES[page]
            window = opened(browser, console, path, viewport=viewport, color_scheme=scheme)
            assert window.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
            assert window.page_errors == [], path
            assert [url for url in window.requests if not url.startswith(console.url)] == []
            expect(window.page.locator(".halt-box summary")).to_be_in_viewport()
            window.page.screenshot(path=KEPT / f"{page}-{name}-{scheme}.png", full_page=True)
            window.page.context.close()


@pytest.mark.parametrize("names", proven({"all": list(PAGES), "overview": ["overview"]}, short=["overview"]))
def test_axe_finds_nothing_serious(browser: Browser, console: Console, names: list[str]) -> None:
    for scheme in ("dark", "light"):
        for name in names:
            # The checker is a script of its own, which the console's content security policy refuses rightly.
            window = opened(browser, console, PAGES[name], viewport=PHONE, color_scheme=scheme, bypass_csp=True)
            window.page.locator(".halt-box summary").click()
            found = Axe().run(window.page).response["violations"]
            serious = [
                (one["id"], [node["html"] for node in one["nodes"]]) for one in found if one["impact"] in {"serious", "critical"}
            ]
            assert serious == [], f"{name} in {scheme}"
            window.page.context.close()


def test_two_clicks_halt(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/orders")
    window.page.locator(".halt-box summary").click()
    assert console.port.halted == []
    window.page.get_by_role("button", name="Halt now").click()
    expect(window.page.locator("h2")).to_have_text("The halt is accepted")
    assert console.port.halted == ["by hand, from the console"]
    assert console.port.halted_by == ["console page"]
    with window.page.expect_response(lambda one: one.request.resource_type == "xhr") as read_again:
        console.publish(an_entry(1842, "halted", "by hand"))
    assert read_again.value.status == 200
    assert window.page_errors == []
    window.page.context.close()


@long_form(short="test_two_clicks_halt")
def test_a_keyboard_alone_halts(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/journal")
    for _ in range(30):
        window.page.keyboard.press("Tab")
        if window.page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    window.page.keyboard.press("Enter")
    window.page.keyboard.press("Tab")
    window.page.keyboard.type("by keyboard")
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("h2")).to_have_text("The halt is accepted")
    assert console.port.halted == ["by keyboard"]
    window.page.context.close()


@long_form(short="test_two_clicks_halt")
def test_two_clicks_halt_on_a_phone_without_a_script(browser: Browser, console: Console) -> None:
    window = look(browser, console, "/settings", viewport=PHONE, java_script_enabled=False)
    window.page.mouse.wheel(0, 5000)
    expect(window.page.locator(".halt-box summary")).to_be_in_viewport()
    window.page.locator(".halt-box summary").click()
    window.page.get_by_role("button", name="Halt now").click()
    expect(window.page.locator("h2")).to_have_text("The halt is accepted")
    assert len(console.port.halted) == 1
    window.page.context.close()


def test_a_new_order_appears_on_its_page_by_itself(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/orders")
    console.port.order_views.insert(0, an_order(99, status=OrderStatus.UNKNOWN))
    console.publish(an_entry(1841, "order-unknown", "gh000099: time-out"))
    expect(window.page.locator("#orders-list tbody tr").first).to_contain_text("gh000099")
    expect(window.page.locator("#orders-list tbody tr").first).to_contain_text("UNKNOWN")
    assert window.page_errors == []
    window.page.context.close()


@long_form(short="test_a_new_order_appears_on_its_page_by_itself")
def test_a_refresh_takes_neither_the_focus_nor_what_was_typed(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/orders")
    window.page.locator("input[name=symbol]").fill("ETH")
    window.page.locator("a[href='/orders/gh000002']").focus()
    console.port.order_views.insert(0, an_order(99))
    console.publish(an_entry(1841, "order-acked", "gh000099"))
    expect(window.page.locator("#orders-list tbody tr").first).to_contain_text("gh000099")
    assert window.page.evaluate("document.activeElement.getAttribute('href')") == "/orders/gh000002"
    expect(window.page.locator("input[name=symbol]")).to_have_value("ETH")
    window.page.context.close()


def test_a_lost_controller_turns_a_page_grey_until_it_returns(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/gates")
    console.stop()
    expect(window.page.locator("#link")).to_contain_text("disconnected since")
    expect(window.page.locator("body")).to_have_class("stale")
    expect(window.page.locator("main")).to_have_css("opacity", "0.5")
    console.start()
    expect(window.page.locator("#link")).to_have_text("● live", timeout=15_000)
    expect(window.page.locator("body")).not_to_have_class("stale")
    window.page.context.close()


@pytest.mark.parametrize("path", ["/", "/streams"])
def test_a_browser_with_a_wrong_clock_notices_the_silence(browser: Browser, console: Console, path: str) -> None:
    window = opened(browser, console, path)
    # The last thing that is heard is known to have been: one that comes after the clocks are changed would count as news.
    console.publish(a_status(stage=Stage.VALIDATED, position="VALIDATED"))
    expect(window.page.locator('[data-f="position"]').first).to_have_text("VALIDATED")
    window.page.evaluate("Date.now = ((real) => () => real() - 3_600_000)(Date.now.bind(Date))")
    # Half a minute passes for the timers, and the server says nothing in it.
    window.page.route("**/v1/status", lambda route: route.abort())
    window.page.evaluate("performance.now = ((real) => () => real() + 30_000)(performance.now.bind(performance))")
    expect(window.page.locator("#link")).to_contain_text("disconnected since 10:00:", timeout=15_000)
    expect(window.page.locator("#armed")).to_have_text("? armed")
    expect(window.page).to_have_title(re.compile("^✖ disconnected · "))
    window.page.context.close()


def test_a_page_that_nobody_saw_is_grey_until_the_controller_answers(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/orders")
    page = window.page
    for hidden, link in (("true", "… asking the controller"), ("false", "● live")):
        page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}})")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#link")).to_have_text(link)
    page.context.close()


def test_a_page_shows_that_real_money_begins(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/orders")
    console.publish(a_status(stage=Stage.LIVE_EUR10, position="LIVE_€10", environment=Environment.PRODUCTION))
    console.publish(an_entry(1841, "stage-changed", "LIVE_€10"))
    expect(window.page.locator("#notice")).to_contain_text("REAL MONEY")
    expect(window.page.locator("#notice")).to_have_class("notice real")
    expect(window.page).to_have_title(re.compile("^LIVE_€10 · "))
    window.page.context.close()


@long_form(short="test_a_lost_controller_turns_a_page_grey_until_it_returns")
@pytest.mark.parametrize("path", ["/", "/streams"])
def test_old_facts_turn_a_page_grey_though_the_link_holds(browser: Browser, console: Console, path: str) -> None:
    window = opened(browser, console, path)
    expect(window.page.locator("#old-facts")).to_be_hidden()
    console.publish(a_status(decided_ms_ago=9_000, armed=False, reconciled=False))
    expect(window.page.locator("#old-facts")).to_contain_text("has decided nothing for 9 s")
    expect(window.page.locator("main")).to_have_css("filter", "grayscale(0.7)")
    expect(window.page.locator("#armed")).to_have_text("✖ not armed")
    console.publish(a_status())
    expect(window.page.locator("#old-facts")).to_be_hidden()
    window.page.context.close()


@long_form(short="test_two_clicks_halt")
def test_a_signed_file_is_chosen_read_and_handed_in(browser: Browser, console: Console, tmp_path: Path) -> None:
    console.port.inspector.checked = CheckedView(
        verb="advance", moves="MOCK → TESTNET_VALIDATING", reason="go", command_id="cd" * 16, payload_digest=DIGEST,
        word_code="amber-bell", persons=("anna",), needed=1,
    )  # fmt: skip
    signed = tmp_path / "command.json"
    signed.write_text('{"payload":"eyJ9","signatures":[{"sig":"+/="}]}')
    window = opened(browser, console, "/approvals")
    window.page.set_input_files("#envelope-file", signed)
    expect(window.page.locator("#envelope")).to_have_value(signed.read_text())
    window.page.get_by_role("button", name="Show what it says").click()
    expect(window.page.locator("main")).to_contain_text("amber-bell")
    assert console.port.submitted == []
    window.page.get_by_role("button", name="Hand it in").click()
    expect(window.page.locator("h2")).to_have_text("The command is accepted")
    assert console.port.submitted == [signed.read_text()]
    assert window.page_errors == []
    window.page.context.close()


@long_form(short="test_a_new_order_appears_on_its_page_by_itself")
def test_the_journal_is_verified_from_its_page(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/journal")
    window.page.locator("#verify").click()
    expect(window.page.locator("#verify-line")).to_contain_text("✔ Entries 1826 to 1840 follow each other")
    console.port.inspector.chain_problem = "entry 1830 is not what was written"
    window.page.locator("#verify").click()
    expect(window.page.locator("#verify-line")).to_contain_text("✖ Not verified: entry 1830 is not what was written")
    window.page.context.close()


@long_form(short="test_a_new_order_appears_on_its_page_by_itself")
def test_the_charts_zoom_by_links(browser: Browser, console: Console) -> None:
    window = opened(browser, console, "/charts")
    window.page.get_by_role("link", name="1 h", exact=True).click()
    expect(window.page.locator(".zoom [aria-current]")).to_have_text("1 h")
    expect(window.page.locator(".drawn svg.wide").first).to_be_visible()
    window.page.get_by_role("link", name="Zoom in").click()
    window.page.get_by_role("link", name="Later").click()
    expect(window.page.locator(".drawn svg.wide")).to_have_count(3)
    assert window.page_errors == []
    window.page.context.close()


@long_form(short="test_each_page_is_without_errors_and_fits_a_phone")
def test_a_halted_deployment_is_red_on_each_page(browser: Browser, console: Console) -> None:
    console.publish(halted_port().view)
    for name in ("orders", "overview"):
        window = opened(browser, console, PAGES[name], viewport=WIDE)
        expect(window.page).to_have_title(re.compile("^HALTED"))
        window.page.screenshot(path=KEPT / f"halted-{name}.png", full_page=True)
        window.page.context.close()
