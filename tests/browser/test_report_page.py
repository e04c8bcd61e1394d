"""The report's page in a real browser: it needs nothing but itself, it prints, and it reads on a phone.

Screenshots and the printed pages are kept in ``build/screenshots/report``, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from controller.report.page import render
from tests.support.desk import Desk
from tests.support.reported import busy_desk, entries_of, halted_desk, last_move, report_of

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
KEPT = Path(__file__).parents[2] / "build" / "screenshots" / "report"
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 390, "height": 844}
A4_HEIGHT_PT = 842

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: apt-get install chromium"),
]


@dataclass
class Looked:
    """A page, what it asked for, and what the console said."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def keep(self, name: str) -> None:
        self.page.screenshot(path=KEPT / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    KEPT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports of a run with everything in it, of its beginning, of a command, and of a halt."""
    busy = busy_desk(300)
    reports = {
        "run": report_of(entries_of(busy)),
        "command": report_of(entries_of(busy), last_move(busy)),
        "halted": report_of(entries_of(halted_desk())),
        "empty": report_of(entries_of(_started())),
    }
    directory = tmp_path_factory.mktemp("reports")
    for name, report in reports.items():
        (directory / f"{name}.html").write_text(render(report), encoding="utf-8")
    return {name: directory / f"{name}.html" for name in reports}


def _started() -> Desk:
    desk = Desk()
    desk.boot()
    return desk


Look = Callable[..., Looked]


@pytest.fixture
def look(browser: Browser, pages: dict[str, Path]) -> Iterator[Look]:
    contexts = []

    def opened(name: str, **options: Any) -> Looked:
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        looked = Looked(context.new_page())
        looked.page.on("request", lambda request: looked.requests.append(request.url))
        looked.page.on("console", lambda message: looked.complaints.append(message.text))
        looked.page.on("pageerror", lambda error: looked.complaints.append(str(error)))
        looked.page.goto(pages[name].as_uri())
        return looked

    yield opened
    for context in contexts:
        context.close()


ALL = ("run", "command", "halted", "empty")


@pytest.mark.parametrize("name", ALL)
def test_a_page_asks_for_nothing_and_complains_of_nothing(look: Look, pages: dict[str, Path], name: str) -> None:
    looked = look(name)
    expect(looked.page.locator("h1 .word")).to_be_visible()
    assert looked.requests == [pages[name].as_uri()]
    assert looked.complaints == []
    looked.keep(f"{name}-wide")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_of_a_report(look: Look, scheme: str) -> None:
    looked = look("run", viewport=PHONE, color_scheme=scheme)
    assert looked.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    expect(looked.page.locator("#curves svg.narrow").first).to_be_visible()
    expect(looked.page.locator("#curves svg.wide").first).to_be_hidden()
    looked.keep(f"run-phone-{scheme}")


def test_the_text_of_a_drawing_is_large_enough_on_a_phone(look: Look) -> None:
    looked = look("run", viewport=PHONE)
    sizes = looked.page.evaluate(
        "[...document.querySelectorAll('svg.narrow text')].map((text) => text.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 10


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_two_labels_of_a_drawing_overlap(look: Look, viewport: dict[str, int]) -> None:
    looked = look("run", viewport=viewport)
    overlapping = looked.page.evaluate(
        """() => {
          const found = [];
          for (const svg of document.querySelectorAll('svg')) {
            const texts = [...svg.querySelectorAll('text')].map((one) => [one.textContent, one.getBoundingClientRect()]);
            texts.forEach(([name, a], place) => texts.slice(place + 1).forEach(([other, b]) => {
              const beside = a.left >= b.right - 1 || b.left >= a.right - 1 || a.top >= b.bottom - 3 || b.top >= a.bottom - 3;
              if (a.width && b.width && !beside)
                found.push(`${svg.getAttribute('aria-label')}: ${name} and ${other}`);
            }));
          }
          return found;
        }"""
    )
    assert overlapping == []


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_label_of_a_drawing_is_inside_of_it(look: Look, viewport: dict[str, int]) -> None:
    looked = look("run", viewport=viewport)
    outside = looked.page.evaluate(
        """() => [...document.querySelectorAll('svg')].flatMap((svg) => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter((text) => {
            const box = text.getBoundingClientRect();
            return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 2);
          }).map((text) => `${svg.getAttribute('aria-label')}: ${text.textContent}`);
        })"""
    )
    assert outside == []


def test_a_report_prints_on_a4_without_cutting_anything_off(look: Look) -> None:
    looked = look("run")
    looked.page.emulate_media(media="print")
    printed = looked.page.pdf(path=KEPT / "run.pdf", prefer_css_page_size=True)
    assert b"/MediaBox [0 0 594.95996 841.91998]" in printed or b"/MediaBox [0 0 595" in printed
    looked.page.set_viewport_size({"width": 690, "height": 980})
    assert looked.page.evaluate("document.documentElement.scrollWidth") <= 690
    expect(looked.page.locator("nav")).to_be_hidden()
    expect(looked.page.locator("#curves svg.wide").first).to_be_visible()
    looked.keep("run-print")


@pytest.mark.parametrize("name", ALL)
def test_a_page_can_be_read_by_machines_that_read_aloud(look: Look, name: str) -> None:
    """WCAG 2.2: a language, a title, one first heading, headings in order, named drawings, headed tables, single ids."""
    faults = look(name).page.evaluate(
        """() => {
          const all = (selector) => [...document.querySelectorAll(selector)];
          const faults = [];
          if (document.documentElement.lang !== 'en') faults.push('no language');
          if (!document.title) faults.push('no title');
          if (all('h1').length !== 1) faults.push('not one h1');
          if (all('main').length !== 1) faults.push('not one main');
          const levels = all('h1,h2,h3,h4').map((one) => Number(one.tagName[1]));
          levels.forEach((level, place) => { if (place && level > levels[place - 1] + 1) faults.push(`h${level} too deep`); });
          all('svg').filter((svg) => svg.getAttribute('role') !== 'img' || !svg.getAttribute('aria-label'))
            .forEach(() => faults.push('a drawing without a name'));
          all('table').filter((table) => !table.querySelector('th[scope]')).forEach(() => faults.push('a table without headings'));
          all('th:not([scope])').forEach((th) => faults.push(`a heading without a scope: ${th.textContent}`));
          const ids = all('[id]').map((one) => one.id);
          if (new Set(ids).size !== ids.length) faults.push('an id twice');
          all('a').filter((a) => !document.querySelector(a.getAttribute('href')))
            .forEach((a) => faults.push(`a link to nowhere: ${a.href}`));
          return faults;
        }"""
    )
    assert faults == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_text_of_a_report_has_enough_contrast(look: Look, scheme: str) -> None:
    """WCAG 2.2 §1.4.3: 4.5 to 1 for every text against what is behind it."""
    faults = look("run", color_scheme=scheme).page.evaluate(
        """() => {
          const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = (node) => {
            for (let one = node; one; one = one.parentElement) {
              const colour = parse(getComputedStyle(one).backgroundColor);
              if (colour.length < 4 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
          };
          const faults = [];
          for (const node of document.querySelectorAll('body *')) {
            const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
            if (!own || !node.getClientRects().length || node.closest('title')) continue;
            const style = getComputedStyle(node), ink = parse(node.closest('svg') ? style.fill : style.color);
            const [a, b] = [light(ink), light(behind(node))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) faults.push(`${ratio.toFixed(2)} ${node.textContent.trim().slice(0, 40)}`);
          }
          return faults;
        }"""
    )
    assert faults == []


def test_simulated_results_say_so_in_large_letters(look: Look) -> None:
    looked = look("run")
    banner = looked.page.locator(".simulated strong")
    expect(banner).to_have_text("SIMULATED RESULTS")
    size = looked.page.evaluate("parseFloat(getComputedStyle(document.querySelector('.simulated strong')).fontSize)")
    assert size >= 24


def test_a_bots_words_are_never_markup(browser: Browser, tmp_path: Path) -> None:
    attack = "<img src=x onerror=alert(1)>"
    desk = Desk().arm()
    desk.order("9", bot_id=attack)
    report = report_of(entries_of(desk))
    report.document["notes"]["faults"].append({"seq": 1, "at": 0, "title": attack, "detail": attack, "times": 1})
    file = tmp_path / "attack.html"
    file.write_text(render(report), encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    expect(page.locator("#faults")).to_contain_text(attack)
    assert page.locator("img").count() == 0
    page.close()
