"""A journal in a real PostgreSQL is copied while it is written, and put back into a file or into another database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from controller.journal.chain import Record, verify_chain
from controller.journal.port import JournalError
from controller.journal.postgres import open_postgres, read_postgres
from controller.journal.postgres_copy import copy_database, load_database, size_of_database
from controller.journal.sqlite import open_journal, read_journal
from exchange.model import Millis
from policies import canonical
from tests.support.postgres_server import PostgresServer, a_server

AT = Millis(1_800_000_000_000)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from a_server()


@pytest.fixture
def url(server: PostgresServer, tmp_path: Path) -> str:
    return database(server, f"one_{tmp_path.name[-40:]}")


def database(server: PostgresServer, name: str) -> str:
    name = re.sub(r"\W", "_", name.lower())
    server.execute("postgres", f'CREATE DATABASE "{name}"')
    return server.url(name)


def record(number: int) -> Record:
    return Record("noted", canonical.encode({"number": number}))


def nothing(_done: int, _total: int) -> None:
    pass


def test_a_copy_taken_while_entries_are_written_is_one_state(url: str, tmp_path: Path) -> None:
    journal, done = open_postgres(url, "desk"), Event()
    journal.append([record(number) for number in range(2_500)], AT)

    def write() -> None:
        while not done.is_set():
            journal.append([record(0)], AT)

    writer = Thread(target=write)
    writer.start()
    sizes = [0]
    try:
        # Each page that is read lets the writer append meanwhile, and the copy must not see that.
        copy_database(url, None, tmp_path / "journal.db", lambda _, total: sizes.append(total))
    finally:
        done.set()
        writer.join()
    reader = read_journal(tmp_path / "journal.db")
    assert verify_chain(reader.read(), "desk").ok
    assert reader.head.seq == sizes[-1] < journal.head.seq
    assert reader.head.hash == journal.hash_at(reader.head.seq)
    assert reader.head.epoch == 1
    assert size_of_database(url, None) > 100_000
    reader.close()
    journal.close()


def test_a_copy_goes_on_as_a_journal_in_a_file(url: str, tmp_path: Path) -> None:
    for _ in range(3):
        journal = open_postgres(url, "desk")
        journal.append([record(1)], AT)
        journal.close()
    copy_database(url, None, tmp_path / "journal.db", nothing)
    there = open_journal(tmp_path / "journal.db", "desk")
    assert (there.head.seq, there.epoch) == (3, 4)
    there.append([record(2)], AT)
    assert verify_chain(there.read(), "desk").ok
    there.close()


def test_a_journal_from_a_file_goes_on_in_a_database(server: PostgresServer, url: str, tmp_path: Path) -> None:
    for _ in range(3):
        there = open_journal(tmp_path / "journal.db", "desk")
        there.append([record(number) for number in range(1_200)], AT)
        there.close()
    load_database(tmp_path / "journal.db", url, None, synchronous=False, on_entries=nothing)
    original, loaded = read_journal(tmp_path / "journal.db"), read_postgres(url)
    assert list(loaded.read()) == list(original.read())
    loaded.close()
    original.close()
    journal = open_postgres(url, "desk")
    assert journal.epoch == 4
    journal.append([record(2)], AT)
    assert verify_chain(journal.read(), "desk").ok
    journal.close()


def test_nothing_is_loaded_over_a_journal(url: str, tmp_path: Path) -> None:
    open_postgres(url, "desk").close()
    there = open_journal(tmp_path / "journal.db", "desk")
    there.append([record(1)], AT)
    there.close()
    with pytest.raises(JournalError) as caught:
        load_database(tmp_path / "journal.db", url, None, synchronous=False, on_entries=nothing)
    assert caught.value.code == "journal-exists"


def test_a_file_that_is_no_journal_leaves_the_database_empty(url: str, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"")
    with pytest.raises(JournalError):
        load_database(tmp_path / "journal.db", url, None, synchronous=False, on_entries=nothing)
    with pytest.raises(JournalError, match="no journal in this database"):
        read_postgres(url)
