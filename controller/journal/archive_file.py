"""One archive: a range of a journal's entries in a file of their own, which proves itself and is never written again (ADR 46).

An archive is a SQLite file with the entries and a header. The header says where the range begins and ends, with the Merkle frontier
before it and the root after it. The name says the range and the SHA-256 of the file, so ``sha256sum`` on any machine shows a
changed byte. ``archiving`` writes it; ``archives`` and ``gatehouse journal verify`` read it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apsw

from controller.journal.base import ArchivedRange
from controller.journal.chain import ChainWalk, Entry, Fault, Head, Problem, Row, entry_of, genesis_hash
from controller.journal.checkpoint import Anchor, CheckpointWalk
from controller.journal.files import hand_over, make_directory, sync_directory
from controller.journal.merkle import MerkleTree
from controller.journal.port import JournalError
from exchange.errors import GatehouseError
from policies import canonical

FORMAT = "gatehouse-journal-archive-v1"

_APPLICATION_ID = 0x67617461
_PAGE = 1000
_BLOCK = 1 << 20
_SCHEMA = """
CREATE TABLE header (one INTEGER PRIMARY KEY CHECK (one = 1), document TEXT NOT NULL) STRICT;
CREATE TABLE entry (
  seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
  body BLOB NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
"""

OnBytes = Callable[[int], object]
"""Told how many more entries, or bytes, were processed."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an archive says of itself. ``before`` and ``frontier`` are the entry and the Merkle tree that it goes on from.

    ``genesis`` is the hash of the journal's first entry, ``root`` the Merkle root after the last one, as hex.
    """

    controller_id: str
    genesis: str
    before: Head
    frontier: tuple[str, ...]
    last: Head
    root: str

    @property
    def tree(self) -> MerkleTree:
        """The Merkle tree of the entries before this archive's."""
        return MerkleTree(self.before.seq, map(bytes.fromhex, self.frontier))

    @property
    def document(self) -> str:
        """Canonical JSON of all fields."""
        return canonical.encode({"format": FORMAT, **asdict(self)}).decode()


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """The result of verifying an archive. ``digest`` is that of the whole file; ``problem`` the first fault, if there is one.

    ``compared``: the size of the largest checkpoint that was compared.
    """

    header: Header
    digest: str
    bytes: int
    problem: Problem | None
    compared: int = 0

    @property
    def range(self) -> ArchivedRange:
        """The range as a base names it."""
        before, last = self.header.before, self.header.last
        return ArchivedRange(before.seq, last.seq, last.hash, file_name(before.seq, last.seq, self.digest), self.digest, self.bytes)


def file_name(after: int, last: int, digest: str) -> str:
    """The name of the archive of the entries with ``after < seq <= last`` whose file has ``digest``."""
    return f"journal-{after + 1}-{last}-{digest.removeprefix('sha256:')}.archive"


def write_archive(
    directory: Path, controller_id: str, genesis: str, before: Head, tree: MerkleTree, pages: Iterable[Sequence[Row]], step: OnBytes
) -> Path:
    """Write the rows after ``before`` into a new file, durably. ``tree`` is that of the entries before; it grows with the rows.

    Raises:
        JournalError: ``archive-not-written``. A file that is begun is removed.
    """
    draft = directory / f".journal-{before.seq + 1}.archive.new"
    try:
        make_directory(directory)
        draft.unlink(missing_ok=True)
        _fill(draft, controller_id, genesis, before, tree, pages, step)
        last = _durable(draft)
        path = directory / file_name(before.seq, tree.size, last)
        draft.chmod(0o400)
        hand_over(draft, directory)
        draft.replace(path)
        sync_directory(directory)
    except (OSError, apsw.Error) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise JournalError(
            f"the archive cannot be written to {directory}: {error}",
            code="archive-not-written",
            remedy="Free disk space there, or make the directory a link to another disk. The journal is unchanged.",
        ) from error
    return path


def _fill(
    draft: Path, controller_id: str, genesis: str, before: Head, tree: MerkleTree, pages: Iterable[Sequence[Row]], step: OnBytes
) -> None:
    frontier, last = tuple(node.hex() for node in tree.frontier), before
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    connection = apsw.Connection(str(draft), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        # A draft that a crash leaves is written again from the beginning, so nothing here needs a rollback or a sync.
        connection.execute("PRAGMA journal_mode = OFF").fetchall()
        connection.execute(f"PRAGMA synchronous = OFF; PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute("BEGIN")
        connection.execute(_SCHEMA)
        for page in pages:
            connection.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", page)
            for row in page:
                tree.append_leaf(row[6])
            last = Head(page[-1][0], "sha256:" + page[-1][6].hex(), page[-1][1])
            step(len(page))
        header = Header(controller_id, genesis, before, frontier, last, tree.root().hex())
        connection.execute("INSERT INTO header VALUES (1, ?)", (header.document,))
        connection.execute("COMMIT")
    finally:
        connection.close(True)  # noqa: FBT003


def _durable(draft: Path) -> str:
    """Sync a file, drop it from the memory of this machine if that is possible, and return its digest."""
    handle = os.open(draft, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
    return file_digest(draft)


def file_digest(path: Path, step: OnBytes = int) -> str:
    """The SHA-256 of a file. Raises ``OSError``."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            step(len(block))
    return f"sha256:{digest.hexdigest()}"


class ArchiveFile:
    """An archive, open for reading. Nothing is written beside it, so it can be on a medium that is read-only."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises ``JournalError`` (``archive-damaged``)."""
        self._path = path
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        try:
            self._connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            self._connection.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")
            self._header = _header(self._connection)
        except (apsw.Error, GatehouseError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(path, str(error) or type(error).__name__) from error

    @property
    def header(self) -> Header:
        """What it says of itself."""
        return self._header

    def rows(self, after: int = 0) -> Iterator[list[Row]]:
        """Its entries after ``after`` as they are stored, ascending, page by page. Raises ``JournalError``."""
        while page := self._rows(
            "SELECT seq, epoch, at, kind, body, prev, hash FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", (after, _PAGE)
        ):
            yield page
            after = page[-1][0]

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Its entries after ``after``, ascending. Raises ``JournalError``."""
        for page in self.rows(after):
            yield from map(entry_of, page)

    def hash_at(self, seq: int) -> str | None:
        """The hash of one of its entries; ``None`` when it holds no such entry."""
        rows = self._rows("SELECT hash FROM entry WHERE seq = ?", (seq,))
        return "sha256:" + rows[0][0].hex() if rows else None

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        with suppress(apsw.Error):
            self._connection.close(True)  # noqa: FBT003

    def _rows(self, sql: str, values: tuple[int, ...]) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise _damaged(self._path, str(error)) from error


def verify_archive(path: Path, step: OnBytes = int, held: Sequence[Anchor] = ()) -> ArchiveReport:
    """Verify an archive by itself: the file against its name, every entry, the chain, the epochs and the Merkle root.

    ``step`` is told how many entries were verified. ``held`` are checkpoints; one that the range does not reach is left out. A
    problem is in the report. Where the range begins is taken from the header: the archive before it, or a checkpoint, shows whether
    that is true.

    Raises:
        JournalError: ``archive-damaged``; it cannot be read as an archive.
    """
    archive = ArchiveFile(path)
    try:
        size, digest = path.stat().st_size, file_digest(path)
        report = ArchiveReport(archive.header, digest, size, None)
        if path.name != report.range.file:
            message = f"its name is not that of its content, which is {report.range.file}: a byte of it changed, or it was renamed"
            return ArchiveReport(archive.header, digest, size, Problem(Fault.STORAGE, 0, message))
        within = [one for one in held if one.checkpoint.size <= archive.header.last.seq]
        anchors = CheckpointWalk(archive.header.controller_id, within, archive.header.tree)
        problem = anchors.start() or _walked(archive, step, anchors)
        return ArchiveReport(archive.header, digest, size, problem, anchors.compared)
    except OSError as error:
        raise _damaged(path, error.strerror or type(error).__name__) from error
    finally:
        archive.close()


def _walked(archive: ArchiveFile, step: OnBytes, anchors: CheckpointWalk) -> Problem | None:
    header, tree = archive.header, archive.header.tree
    if header.before.seq == 0 and (header.before.hash != genesis_hash(header.controller_id) or header.before.epoch):
        return Problem(Fault.WRONG_GENESIS, 1, "its first entry does not begin the journal of its controller")
    walk = ChainWalk(header.controller_id, header.before)
    for page in archive.rows(header.before.seq):
        if (problem := walk.take(page) or anchors.take(page)) is not None:
            return problem
        for row in page:
            tree.append_leaf(row[6])
        step(len(page))
    if walk.head != header.last or tree.root().hex() != header.root:
        return Problem(Fault.TAIL_MISSING, walk.head.seq + 1, f"it ends at entry {walk.head.seq}, and not as its header says")
    if header.before.seq == 0 and archive.hash_at(1) != header.genesis:
        return Problem(Fault.WRONG_GENESIS, 1, "its first entry is not the one that its header names")
    return None


def _header(connection: apsw.Connection) -> Header:
    if connection.execute("PRAGMA application_id").fetchall() != [(_APPLICATION_ID,)]:
        raise ValueError("it is not an archive of a journal")
    documents: list[Any] = connection.execute("SELECT document FROM header").fetchall()
    document: str = documents[0][0]
    value = canonical.decode(document.encode())
    header = Header(
        controller_id=value["controller_id"],
        genesis=value["genesis"],
        before=Head(**value["before"]),
        frontier=tuple(value["frontier"]),
        last=Head(**value["last"]),
        root=value["root"],
    )
    if header.document != document or not 0 <= header.before.seq < header.last.seq or header.tree.size != header.before.seq:
        raise ValueError("its header is not that of an archive")
    return header


def _damaged(path: Path, why: str) -> JournalError:
    return JournalError(
        f"the archive {path} cannot be read: {why}",
        code="archive-damaged",
        remedy="Put back a copy of the same name that `gatehouse journal verify --archive FILE` calls verified.",
    )
