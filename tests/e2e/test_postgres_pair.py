"""A journal on two servers: a failover keeps every acknowledged entry, and one server alone acknowledges nothing."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.state import State
from controller.journal.chain import Record, verify_chain
from controller.journal.lease import Lease
from controller.journal.port import JournalError, JournalWriteFailed, LeasedJournal
from controller.journal.postgres import open_postgres, read_postgres
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.loop.clock import SystemClock
from controller.runtime.recovery.follow import Follower, Standby
from exchange.errors import IntegrityError
from exchange.model import Millis
from policies import canonical
from tests.support.postgres_pair import PostgresPair, programs
from tests.support.rig import rig

AT = Millis(1_800_000_000_000)


@pytest.fixture
def servers() -> Iterator[PostgresPair]:
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL programs: neither the dev extra's nor Debian's postgresql package")
    servers = PostgresPair(found)
    try:
        yield servers
    finally:
        servers.remove()


def record(number: int) -> Record:
    return Record("noted", canonical.encode({"number": number}))


def lease(url: str) -> Lease:
    reader = read_postgres(url)
    try:
        return reader.lease()
    finally:
        reader.close()


def open_again(url: str) -> LeasedJournal:
    """Take the journal over as soon as the server can make an entry durable."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return open_postgres(url, "desk-1", synchronous=True, over=lease(url))
        except JournalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_a_failover_keeps_every_acknowledged_entry(
    servers: PostgresPair,
) -> None:
    servers.both()
    assert servers.do("state", str(servers.data("a"))).split() == ["primary", "b|streaming|sync"]
    url = servers.url("a", "b")
    journal = open_postgres(url, "desk-1", synchronous=True)
    acknowledged = [entry for number in range(30) for entry in journal.append([record(number)], AT)]
    servers.crash("a")
    with pytest.raises(JournalWriteFailed):
        journal.append([record(99)], AT)
    journal.close()
    servers.do("fence", str(servers.data("a")))
    servers.do("promote", str(servers.data("b")), "a")
    before = lease(url)
    with pytest.raises(JournalError):
        open_postgres(url, "desk-1", synchronous=True, over=before)
    servers.do("rejoin", str(servers.data("a")), "a", servers.primary_string("b"))
    newer = open_again(url)
    assert [entry for entry in newer.read() if entry.seq <= len(acknowledged)] == acknowledged
    entries = newer.append([record(100)], AT)
    assert entries[0].seq == len(acknowledged) + 1
    assert entries[0].epoch > acknowledged[-1].epoch
    assert verify_chain(newer.read(), "desk-1").ok
    newer.close()


def test_a_primary_without_its_standby_acknowledges_and_shows_nothing_new(servers: PostgresPair) -> None:
    servers.both()
    url = servers.url("a", "b")
    journal = open_postgres(url, "desk-1", synchronous=True)
    journal.append([record(1)], AT)
    servers.control("b", "stop", "-m", "immediate")
    with pytest.raises(JournalWriteFailed, match="may or may not be durable"):
        journal.append([record(2)], AT)
    reader = read_postgres(url)
    assert [entry.seq for entry in reader.read()] == [1]
    servers.control("b", "-l", str(servers.data("b") / "server.log"), "start")
    deadline = time.monotonic() + 30
    while [entry.seq for entry in reader.read()] != [1, 2]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    reader.close()
    journal.close()


async def test_an_asynchronous_standby_that_was_promoted_is_detected(servers: PostgresPair) -> None:
    servers.both()
    servers.do("standby", str(servers.data("c")), "c", servers.primary_string("a"))
    refused = servers.run("promote", str(servers.data("c")), "b")
    assert refused.returncode == 1
    assert "not the synchronous standby" in refused.stderr
    url = servers.url("a", "c")
    journal = open_postgres(url, "desk-1", synchronous=True)
    journal.append([record(1)], AT)
    servers.control("c", "stop", "-m", "fast")
    journal.append([record(2)], AT)
    follower = Follower("desk-1", RecentHistory(), lambda _: None, State(), None)
    follower._fold = lambda entries: [None for _ in entries]  # type: ignore[assignment, method-assign, return-value]
    standby = Standby(read=lambda: read_postgres(url), take_over=_fail, follower=follower, clock=SystemClock())
    following = asyncio.create_task(standby.run())
    while follower.head.seq < 2:  # noqa: ASYNC110 - the entries come from a thread
        await asyncio.sleep(0.02)
    servers.crash("a")
    servers.do("fence", str(servers.data("a")))
    servers.control("c", "-l", str(servers.data("c") / "server.log"), "start")
    servers.control("c", "promote")
    with pytest.raises(IntegrityError, match="entry 2, which this standby has read, is gone") as found:
        await asyncio.wait_for(following, 30)
    assert found.value.code == "journal-went-back"
    journal.close()


async def test_a_controller_whose_database_lost_its_standby_halts_for_good(tmp_path: Path, servers: PostgresPair) -> None:
    servers.both()
    async with rig(tmp_path / "deployment") as deployment:
        settings = deployment.directory / "gatehouse.toml"
        settings.write_text(f'journal = "{servers.url("a", "b")}"\njournal_synchronous = true\n{settings.read_text()}')
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        assert (await deployment.buy(await deployment.resting_price(), "0.00002", "resting")).status_code == 200
        servers.control("b", "stop", "-m", "immediate")
        assert deployment.process is not None
        assert await asyncio.wait_for(deployment.process.wait(), 40) == 1
        assert "the journal gave no answer" in deployment.tail()
        servers.control("b", "-l", str(servers.data("b") / "server.log"), "start")
        await deployment.start()
        status = await deployment.until(lambda now: now.get("stage") == "HALTED" and now["working_orders"] == 0)
        assert "without a journal" in status["halt_reason"]


def _fail(over: Lease | None) -> LeasedJournal:
    raise AssertionError(f"this standby must not take over: {over}")
