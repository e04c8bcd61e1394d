"""The common contract of every journal. The tests of a backend inherit ``JournalContract`` and say how to open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.journal.chain import Entry, Head, Record, genesis_hash, verify_chain
from controller.journal.port import Journal, JournalError, JournalFenced, JournalLocked, JournalPoisoned
from controller.journal.sqlite import open_journal
from exchange.errors import UsageError
from exchange.model import Millis
from policies import canonical
from tests.support.tries import tries

AT = Millis(1_800_000_000_000)


def record(number: int, kind: str = "Noted") -> Record:
    return Record(kind, canonical.encode({"number": number}))


class Store(Protocol):
    """One place a journal is kept in."""

    def open(self, controller_id: str = "desk-1") -> Journal:
        """Open it as a writer that respects every lock."""
        ...

    def seize(self) -> Journal:
        """Open it as a second machine would that does not see the first one's lock."""
        ...

    def another(self) -> Store:
        """A new, empty place."""
        ...


class JournalContract:
    """Inherited by each backend's test class, which provides ``store``."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, store: Store) -> Iterator[Journal]:
        journal = store.open()
        yield journal
        journal.close()

    def test_a_new_journal_is_empty_and_begins_at_its_owners_genesis(self, journal: Journal) -> None:
        assert journal.head == Head(0, genesis_hash("desk-1"), 1)
        assert list(journal.read()) == []
        assert journal.hash_at(0) is None

    def test_an_append_returns_the_durable_entries(self, journal: Journal) -> None:
        entries = journal.append([record(1), record(2)], AT)
        assert [(entry.seq, entry.epoch, entry.at, entry.body) for entry in entries] == [
            (1, 1, AT, record(1).body),
            (2, 1, AT, record(2).body),
        ]
        assert tuple(journal.read()) == entries
        assert journal.head == Head(2, entries[1].hash, 1)

    def test_the_hash_of_each_entry_can_be_read(self, journal: Journal) -> None:
        entries = journal.append([record(1), record(2)], AT)
        assert [journal.hash_at(seq) for seq in (1, 2, 3)] == [entries[0].hash, entries[1].hash, None]

    def test_an_append_of_nothing_writes_nothing(self, journal: Journal) -> None:
        before = journal.head
        assert journal.append([], AT) == ()
        assert journal.head == before

    def test_reading_starts_after_an_entry_and_stops_at_a_limit(self, journal: Journal) -> None:
        journal.append([record(number) for number in range(1, 8)], AT)
        assert [entry.seq for entry in journal.read(after=2, limit=3)] == [3, 4, 5]
        assert [entry.seq for entry in journal.read(after=6)] == [7]
        assert list(journal.read(after=7)) == list(journal.read(limit=0)) == []

    def test_an_append_while_reading_does_not_change_the_read(self, journal: Journal) -> None:
        journal.append([record(number) for number in range(3)], AT)
        reading = journal.read()
        first = next(reading)
        journal.append([record(9)], AT)
        assert [first.seq, *(entry.seq for entry in reading)][:3] == [1, 2, 3]

    def test_an_invalid_time_is_refused_and_nothing_is_written(self, journal: Journal) -> None:
        with pytest.raises(UsageError):
            journal.append([record(1)], Millis(-1))
        assert list(journal.read()) == []
        assert journal.append([record(2)], AT)[0].seq == 1

    def test_reopening_continues_the_chain_under_a_higher_epoch(self, store: Store) -> None:
        first = store.open()
        first.append([record(1)], AT)
        first.close()
        second = store.open()
        entry = second.append([record(2)], AT)[0]
        assert (entry.seq, entry.epoch, entry.prev) == (2, 2, second.hash_at(1))
        assert verify_chain(second.read(), "desk-1").ok
        second.close()

    def test_a_second_writer_is_refused_while_the_first_is_open(self, store: Store, journal: Journal) -> None:
        with pytest.raises(JournalLocked):
            store.open()
        assert journal.append([record(1)], AT)[0].epoch == 1

    def test_a_writer_is_fenced_after_a_takeover(self, store: Store, journal: Journal) -> None:
        journal.append([record(1)], AT)
        newer = store.seize()
        with pytest.raises(JournalFenced):
            journal.append([record(2)], AT)
        assert [entry.seq for entry in newer.append([record(3)], AT)] == [2]
        assert [entry.body for entry in newer.read()] == [record(1).body, record(3).body]
        newer.close()

    def test_a_renewal_adds_no_entry(self, journal: Journal) -> None:
        journal.append([record(1)], AT)
        journal.renew()
        assert [entry.seq for entry in journal.read()] == [1]
        assert [entry.seq for entry in journal.append([record(2)], AT)] == [2]

    def test_a_fenced_writer_cannot_renew(self, store: Store, journal: Journal) -> None:
        journal.append([record(1)], AT)
        newer = store.seize()
        with pytest.raises(JournalFenced):
            journal.renew()
        newer.close()
        with pytest.raises(JournalPoisoned):
            journal.renew()

    def test_a_fenced_writer_stays_fenced(self, store: Store, journal: Journal) -> None:
        newer = store.seize()
        with pytest.raises(JournalFenced):
            journal.append([record(1)], AT)
        newer.close()
        with pytest.raises(JournalPoisoned):
            journal.append([record(1)], AT)

    def test_a_closed_journal_accepts_nothing(self, store: Store) -> None:
        journal = store.open()
        journal.close()
        journal.close()
        with pytest.raises(JournalPoisoned):
            journal.append([record(1)], AT)

    def test_another_controllers_journal_is_not_opened(self, store: Store) -> None:
        store.open("desk-1").close()
        with pytest.raises(JournalError) as refused:
            store.open("desk-2")
        assert refused.value.code == "journal-other-controller"
        store.open("desk-1").close()

    def test_two_controllers_with_equal_entries_share_no_hash(self, store: Store, journal: Journal) -> None:
        other = store.another().open("desk-2")
        ours, theirs = journal.append([record(1)], AT), other.append([record(1)], AT)
        assert {entry.hash for entry in ours}.isdisjoint(entry.hash for entry in theirs)
        other.close()

    @given(st.lists(st.none() | st.lists(st.integers(0, 99), max_size=5), max_size=12))
    @settings(
        max_examples=tries(25),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_all_appended_entries_are_read_after_any_number_of_reopenings(
        self, store: Store, batches: list[list[int] | None]
    ) -> None:
        place = store.another()
        journal, written = place.open(), list[Entry]()
        for batch in batches:
            if batch is None:
                journal.close()
                journal = place.open()
            else:
                written += journal.append([record(number) for number in batch], AT)
        assert list(journal.read()) == written
        report = verify_chain(journal.read(), "desk-1")
        assert report.ok
        assert (report.head.seq, report.head.hash) == (journal.head.seq, journal.head.hash)
        journal.close()


class SqliteStore:
    """A directory with a journal file in it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._others = 0

    def open(self, controller_id: str = "desk-1") -> Journal:
        return open_journal(self._directory / "journal.db", controller_id)

    def seize(self) -> Journal:
        """As on a file system whose locks keep nobody out."""
        with patch("fcntl.flock"):
            return self.open()

    def another(self) -> SqliteStore:
        self._others += 1
        directory = self._directory / f"other-{self._others}"
        directory.mkdir()
        return SqliteStore(directory)


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SqliteStore:
        return SqliteStore(tmp_path)
