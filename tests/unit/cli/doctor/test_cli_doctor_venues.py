"""``gatehouse doctor`` checks the account of each venue that answers, and adds no row for one that does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from controller.settings.deployment import load_settings, read_secret
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import running_testnet
from tests.support.cli_kit import Run, printed


@contextmanager
def serving(account: AccountConfig, key_file: Path | None = None, faults: Path | None = None) -> Iterator[str]:
    """A testnet in a thread of its own; its address."""
    config = TestnetConfig(accounts=(account,), port=0, rate_limits=NO_RATE_LIMITS, key_file=key_file, faults=faults)
    started, address, stop, loops = threading.Event(), list[str](), list[asyncio.Event](), list[asyncio.AbstractEventLoop]()

    async def serve() -> None:
        stop.append(asyncio.Event())
        loops.append(asyncio.get_running_loop())
        async with running_testnet(config) as running:
            address.append(running.base_url)
            started.set()
            await stop[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    try:
        yield address[0]
    finally:
        loops[0].call_soon_threadsafe(stop[0].set)
        thread.join(20)


@contextmanager
def live_of(deployment: Path, faults: Path | None = None) -> Iterator[Path]:
    """The deployment with a testnet as its live venue that knows its key."""
    settings = load_settings(deployment)
    secret = read_secret(deployment, settings.live.secret_file)
    account = AccountConfig("bot", settings.live.api_key, secret, {"USDT": Decimal(100)})
    with serving(account, faults=faults) as address:
        path = deployment / "gatehouse.toml"
        path.write_text(path.read_text().replace(settings.live.rest, address))
        yield deployment


@pytest.fixture
def live_at(deployment: Path) -> Iterator[Path]:
    """A deployment whose live venue answers."""
    with live_of(deployment):
        yield deployment


def test_the_account_of_a_venue_that_answers_is_checked_in_full(run: Run, live_at: Path) -> None:
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", live_at, "-o", "json"))}
    account = {name: row for name, row in rows.items() if name.startswith("live ")}
    assert {"live account may trade", "live BTCUSDT open to this key", "live BTCUSDT test BUY LIMIT"} <= set(account)
    assert [name for name, row in account.items() if not row["ok"]] == []
    assert rows["clock"]["verdict"] == "PASS"
    assert not any(name.startswith("testnet ") for name in rows)
    assert rows["after venue testnet"]["found"] == "not checked: testnet key, testnet account"


def test_a_question_that_the_venues_limit_refuses_is_asked_again(run: Run, deployment: Path, tmp_path: Path) -> None:
    """As beside a controller, which uses the limit of the same address."""
    faults = tmp_path / "faults.toml"
    faults.write_text('[[fault]]\nkind = "rate-limited"\nparams = { operation = "query" }\n')
    with live_of(deployment, faults):
        rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    account = {name: row for name, row in rows.items() if name.startswith("live ")}
    assert {"live account may trade", "live balance"} <= set(account)
    assert [row["found"] for row in account.values() if not row["ok"]] == []


def test_a_key_that_the_venue_does_not_know_is_reported(run: Run, live_at: Path) -> None:
    path = live_at / "gatehouse.toml"
    path.write_text(path.read_text().replace(load_settings(live_at).live.api_key, "mx0unknown"))
    result = run("doctor", "--dir", live_at, "-o", "json")
    rows = {row["check"]: row for row in printed(result)}
    assert result.exit_code == 1
    assert [name for name, row in rows.items() if row["ok"] is False] == ["venue testnet", "live account"]
    assert "may trade" in rows["live account"]["found"]
    assert rows["live account"]["fix"]


def test_an_account_with_too_much_of_its_own_is_reported(run: Run, live_at: Path) -> None:
    def row() -> tuple[str, str, str]:
        found = {one["check"]: one for one in printed(run("doctor", "--dir", live_at, "-o", "json"))}["live holdings"]
        return found["verdict"], found["found"], found["fix"]

    path = live_at / load_settings(live_at).policy
    keeping = path.read_text()
    assert row() == ("PASS", "the account's own 100 USDT is kept, and the bot gets 10 EUR", "")
    path.write_text(keeping.replace('baseline = "keep"', 'baseline = "refuse"'))
    verdict, line, fix = row()
    assert (verdict, line) == ("FAIL", "the account holds 91.74311927 EUR of its own (100 USDT), and 10 EUR is the most")
    assert 'baseline = "keep"' in fix
    path.write_text(path.read_text().replace("steps = [15, 25]", "steps = [20, 40, 80, 100]"))
    assert row()[0] == "WARN"
