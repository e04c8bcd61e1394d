"""Journal files with entries, and a process that tampers with them, for the tests of journals."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw

from controller.authority.keys import generate_key
from controller.journal.chain import Entry, Problem, Record, row_of
from controller.journal.checkpoint import Checkpoint, CheckpointWalk, checkpoint_public_key, take_checkpoint
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import open_journal
from exchange.model import Millis
from policies import canonical

OWNER = "desk-1"
AT = Millis(1_800_000_000_000)
KEY = generate_key()
NOTE_KEY = checkpoint_public_key(OWNER, KEY)


def write_entries(path: Path, count: int, owner: str = OWNER) -> tuple[Entry, ...]:
    """Append to the journal at ``path``, created if it is missing, and close it."""
    journal = open_journal(path, owner)
    first = journal.head.seq + 1
    records = [Record("Noted", canonical.encode({"number": number})) for number in range(first, first + count)]
    entries = journal.append(records, AT)
    journal.close()
    return entries


def checkpoint_of(entries: tuple[Entry, ...], owner: str = OWNER) -> Checkpoint:
    tree = MerkleTree()
    for entry in entries:
        tree.append(entry.hash)
    return take_checkpoint(owner, tree)


def check_against(entries: tuple[Entry, ...], checkpoint: Checkpoint, owner: str = OWNER) -> Problem | None:
    """What a checkpoint shows to be wrong with a journal."""
    walk = CheckpointWalk(owner, (checkpoint,))
    return walk.start() or walk.take(map(row_of, entries)) or walk.finish()


def tamper(path: Path, *statements: str) -> None:
    """Change the file directly; the triggers are removed before and restored afterwards."""
    connection = apsw.Connection(str(path))
    triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in triggers:
        connection.execute(str(sql))
    connection.close()


def copy_journal(path: Path, to: Path) -> None:
    """Copy a closed journal file."""
    shutil.copy(path, to)
