"""Two real controllers on one PostgreSQL: the standby follows, takes over, and never sends what the leader sent."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from controller.journal.chain import verify_chain
from controller.journal.lease import PERMIT_NS, TERM_S
from controller.journal.postgres import read_postgres
from controller.runtime.followers.latchfile import LatchFile, LatchMark
from tests.support.pair import Pair, pair
from tests.support.postgres_server import PostgresServer, a_server
from tests.support.rig import Rig

KILLER = Path(__file__).parents[1] / "support" / "killed_while_placing.py"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from a_server()


@pytest.fixture
async def two(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Pair]:
    async with pair(tmp_path, server) as built:
        yield built


STANDBY = "is the standby of the leading controller"
TAKEN = "no longer renews its lease"


def log(rig: Rig) -> str:
    """The controller's whole log on one line."""
    return " ".join((rig.directory / "controller.log").read_text().split())


def leads(status: dict[str, object]) -> bool:
    return status.get("role") == "leader" and bool(status["armed"])


def halted(status: dict[str, object]) -> bool:
    return status.get("role") == "leader" and status["stage"] == "HALTED"


async def placed(rig: Rig, bot_id: str) -> str:
    await rig.takes_orders()
    answer = await rig.buy(await rig.resting_price(), "0.00002", bot_id)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["orderId"])


