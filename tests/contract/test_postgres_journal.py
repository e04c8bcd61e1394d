"""The journal in PostgreSQL: the common contract, and the failures that only a server can have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.journal import postgres_link
from controller.journal.chain import Entry, Head, seal, verify_chain
from controller.journal.lease import Lease
from controller.journal.port import Journal, JournalError, JournalFenced, JournalLocked, JournalPoisoned, JournalWriteFailed
from controller.journal.postgres import open_postgres, read_postgres
from exchange.errors import ConfigError
from tests.contract.test_journal_contract import AT, JournalContract, record
from tests.support.postgres_server import PostgresServer, Wire, a_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    for server in a_server():
        server.execute("postgres", "CREATE DATABASE another")
        yield server


class PostgresStore:
    """A database with nothing in it; created once and cleared for each test, which is quicker than a new database."""

    def __init__(self, server: PostgresServer, database: str = "postgres") -> None:
        self.server = server
        self.database = database
        self.execute("DROP SCHEMA IF EXISTS gatehouse CASCADE")

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    def open(self, controller_id: str = "desk-1") -> Journal:
        return open_postgres(self.url, controller_id)

    def seize(self) -> Journal:
        return open_postgres(self.url, "desk-1", seize=True)

    def lease(self) -> Lease:
        reader = read_postgres(self.url)
        try:
            return reader.lease()
        finally:
            reader.close()

    def read(self) -> list[Entry]:
        reader = read_postgres(self.url)
        try:
            return list(reader.read())
        finally:
            reader.close()

    def another(self) -> PostgresStore:
        return PostgresStore(self.server, "another")

    def execute(self, *statements: str) -> None:
        self.server.execute(self.database, *statements)


@pytest.fixture
def store(server: PostgresServer) -> PostgresStore:
    return PostgresStore(server)


class TestPostgresJournal(JournalContract):
    @pytest.fixture
    def store(self, server: PostgresServer) -> PostgresStore:
        return PostgresStore(server)


@pytest.fixture
def wire(server: PostgresServer) -> Iterator[Wire]:
    wire = Wire(server)
    yield wire
    wire.close()


@pytest.fixture
def journal_on_wire(store: PostgresStore, wire: Wire) -> Iterator[Journal]:
    journal = open_postgres(store.server.url(store.database, wire.directory), "desk-1")
    journal.append([record(1)], AT)
    yield journal
    journal.close()


def test_a_commit_with_a_lost_answer_is_found_by_reading(journal_on_wire: Journal, wire: Wire) -> None:
    wire.cut = "after"
    assert [entry.seq for entry in journal_on_wire.append([record(2), record(3)], AT)] == [2, 3]
    assert [entry.seq for entry in journal_on_wire.append([record(4)], AT)] == [4]
    assert verify_chain(journal_on_wire.read(), "desk-1").entries == 4


def test_a_commit_that_never_arrived_is_not_assumed(store: PostgresStore, journal_on_wire: Journal, wire: Wire) -> None:
    wire.cut = "before"
    with pytest.raises(JournalWriteFailed, match="nothing was written"):
        journal_on_wire.append([record(2)], AT)
    with pytest.raises(JournalPoisoned):
        journal_on_wire.append([record(2)], AT)
    reader = read_postgres(store.url)
    assert [entry.body for entry in reader.read()] == [record(1).body]
    reader.close()


def test_a_commit_without_an_answer_is_checked_on_a_new_connection(
    journal_on_wire: Journal, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "PATIENCE_S", 0.3)
    wire.cut = "stall"
    assert [entry.seq for entry in journal_on_wire.append([record(2)], AT)] == [2]


def test_an_append_is_undecided_while_the_server_is_unreachable(store: PostgresStore, journal_on_wire: Journal, wire: Wire) -> None:
    wire.cut = "after"
    wire._listening.shutdown(2)
    with pytest.raises(JournalWriteFailed, match="may or may not be durable"):
        journal_on_wire.append([record(2)], AT)
    newer = store.seize()
    assert [entry.seq for entry in newer.read()] == [1, 2]
    newer.close()


def test_no_acknowledged_entry_is_lost_when_the_server_crashes(store: PostgresStore) -> None:
    journal, acknowledged = store.open(), []
    for number in range(20):
        acknowledged += journal.append([record(number)] * (1 + number % 3), AT)
    store.server.crash(store.database)
    with pytest.raises(JournalWriteFailed):
        journal.append([record(99)], AT)
    journal.close()
    store.server.wait()
    newer = store.seize()
    assert list(newer.read()) == acknowledged
    assert newer.append([record(100)], AT)[0].seq == len(acknowledged) + 1
    newer.close()


def test_a_standby_takes_over_an_expired_lease_and_fences_the_writer(store: PostgresStore) -> None:
    first = store.open()
    with pytest.raises(JournalLocked):
        store.open()
    second = open_postgres(store.url, "desk-1", over=store.lease())
    assert second.epoch == first.epoch + 1
    with pytest.raises(JournalError) as refused:
        first.append([record(1)], AT)
    assert refused.value.code == "journal-fenced"
    first.close()
    assert second.append([record(2)], AT)[0].epoch == 2
    second.close()


@pytest.mark.parametrize("sign_of_life", ["append", "renew"])
def test_a_lease_that_was_renewed_meanwhile_is_not_taken_over(store: PostgresStore, sign_of_life: str) -> None:
    first = open_postgres(store.url, "desk-1")
    shown = store.lease()
    if sign_of_life == "append":
        first.append([record(1)], AT)
    else:
        first.renew()
    with pytest.raises(JournalLocked):
        open_postgres(store.url, "desk-1", over=shown)
    assert first.append([record(2)], AT)[0].epoch == 1
    first.close()


def test_every_renewal_changes_the_lease_also_after_a_clock_went_back(store: PostgresStore) -> None:
    first = open_postgres(store.url, "desk-1")
    store.execute("UPDATE gatehouse.controller SET lease_until = clock_timestamp() + interval '10 years'")
    shown = store.lease()
    first.renew()
    assert store.lease() != shown
    first.close()
    assert store.lease().free


def test_a_renewal_after_a_takeover_is_refused_with_the_new_epoch(store: PostgresStore) -> None:
    first = open_postgres(store.url, "desk-1")
    second = store.seize()
    with pytest.raises(JournalFenced, match="epoch 2 has taken the journal over from epoch 1"):
        first.renew()
    with pytest.raises(JournalPoisoned):
        first.renew()
    first.close()
    second.close()


def test_uncommitted_entries_are_not_read(store: PostgresStore) -> None:
    journal = open_postgres(store.url, "desk-1")
    entry = seal(record(1), journal.head, epoch=journal.epoch, at=AT)
    journal._prepare([entry])
    assert (list(journal.read()), journal.hash_at(1)) == ([], None)
    journal._commit(Head(entry.seq, entry.hash, journal.epoch))
    assert list(journal.read()) == [entry]
    journal.close()


def test_an_append_is_refused_once_the_server_waits_for_no_standby(store: PostgresStore) -> None:
    with pytest.raises(JournalError) as refused:
        open_postgres(store.url, "desk-1", synchronous=True)
    assert refused.value.code == "journal-not-synchronous"
    journal = store.open()
    journal._synchronous = True  # type: ignore[attr-defined]
    with pytest.raises(JournalError) as stopped:
        journal.append([record(1)], AT)
    assert stopped.value.code == "journal-not-synchronous"
    journal.close()
    assert list(store.read()) == []


def test_a_fenced_writer_does_not_release_the_newer_lease(store: PostgresStore) -> None:
    first = store.open()
    second = store.seize()
    first.close()
    with pytest.raises(JournalLocked):
        store.open()
    second.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gatehouse.entry SET at = at + 1",
        "DELETE FROM gatehouse.entry",
        "TRUNCATE gatehouse.entry",
        "SET session_replication_role = replica; DELETE FROM gatehouse.entry",
        "UPDATE gatehouse.controller SET epoch = 0",
        "UPDATE gatehouse.controller SET controller_id = 'desk-2'",
        "DELETE FROM gatehouse.controller",
        "INSERT INTO gatehouse.entry SELECT seq + 2, epoch, at, kind, body, hash, sha256(hash) FROM gatehouse.entry",
        "INSERT INTO gatehouse.entry SELECT seq + 1, epoch, at, kind, body, sha256(hash), sha256(prev) FROM gatehouse.entry",
        "INSERT INTO gatehouse.entry SELECT seq + 1, epoch + 1, at, kind, body, hash, sha256(hash) FROM gatehouse.entry",
    ],
)
def test_the_server_itself_refuses_to_rewrite_the_journal(store: PostgresStore, statement: str) -> None:
    import psycopg

    journal = store.open()
    journal.append([record(1)], AT)
    with pytest.raises(psycopg.Error, match=r"append-only|owner|takes the next number|follows the last|epoch"):
        store.execute(*statement.split("; "))
    assert len(list(journal.read())) == 1
    journal.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TRIGGER entry_stays ON gatehouse.entry",
        "ALTER TABLE gatehouse.entry DISABLE TRIGGER entry_remains",
        "CREATE OR REPLACE FUNCTION gatehouse.entry_stays() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL;END'",
        "ALTER TABLE gatehouse.entry DROP CONSTRAINT entry_hash",
        "ALTER TABLE gatehouse.controller DISABLE TRIGGER controller_stays; UPDATE gatehouse.controller SET version = 2",
    ],
)
def test_a_journal_whose_schema_was_changed_is_not_opened(store: PostgresStore, statement: str) -> None:
    store.open().close()
    store.execute(*statement.split("; "))
    for opening in (store.open, lambda: read_postgres(store.url)):
        with pytest.raises(JournalError) as refused:
            opening()
        assert refused.value.code == "journal-schema"


def test_a_database_without_a_journal_cannot_be_read(store: PostgresStore) -> None:
    with pytest.raises(JournalError) as refused:
        read_postgres(store.url)
    assert refused.value.code == "journal-missing"


def test_a_reader_sees_what_the_writer_appends(store: PostgresStore) -> None:
    journal = store.open()
    reader = read_postgres(store.url)
    entries = journal.append([record(1)], AT)
    assert tuple(reader.read()) == entries
    assert (reader.head, reader.integrity()) == (journal.head, ())
    reader.close()
    journal.close()


@pytest.mark.parametrize("option", ["fsync", "full_page_writes"])
def test_a_server_that_does_not_sync_is_refused(store: PostgresStore, option: str) -> None:
    store.execute(f"ALTER SYSTEM SET {option} = off", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
    with pytest.raises(JournalError) as refused:
        store.open()
    store.execute(f"ALTER SYSTEM RESET {option}", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
    assert refused.value.code == "journal-not-durable"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://gatehouse:hunter2@/journal", "password"),
        ("postgresql://gatehouse@/journal?password=hunter2", "password"),
        ("postgresql://gatehouse@db.example/journal", "another machine"),
        ("postgresql://gatehouse@db.example/journal?sslmode=require", "another machine"),
        ("postgresql://gatehouse@a.example,b.example/journal?sslmode=verify-full", "several"),
        ("postgresql://gatehouse@a.example,b.example/journal?target_session_attrs=read-write", "another machine"),
        ("host=localhost dbname=journal", "begin with"),
        ("postgresql://[", "not a PostgreSQL"),
    ],
)
def test_a_url_with_a_secret_or_without_tls_is_refused_and_not_shown(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        open_postgres(url, "desk-1")
    assert "hunter2" not in str(refused.value)


def test_an_unreachable_server_is_an_error_with_a_code(server: PostgresServer) -> None:
    with pytest.raises(JournalError) as refused:
        open_postgres(server.url("nowhere"), "desk-1")
    assert refused.value.code == "journal-unusable"
