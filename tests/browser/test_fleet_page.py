"""The fleet page in a real browser: it turns red by itself, deployment by deployment and as a whole.

Screenshots are kept in ``build/screenshots/console``, for a person to look at.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from controller.console.fleet import Heard, create_fleet_app
from controller.console.server import serving
from policies.stage import Environment, Stage
from tests.support.console_window import CHROMIUM, chromium
from tests.support.operator_port import a_status

KEPT = Path(__file__).parents[2] / "build" / "screenshots" / "console"
WELL = Heard("/var/lib/gatehouse/anna", a_status(controller_id="anna-btc"), 400)
LIVE = a_status(controller_id="bert-eth", stage=Stage.LIVE_EUR10, position="LIVE_€10", environment=Environment.PRODUCTION)
HALTED = a_status(controller_id="cleo-sol", stage=Stage.HALTED, position="HALTED", halt_reason="daily-loss: 2.10 EUR", armed=False)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    KEPT.mkdir(parents=True, exist_ok=True)
    with chromium() as running:
        yield running


class Served:
    """The page over a list, on loopback, in a thread of its own."""

    def __init__(self) -> None:
        self.fleet = [
            WELL,
            Heard("/srv/b", LIVE, 700),
            Heard("/srv/c", HALTED, 300),
            Heard("/srv/d", None, None, "it does not run"),
        ]
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        served = serving(create_fleet_app(lambda: self.fleet), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._do(self._stack.enter_async_context(served))}"

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def stop(self) -> None:
        self._do(self._stack.aclose())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def served() -> Iterator[Served]:
    running = Served()
    yield running
    running.close()


@pytest.mark.parametrize(("name", "width"), [("wide", 1280), ("phone", 390)])
def test_the_fleet_fits_a_screen_and_shows_each_deployment(browser: Browser, served: Served, name: str, width: int) -> None:
    page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.goto(served.url)
    expect(page.locator("#link")).to_have_text("● live")
    expect(page.locator(".deployment.bad")).to_have_count(2)
    expect(page.locator(".deployment.good")).to_have_count(2)
    expect(page).to_have_title("2 red of 4 · gatehouse fleet")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    page.screenshot(path=KEPT / f"fleet-{name}.png", full_page=True)
    page.context.close()


def test_a_deployment_and_then_the_page_turn_red_by_themselves(browser: Browser, served: Served) -> None:
    page = browser.new_context().new_page()
    page.goto(served.url)
    expect(page.locator("#link")).to_have_text("● live")
    served.fleet[0] = Heard(WELL.folder, WELL.status, 9_000)
    expect(page.locator(".deployment.old.bad")).to_contain_text(["anna-btc"], timeout=15_000)
    expect(page).to_have_title("3 red of 4 · gatehouse fleet")
    served.stop()
    expect(page.locator("#link")).to_contain_text("this page was not renewed for", timeout=30_000)
    expect(page.locator("body")).to_have_class("stale")
    page.context.close()
