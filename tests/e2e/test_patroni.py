"""A journal on three servers under Patroni: it fails over by itself, and keeps every acknowledged entry."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from controller.journal.chain import Record, verify_chain
from controller.journal.port import JournalError, JournalWriteFailed, LeasedJournal
from controller.journal.postgres import open_postgres, read_postgres
from exchange.model import Millis
from policies import canonical
from tests.support.patroni import TEMPLATE, Patroni, missing
from tests.support.proofs import long_form

AT = Millis(1_800_000_000_000)


@pytest.fixture
def cluster() -> Iterator[Patroni]:
    assert not (absent := missing()), f"install {', '.join(absent)}: `make tools` does it as root"
    cluster = Patroni()
    try:
        yield cluster
    finally:
        cluster.remove()


def record(number: int) -> Record:
    return Record("noted", canonical.encode({"number": number}))


def opened(url: str) -> LeasedJournal:
    """Take the journal over as soon as a server can make an entry durable."""
    deadline = time.monotonic() + 120
    while True:
        try:
            reader = read_postgres(url)
            lease = reader.lease()
            reader.close()
            return open_postgres(url, "desk-1", synchronous=True, over=lease)
        except JournalError as error:
            if error.code == "journal-missing":
                return open_postgres(url, "desk-1", synchronous=True)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def test_the_configuration_acknowledges_on_two_disks_alone() -> None:
    text = TEMPLATE.read_text()
    for line in ("synchronous_mode: true", "synchronous_mode_strict: true", "maximum_lag_on_failover: 0", 'fsync: "on"'):
        assert f" {line}\n" in text


@long_form(short="test_the_configuration_acknowledges_on_two_disks_alone")
def test_patroni_fails_over_and_keeps_every_acknowledged_entry(cluster: Patroni) -> None:
    cluster.start("a")
    cluster.until("Leader")
    cluster.start("b", "c")
    cluster.until("Leader", "Sync Standby")
    journal = opened(cluster.url)
    acknowledged = [entry for number in range(30) for entry in journal.append([record(number)], AT)]
    before = cluster.until("Leader", "Sync Standby")
    (leader,) = (name for name, role in before.items() if role == "Leader")
    standby = {name for name, role in before.items() if role == "Sync Standby"}
    cluster.crash(leader)
    with pytest.raises(JournalWriteFailed):
        journal.append([record(99)], AT)
    journal.close()

    after = cluster.until("Leader", "Sync Standby", but=leader)
    assert {name for name, role in after.items() if role == "Leader"} == standby, "only the synchronous standby may lead"
    newer = opened(cluster.url)
    assert [entry for entry in newer.read() if entry.seq <= len(acknowledged)] == acknowledged
    (entry,) = newer.append([record(100)], AT)
    assert entry.epoch > acknowledged[-1].epoch
    assert verify_chain(newer.read(), "desk-1").ok
    newer.close()
