"""Several processes verify a chain: with the same result and the same Merkle roots as a single walk."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import apsw
import pytest

from controller.journal import verify, verify_chain
from controller.journal.chain import Entry, Head, Record
from controller.journal.merkle import MerkleTree, subtree_root
from controller.journal.sqlite import open_journal
from controller.journal.verify import VerifyReport, verify_journal
from controller.journal.verify_chain import prove
from tests.unit.journal.journal_kit import AT, OWNER, checkpoint_of, copy_journal, tamper, write_entries

COUNT = 61
CHUNK = 4
EDITED = "UPDATE entry SET body = x'5b5d' WHERE seq = {}"
DROPPED = "DELETE FROM entry WHERE seq = {}"
RENUMBERED = "UPDATE entry SET seq = 1000 WHERE seq = {}"
AGED = "UPDATE entry SET epoch = 0 WHERE seq = {}"
RELINKED = "UPDATE entry SET prev = zeroblob(32) WHERE seq = {}"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proven") / "journal.db"


@pytest.fixture(scope="module")
def entries(kept: Path) -> tuple[Entry, ...]:
    return write_entries(kept, COUNT)


@pytest.fixture
def path(kept: Path, entries: tuple[Entry, ...], tmp_path: Path) -> Path:
    del entries
    copy_journal(kept, tmp_path / "journal.db")
    return tmp_path / "journal.db"


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def proven(path: Path, roots: tuple[tuple[int, bytes], ...] = (), owner: str = OWNER, chunk: int = CHUNK) -> Head | None:
    return prove(path, owner, roots, at_least=1, chunk=chunk)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "prove", lambda path, owner, roots: proven(path, tuple(roots)))


def verified(path: Path, *checkpoints: object) -> VerifyReport:
    return verify_journal(path, OWNER, monotonic_ns=time.monotonic_ns, checkpoints=checkpoints)  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [1, 4, 16])
def test_a_valid_chain_is_proven_to_its_last_entry(path: Path, entries: tuple[Entry, ...], chunk: int) -> None:
    assert proven(path, chunk=chunk) == Head(COUNT, entries[-1].hash, entries[-1].epoch)


def test_the_roots_equal_those_of_one_tree_at_every_size(path: Path, entries: tuple[Entry, ...]) -> None:
    roots = tuple((size, checkpoint_of(entries[:size]).root) for size in range(COUNT + 1))
    assert proven(path, roots) is not None


@pytest.mark.parametrize("size", [0, 1, 27, 28, 29, COUNT])
def test_one_wrong_root_proves_nothing(path: Path, entries: tuple[Entry, ...], size: int) -> None:
    good = (COUNT, checkpoint_of(entries).root)
    assert proven(path, (good, (size, bytes(32)))) is None


def test_a_checkpoint_of_more_entries_proves_nothing(path: Path) -> None:
    assert proven(path, ((COUNT + 1, bytes(32)),)) is None


@pytest.mark.parametrize("seq", [1, 20, 28, 29, 30, 50, COUNT])
@pytest.mark.parametrize("change", [EDITED, AGED, RELINKED])
def test_a_changed_entry_is_proven_by_no_range(path: Path, change: str, seq: int) -> None:
    tamper(path, change.format(seq))
    assert proven(path) is None


@pytest.mark.parametrize("seq", [1, 28, 29, 50])
@pytest.mark.parametrize("change", [DROPPED, RENUMBERED])
def test_a_missing_entry_is_proven_by_no_range(path: Path, change: str, seq: int) -> None:
    tamper(path, change.format(seq))
    assert proven(path) is None


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A whole journal of the same controller and length with another history."""
    journal = open_journal(tmp_path / "other.db", OWNER)
    journal.append([Record("Other", b"[%d]" % number) for number in range(COUNT)], AT)
    journal.close()
    return tmp_path / "other.db"


def test_the_end_of_another_history_is_not_proven(path: Path, other: Path) -> None:
    middle = verify_chain._cuts(COUNT, CHUNK)[1]
    rows = apsw.Connection(str(other)).execute("SELECT * FROM entry WHERE seq > ?", (middle,)).fetchall()
    tamper(path, f"DELETE FROM entry WHERE seq > {middle}")
    connection = apsw.Connection(str(path))
    connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    assert proven(path) is None


def test_valid_ranges_that_do_not_connect_prove_nothing(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As when the file is exchanged between the reading of one range and of the next.
    helper = verify_chain._Helper
    monkeypatch.setattr(verify_chain, "_Helper", lambda _, *rest: helper(other, *rest))
    assert proven(other) is not None
    assert proven(path) is None


def test_another_controllers_journal_is_not_proven(path: Path) -> None:
    assert proven(path, owner="desk-2") is None


def test_a_short_journal_is_verified_by_one_walk(path: Path) -> None:
    assert prove(path, OWNER) is None


def test_one_core_verifies_by_one_walk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert proven(path) is None


def test_a_process_that_does_not_start_proves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(path.parent / "nothing"))
    assert proven(path) is None


def test_a_process_without_output_proves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_chain, "_MODULE", "controller.version")
    assert proven(path) is None


def test_several_processes_report_the_same_as_one(path: Path, entries: tuple[Entry, ...], always: None) -> None:
    del always
    report = verified(path, checkpoint_of(entries), checkpoint_of(entries[:20]))
    assert (report.ok, report.entries, report.head.hash) == (True, COUNT, entries[-1].hash)


@pytest.mark.parametrize("change", [EDITED, DROPPED, RENUMBERED, AGED, RELINKED])
def test_a_problem_is_named_as_by_one_walk(path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    tamper(path, change.format(40))
    alone = verified(path)
    monkeypatch.setattr(verify, "prove", lambda path, owner, roots: proven(path, tuple(roots)))
    together = verified(path)
    assert not alone.ok
    assert (together.entries, together.head, together.first_problem) == (alone.entries, alone.head, alone.first_problem)


def test_entries_written_meanwhile_are_walked_after_the_proof(
    path: Path, entries: tuple[Entry, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def prove_then_write(path: Path, owner: str, roots: object) -> Head | None:
        del owner, roots
        found = proven(path)
        write_entries(path, 3)
        return found

    monkeypatch.setattr(verify, "prove", prove_then_write)
    report = verified(path, checkpoint_of(entries))
    assert (report.ok, report.entries) == (True, COUNT + 3)


@pytest.mark.parametrize("levels", range(5))
def test_a_subtrees_root_equals_that_of_the_tree(entries: tuple[Entry, ...], levels: int) -> None:
    leaves = [bytes.fromhex(entry.hash[7:]) for entry in entries[: 1 << levels]]
    tree = MerkleTree()
    for leaf in leaves:
        tree.append_leaf(leaf)
    assert subtree_root(leaves) == tree.root()
