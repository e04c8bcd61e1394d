"""Two controllers and one journal: only one acts, and one that slept through a take-over does nothing when it wakes."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import apsw
import httpx
import pytest

from exchange.wire.signing import signature, signed_query
from tests.support.counting import Counted
from tests.support.loopback import http_at
from tests.support.rig import SYMBOL, Rig, free_port, rig

STAGE = "TESTNET_VALIDATING"
WITHOUT_LOCKS = Path(__file__).parents[1] / "support" / "without_locks.py"


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb(STAGE)
        placed = await built.buy(await built.resting_price(), "0.00003", "resting")
        assert placed.status_code == 200
        yield built


def orders(deployment: Rig) -> list[tuple[str, str]]:
    """Every order the venue ever took, with its status there."""
    return [(order.report.client_id, order.report.status) for order in deployment.testnet.venue.engine.orders("testnet", SYMBOL)]


def port_of(url: str) -> str:
    return url.rsplit(":", 1)[1]


async def send_order_without_waiting(deployment: Rig, price: str) -> httpx.Response:
    """Send an order to a gateway that may be stopped: the kernel takes it, and the gateway reads it when it wakes."""
    order = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "quantity": "0.00003", "price": price, "newClientOrderId": "late"}
    pairs = [*order.items(), ("recvWindow", "60000"), ("timestamp", str(time.time_ns() // 1_000_000))]
    query = signed_query(pairs, lambda payload: signature(deployment.bot_secret, payload))
    async with http_at(deployment.gateway, timeout=60) as client:
        return await client.post(f"/api/v3/order?{query}", headers={"X-MEXC-APIKEY": deployment.bot_key})


async def stop_between_entries(deployment: Rig) -> None:
    """Stop the controller while it does not write: SQLite's own lock, held by a stopped process, would keep everyone out."""
    assert deployment.process is not None
    journal = deployment.directory / "var" / "journal.db"
    async with asyncio.timeout(60):
        deployment.process.send_signal(signal.SIGSTOP)
        while not (stopped(deployment.process.pid) and writable(journal)):
            deployment.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.01)
            deployment.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.01)


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def writable(journal: Path) -> bool:
    with closing(apsw.Connection(str(journal))) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE; ROLLBACK")
        except apsw.BusyError:
            return False
        return True


def second_host(first: Rig) -> Rig:
    """The same deployment as on a second host: its own ports, and the same journal. It runs as ``WITHOUT_LOCKS`` says."""
    directory = first.directory.with_name("second_host")
    shutil.copytree(first.directory, directory, ignore=shutil.ignore_patterns("var", "*.log"))
    (directory / "var").mkdir(mode=0o700)
    shutil.copy(first.directory / "var" / "checkpoint.key", directory / "var")
    (directory / "var" / "journal.db").symlink_to(first.directory / "var" / "journal.db")
    settings, gateway = directory / "gatehouse.toml", free_port()
    text = settings.read_text().replace(f"port = {port_of(first.gateway)}", f"port = {gateway}")
    settings.write_text(text.replace(f"port = {port_of(first.console)}", f"port = {free_port()}"))
    return replace(first, directory=directory, gateway=f"http://127.0.0.1:{gateway}", process=None)


async def test_a_second_controller_on_the_same_journal_does_not_start(deployment: Rig, counted: Counted) -> None:
    second = replace(deployment, process=None)
    before = orders(deployment)
    await second.start()
    assert await second.exit_code() == 1
    assert "another process is writing the journal" in " ".join(second.tail().split())
    status = await deployment.status()
    assert (status["stage"], status["armed"]) == (STAGE, True)
    assert orders(deployment) == before
    counted("faults", kind="two controllers")


async def test_a_controller_that_slept_through_a_take_over_ends_without_acting(deployment: Rig, counted: Counted) -> None:
    assert deployment.process is not None
    price = await deployment.resting_price()
    await stop_between_entries(deployment)
    newer = second_host(deployment)
    request = asyncio.create_task(send_order_without_waiting(deployment, price))
    await newer.start(script=(str(WITHOUT_LOCKS),))
    try:
        assert (await newer.armed())["stage"] == STAGE
        before = orders(newer)
        deployment.process.send_signal(signal.SIGCONT)
        assert await deployment.exit_code() == 1
        assert "has taken the journal over" in " ".join(deployment.tail().split())
        with suppress(httpx.TransportError):
            assert (await request).status_code >= 400
        status = await newer.status()
        assert (status["stage"], status["armed"]) == (STAGE, True)
        # The order now belongs to the newer controller: the one that slept neither adds an order nor cancels this one.
        assert orders(newer) == before
        assert [order.report.status for order in deployment.testnet.venue.engine.open_orders("testnet")] == ["NEW"]
    finally:
        await newer.stop()
    counted("faults", kind="a sleeper wakes")
