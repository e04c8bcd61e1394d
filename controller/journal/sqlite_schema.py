"""The tables and triggers of a journal file, and the check that nobody changed them. ``sqlite`` and ``sqlite_base`` use it.

Version 1 holds every entry from the first. Version 2 has one more table, with the base that its entries go on from (ADR 46); a
gatehouse that does not know it refuses the file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import apsw

from controller.journal.base import SignedBase
from controller.journal.port import JournalError

APPLICATION_ID = 0x67617465
WHOLE, BASED = 1, 2
"""The version of a file that holds every entry, and of one that has a base."""

CONTROLLER = """
CREATE TABLE controller (
  one INTEGER PRIMARY KEY CHECK (one = 1), controller_id TEXT NOT NULL, epoch INTEGER NOT NULL
) STRICT;
CREATE TRIGGER controller_remains BEFORE DELETE ON controller BEGIN SELECT raise(ABORT, 'the journal keeps its owner'); END;
CREATE TRIGGER controller_stays BEFORE UPDATE ON controller
WHEN NEW.controller_id <> OLD.controller_id OR NEW.epoch <= OLD.epoch
BEGIN SELECT raise(ABORT, 'the owner never changes and the epoch only rises'); END;
"""
ENTRIES = """
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  body BLOB NOT NULL, prev BLOB NOT NULL UNIQUE CHECK (length(prev) = 32), hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;
"""
FOLLOWS = """
CREATE TRIGGER entry_follows BEFORE INSERT ON entry WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entry)
BEGIN SELECT raise(ABORT, 'an entry takes the next number'); END;
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entry_remains BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
"""
BASE = """
CREATE TABLE base (one INTEGER PRIMARY KEY CHECK (one = 1), document TEXT NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE TRIGGER base_stays BEFORE UPDATE ON base BEGIN SELECT raise(ABORT, 'the base never changes'); END;
CREATE TRIGGER base_remains BEFORE DELETE ON base BEGIN SELECT raise(ABORT, 'the journal keeps its base'); END;
"""
_OBJECTS = {WHOLE: CONTROLLER + ENTRIES + FOLLOWS, BASED: CONTROLLER + ENTRIES + FOLLOWS + BASE}


def create(connection: apsw.Connection, controller_id: str) -> None:
    """Make the tables of a new journal, in the transaction that is open."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {WHOLE}")
    connection.execute(_OBJECTS[WHOLE])
    connection.execute("INSERT INTO controller VALUES (1, ?, 0)", (controller_id,))


def owner_of(connection: apsw.Connection, path: Path) -> str:
    """The controller that owns the journal. Raises ``JournalError`` (``journal-schema``) when the file is not as it was created."""
    ((application,),) = connection.execute("PRAGMA application_id").fetchall()
    if application != APPLICATION_ID or (version := _version(connection)) not in _OBJECTS:
        raise JournalError(
            f"{path} is not a version {WHOLE} or {BASED} journal",
            code="journal-schema",
            remedy="Pass the path of a journal of this version of gatehouse; nothing was changed.",
        )
    if _objects(connection) != _objects_as_created(version):
        raise JournalError(
            f"the tables or triggers of {path} are not those that gatehouse created",
            code="journal-schema",
            remedy="Find out what changed the file; first compare it with a backup and the newest checkpoint.",
        )
    row = connection.execute("SELECT controller_id FROM controller").fetchone()
    if row is None:
        raise ownerless(path)
    return str(row[0])


def base_of(connection: apsw.Connection) -> SignedBase | None:
    """The base of a journal; ``None`` when it holds every entry. Raises ``JournalError`` when the row is gone."""
    if _version(connection) != BASED:
        return None
    rows: list[Any] = connection.execute("SELECT document, signature FROM base").fetchall()
    if not rows:
        raise JournalError(
            "the journal does not say which entry it goes on from",
            code="journal-schema",
            remedy="Restore the journal from a verified backup, and find out what wrote to the file.",
        )
    return SignedBase(str(rows[0][0]), bytes(rows[0][1]))


def ownerless(whose: object) -> JournalError:
    """The error for a journal whose row with the owner is gone."""
    return JournalError(
        f"the journal of {whose} has no row with its owner",
        code="journal-schema",
        remedy="Restore the journal from a verified backup, and find out what wrote to the file.",
    )


def _version(connection: apsw.Connection) -> int:
    found: list[Any] = connection.execute("PRAGMA user_version").fetchall()
    return int(found[0][0])


def _objects(connection: apsw.Connection) -> list[Any]:
    return connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()


@cache
def _objects_as_created(version: int) -> list[Any]:
    memory = apsw.Connection(":memory:")
    memory.execute(_OBJECTS[version])
    return _objects(memory)
