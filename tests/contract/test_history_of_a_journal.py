"""A journal proves its earlier sizes from storage, in a file or in PostgreSQL, while its writer appends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.journal.chain import Entry
from controller.journal.consistency import is_consistent
from controller.journal.history import History, leaves_of
from controller.journal.location import DatabaseLocation, FileLocation, JournalLocation
from controller.journal.merkle import MerkleTree
from exchange.model import Millis
from tests.contract.test_journal_contract import AT, record
from tests.support.postgres_server import a_server

OWNER = "desk-1"


@pytest.fixture(params=["file", "database"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalLocation]:
    if request.param == "file":
        yield FileLocation(tmp_path / "journal.db")
        return
    for server in a_server():
        yield DatabaseLocation(server.url("postgres"))


def tree_of(entries: list[Entry]) -> MerkleTree:
    tree = MerkleTree()
    for entry in entries:
        tree.append(entry.hash)
    return tree


def test_every_earlier_size_is_proven_while_the_writer_appends(location: JournalLocation) -> None:
    journal = location.open(OWNER)
    try:
        entries = [entry for number in range(9) for entry in journal.append([record(number)], Millis(AT + number))]
        tree = tree_of(entries)
        history = History(tree.size, tree.frontier, leaves_of(location), {4: tree_of(entries[:4]).frontier})
        journal.append([record(99)], Millis(AT + 99))
        for size in range(10):
            older = history.at(size)
            assert older.root() == tree_of(entries[:size]).root()
            assert is_consistent(size, older.root(), 9, tree.root(), history.proof(size))
    finally:
        journal.close()