async def open_orders(rig: Rig) -> set[str]:
    return {order["orderId"] for order in (await rig.bot("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json()}


def write_mark(two: Pair, mark: LatchMark) -> None:
    """Write the latch file that the second host's last process would have written."""
    data = two.second.directory / "var"
    data.mkdir(exist_ok=True)
    LatchFile(data / "latch").write(mark)


def sent(rig: Rig) -> int:
    """How many orders ever reached the testnet."""
    return sum(receipt.received for receipt in rig.testnet.venue._receipts.values())


async def test_a_standby_serves_no_bot_and_leads_at_once_when_the_leader_stops(two: Pair) -> None:
    await two.both()
    leader, standby = await two.first.status(), await two.second.until(lambda status: status["standby"]["behind_entries"] == 0)
    assert (leader["role"], leader["standby"]) == ("leader", None)
    assert (standby["role"], standby["epoch"], standby["position"]) == ("standby", leader["epoch"], "TESTNET_VALIDATING")
    assert standby["standby"]["changes"] == []
    assert not standby["armed"]
    page = (await two.second.ask("GET", "/")).text
    assert f"STANDBY of epoch {leader['epoch']}" in page
    assert (await two.second.ask("GET", "/readyz")).status_code == 503
    refused = await two.second.ask("POST", "/v1/propose", json={"verb": "reset", "reason": "no"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "standby")
    with pytest.raises(httpx.ConnectError):
        await two.second.bid()
    await two.first.stop()
    await two.second.until(leads)
    assert STANDBY in log(two.second)
    assert TAKEN not in log(two.second)


async def test_when_the_leader_is_killed_the_standby_sends_no_order_twice(two: Pair) -> None:
    await two.first.start()
    await two.first.climb("TESTNET_VALIDATING")
    await two.first.stop()
    await two.first.start(script=(str(KILLER), "after"))
    await two.first.takes_orders()
    await two.stand_by()
    with pytest.raises(httpx.HTTPError):
        await two.first.buy(await two.first.resting_price(), "0.00002", "doomed")
    assert await two.ended() == -signal.SIGKILL
    began = time.monotonic()
    status = await two.second.until(lambda status: leads(status) and status["unknown_orders"] == 0)
    assert time.monotonic() - began > TERM_S - 2
    assert TAKEN in log(two.second)
    assert status["epoch"] == 3
    assert "takeover" in {alert["kind"] for alert in status["oversight"]["alerts"]}
    (doomed,) = await open_orders(two.second)
    following = await placed(two.second, "after-the-takeover")
    assert [two.first.testnet.received("testnet", one) for one in (doomed, following)] == [1, 1]
    assert await open_orders(two.second) == {doomed, following}
    kinds = [entry["kind"] for entry in await two.second.entries() if entry["body"].get("client_id") == doomed]
    assert kinds[:2] == ["order-admitted", "order-unknown"]
    await two.first.start()
    await two.first.until(lambda status: status.get("role") == "standby" and status["standby"]["leader_epoch"] == 3)
    assert (await two.second.status())["armed"]


async def test_a_leader_that_slept_through_its_lease_exits_without_acting(two: Pair) -> None:
    await two.both()
    mine = await placed(two.first, "before-it-slept")
    assert two.first.process is not None
    os.kill(two.first.process.pid, signal.SIGSTOP)
    try:
        await two.second.until(leads)
        theirs = await placed(two.second, "while-it-slept")
    finally:
        os.kill(two.first.process.pid, signal.SIGCONT)
    assert await two.ended() == 1
    assert "epoch 2 has taken the journal over from epoch 1" in two.first.tail()
    await asyncio.sleep(1)
    assert await open_orders(two.second) == {mine, theirs}
    assert (await two.second.status())["armed"]
    assert [two.first.testnet.received("testnet", one) for one in (mine, theirs)] == [1, 1]


async def test_a_halt_at_the_standby_takes_the_journal_over_and_halts(two: Pair) -> None:
    await two.both()
    await placed(two.first, "to-be-cancelled")
    answer = await two.second.ask("POST", "/v1/halt", json={"reason": "smoke in the other room"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["position"].startswith("HALTED as soon as")
    status = await two.second.until(lambda status: halted(status) and status["working_orders"] == 0)
    assert "smoke in the other room" in status["halt_reason"]
    assert await two.ended() == 1
    assert "has taken the journal over" in two.first.tail()


async def test_a_halt_only_the_old_leader_recorded_halts_the_new_one_later(two: Pair, server: PostgresServer) -> None:
    await two.both()
    assert two.first.process is not None
    server.pause()
    halting = asyncio.create_task(two.first.ask("POST", "/v1/halt", json={"reason": "only I know"}))
    await asyncio.sleep(0.5)
    await two.first.kill()
    halting.cancel()
    server.resume()
    await two.second.until(leads)
    await two.first.start()
    status = await two.first.until(halted)
    assert "only I know" in status["halt_reason"]


async def test_the_mark_of_a_failed_journal_takes_nothing_from_a_later_leader(two: Pair) -> None:
    await two.first.start()
    await two.first.climb("TESTNET_VALIDATING")
    await two.first.stop()
    await two.first.start()
    epoch = (await two.first.takes_orders())["epoch"]
    assert isinstance(epoch, int)
    write_mark(two, LatchMark("the journal could not be written", epoch - 1, halted=False))
    await two.stand_by()
    await placed(two.first, "under-the-second-epoch")
    status = await two.second.until(lambda status: status["working_orders"] == 1)
    assert (status["role"], status["epoch"]) == ("standby", epoch)


async def test_a_halt_at_the_standby_halts_without_a_writable_latch_file(two: Pair) -> None:
    await two.both()
    latch = two.second.directory / "var" / "latch"
    latch.unlink()
    latch.symlink_to("/dev/null")
    answer = await two.second.ask("POST", "/v1/halt", json={"reason": "smoke in the other room"})
    assert answer.status_code == 200, answer.text
    status = await two.second.until(
        lambda status: status.get("role") == "leader" and (status["armed"] or status["stage"] == "HALTED")
    )
    assert status["stage"] == "HALTED"
    assert "smoke in the other room" in status["halt_reason"]


async def test_a_killed_controller_without_a_standby_leads_again_at_once(two: Pair) -> None:
    await two.first.start()
    await two.first.armed()
    await two.first.kill()
    await two.first.start()
    status = await two.first.armed()
    assert status["epoch"] == 2
    assert STANDBY not in log(two.first)


async def test_a_halt_latches_while_the_database_hangs_and_stops_all_orders(two: Pair, server: PostgresServer) -> None:
    await two.first.start()
    await two.first.climb("TESTNET_VALIDATING")
    await placed(two.first, "before")
    price = await two.first.resting_price()
    server.pause()
    try:
        flowing = [asyncio.create_task(two.first.buy(price, "0.00002", f"flow-{number}")) for number in range(5)]
        halting = asyncio.create_task(two.first.ask("POST", "/v1/halt", json={"reason": "the database hangs"}))
        began = time.monotonic()
        while not (two.first.directory / "var" / "latch").read_bytes().rstrip(b"\0"):
            assert time.monotonic() - began < PERMIT_NS / 1e9, "the latch waited until the append was given up"
            await asyncio.sleep(0.02)
        code = (await two.first.ask("GET", "/livez")).status_code
        assert code == 200
        received = sent(two.first)
        await asyncio.wait({*flowing, halting}, timeout=60)
        await journal_given_up(two.first)
        assert sent(two.first) == received
    finally:
        server.resume()
    assert await two.ended() == 1
    await two.first.start()
    status = await two.first.until(halted)
    assert "the database hangs" in status["halt_reason"]


async def journal_given_up(host: Rig) -> None:
    """Wait until the controller no longer waits for its journal: it says so, or has ended."""
    assert host.process is not None
    while host.process.returncode is None:
        with suppress(httpx.HTTPError):
            if "the writer has stopped" in (await host.ask("GET", "/livez")).text:
                return
        await asyncio.sleep(0.1)


def test_every_entry_of_every_epoch_is_one_chain(server: PostgresServer) -> None:
    for number in range(1, 4):
        reader = read_postgres(server.url(f"pair{number}"))
        assert verify_chain(reader.read(), "rig").ok
        reader.close()
