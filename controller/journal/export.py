"""A journal as JSON Lines with a manifest, for archives and auditors; it can be verified without gatehouse's database.

Each line is one entry as canonical JSON that includes its body, so hashing the canonical ``body`` reproduces the chain.
``gatehouse journal export`` writes it and ``gatehouse journal replay`` reads it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.journal.chain import ChainReport, Entry, genesis_hash, verify_chain
from controller.journal.files import hand_over, make_directory, sync_directory, write_atomically
from controller.journal.merkle import MerkleTree
from controller.journal.port import JournalReader
from exchange.errors import IntegrityError, UsageError
from exchange.model import Millis
from policies import canonical

FORMAT = "gatehouse-journal-export-v1"
LINES = "journal.jsonl"
MANIFEST = "manifest.json"
_MAX_LINE = 4 << 20
_TYPES = {"seq": int, "epoch": int, "at": int, "kind": str, "prev": str, "hash": str}
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of an export. ``merkle_root`` (hex) equals that of a checkpoint of ``entries`` entries."""

    format: str
    controller_id: str
    entries: int
    head: str
    merkle_root: str
    lines_digest: str


def export_journal(reader: JournalReader, directory: Path) -> Manifest:
    """Write all entries and the manifest into a new or empty directory; durable when this returns.

    Raises:
        UsageError: ``export-not-written`` when the directory already contains an export or cannot be written.
        IntegrityError: an entry's body is not canonical JSON.
    """
    try:
        make_directory(directory)
        with (directory / LINES).open("xb") as file:
            hand_over(file.fileno(), directory)
            digest, tree, head = hashlib.sha256(), MerkleTree(), genesis_hash(reader.controller_id)
            for entry in reader.read():
                line = _line(entry)
                file.write(line)
                digest.update(line)
                tree.append(entry.hash)
                head = entry.hash
            file.flush()
            os.fsync(file.fileno())
        lines = f"sha256:{digest.hexdigest()}"
        manifest = Manifest(FORMAT, reader.controller_id, tree.size, head, tree.root().hex(), lines)
        write_atomically(directory / MANIFEST, canonical.encode(asdict(manifest)))
        sync_directory(directory)
    except OSError as error:
        raise UsageError(
            f"the export cannot be written to {directory}: {error.strerror}",
            code="export-not-written",
            remedy="Pass a directory that does not exist yet, on a disk with free space.",
        ) from error
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """Read an export's manifest. Raises ``IntegrityError`` (``export-damaged``)."""
    try:
        value = canonical.decode((directory / MANIFEST).read_bytes(), limit=1 << 16)
        manifest = Manifest(**value)
    except (OSError, TypeError) as error:
        raise _damaged(f"{directory} contains no manifest of an export: {error}") from error
    if manifest.format != FORMAT:
        raise _damaged(f"the export's format is {manifest.format!r}, not {FORMAT!r}")
    return manifest


def read_export(directory: Path) -> Iterator[Entry]:
    """The entries of an export, as written. Raises ``IntegrityError`` (``export-damaged`` or ``not-canonical``)."""
    try:
        with (directory / LINES).open("rb") as file:
            while line := file.readline(_MAX_LINE):
                yield entry_in(line)
    except OSError as error:
        raise _damaged(f"the export in {directory} cannot be read: {error.strerror}") from error


def verify_export(directory: Path) -> ChainReport:
    """Check an export against its own manifest and its chain.

    Raises:
        IntegrityError: ``export-damaged`` when lines and manifest disagree. A broken chain is in the report.
    """
    manifest = read_manifest(directory)
    digest, tree = hashlib.sha256(), MerkleTree()

    def read_and_hash() -> Iterator[Entry]:
        for entry in read_export(directory):
            digest.update(_line(entry))
            tree.append(entry.hash)
            yield entry

    report = verify_chain(read_and_hash(), manifest.controller_id)
    found = (tree.size, tree.root().hex(), f"sha256:{digest.hexdigest()}")
    if report.ok and found != (manifest.entries, manifest.merkle_root, manifest.lines_digest):
        raise _damaged(f"the manifest lists {manifest.entries} entries that are not the {tree.size} entries of the export")
    return report


def _line(entry: Entry) -> bytes:
    value = entry._asdict() | {"body": canonical.decode(entry.body)}
    return canonical.encode(value) + b"\n"


def entry_in(line: bytes) -> Entry:
    """The entry in a line of an export. Raises ``IntegrityError`` (``export-damaged`` or ``not-canonical``)."""
    if not line.endswith(b"\n"):
        raise _damaged("the last line does not end with a line feed")
    value = canonical.decode(line[:-1], limit=_MAX_LINE)
    sound = isinstance(value, dict) and value.keys() == {*_TYPES, "body"}
    if not sound or any(type(value[name]) is not kind for name, kind in _TYPES.items()):
        raise _damaged("a line is not an entry")
    if not _HASH.fullmatch(value["prev"]) or not _HASH.fullmatch(value["hash"]):
        raise _damaged("a line has a hash that no entry can have")
    body = canonical.encode(value["body"])
    return Entry(value["seq"], value["epoch"], Millis(value["at"]), value["kind"], body, value["prev"], value["hash"])


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(why, code="export-damaged", remedy="Export the journal again, and find out what changed the files.")
