"""Verifies an export by itself: every byte, the chain, checkpoints, signatures, evidence, verdicts, the fold, in one pass.

``gatehouse verify EXPORT`` calls it. The first thing that is wrong ends it, named by entry and field, with what was expected there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.audit.operators import Audit, Auditor
from controller.audit.replay import Replay, replay
from controller.journal.chain import ChainWalk, Entry, genesis_hash, row_of
from controller.journal.checkpoint import Anchor, CheckpointWalk
from controller.journal.export import FORMAT, LINES, MANIFEST, Manifest, entry_in
from controller.journal.merkle import MerkleTree
from controller.report.offline.damage import require_canonical
from controller.report.offline.suspect import changed_field
from exchange.errors import GatehouseError, IntegrityError
from exchange.model import Millis
from policies import canonical

_MOST_MANIFEST, _MOST_LINE = 1 << 16, 4 << 20
_FIELDS = {"format": str, "controller_id": str, "entries": int, "head": str, "merkle_root": str, "lines_digest": str}
_ENTRY = {"seq": int, "epoch": int, "at": int, "kind": str, "body": dict, "prev": str, "hash": str}
_REMEDY = "Export the journal again from the deployment, compare, and find out what changed the files."

Step = Callable[[Entry], object]
"""Called with every entry, for progress and for what else is made of the entries."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A verified export. ``compared`` is the size of the largest checkpoint that agreed, 0 without one."""

    manifest: Manifest
    replay: Replay
    audit: Audit
    compared: int


def check_export(directory: Path, checkpoints: Sequence[Anchor] = (), step: Step = bool) -> Checked:
    """Verify an export.

    Raises:
        IntegrityError: ``export-damaged``, naming the first wrong entry or field of the manifest.
    """
    manifest = _manifest(directory)
    walk = _Walk(directory, manifest, checkpoints)

    def entries() -> Iterator[Entry]:
        for entry in walk.entries():
            step(entry)
            yield entry

    try:
        replayed = replay(entries(), walk.controller_id)
    except GatehouseError as error:
        if error.code == "export-damaged":
            raise
        raise _damaged(f"entry {walk.chain.head.seq}: {error.message}") from error
    walk.finish()
    return Checked(manifest, replayed, walk.auditor.found, walk.anchors.compared)


def _manifest(directory: Path) -> Manifest:
    try:
        data = (directory / MANIFEST).read_bytes()
    except OSError as error:
        raise _damaged(f"{directory} contains no {MANIFEST} of an export: {error.strerror}") from error
    value = require_canonical(MANIFEST, data, _MOST_MANIFEST, _damaged, _FIELDS)
    manifest = Manifest(**value)
    if manifest.format != FORMAT:
        raise _damaged(f"{MANIFEST}: field format is {manifest.format!r}, expected {FORMAT!r}")
    return manifest


class _Walk:
    """One pass over the lines of an export."""

    def __init__(self, directory: Path, manifest: Manifest, checkpoints: Sequence[Anchor]) -> None:
        self._path = directory / LINES
        self._manifest = manifest
        self._digest = hashlib.sha256()
        self._tree = MerkleTree()
        self._hashes: list[str] = []
        self.controller_id = self._owner()
        self.chain = ChainWalk(self.controller_id)
        self.anchors = CheckpointWalk(self.controller_id, checkpoints)
        self.auditor = Auditor(self._hash_at)

    def _hash_at(self, seq: int) -> str | None:
        return self._hashes[seq - 1] if 0 < seq <= len(self._hashes) else None

    def _owner(self) -> str:
        """The controller's id: the one in the manifest, unless the first entry shows that it is another one."""
        listed = self._manifest.controller_id
        try:
            with self._path.open("rb") as file:
                first = entry_in(file.readline(_MOST_LINE))
            named = json.loads(first.body).get("controller_id", listed)
        except (GatehouseError, OSError, ValueError, AttributeError):
            return listed
        if named != listed and first.prev == genesis_hash(str(named)):
            raise _damaged(f"{MANIFEST}: field controller_id is {listed!r}, expected {str(named)!r}, whose journal entry 1 begins")
        return listed

    def entries(self) -> Iterator[Entry]:
        """Every entry, verified, in order."""
        if (problem := self.anchors.start()) is not None:
            raise _damaged(problem.message)
        for number, (line, following) in enumerate(self._lines(), 1):
            entry = self._entry(number, line, following)
            self._digest.update(line)
            self._tree.append(entry.hash)
            self._hashes.append(entry.hash)
            if (problem := self.anchors.take((row_of(entry),))) is not None:
                raise _damaged(problem.message)
            try:
                self.auditor.inspect(entry)
            except IntegrityError as error:
                raise _damaged(f"entry {number}: {error.message}") from error
            yield entry

    def _lines(self) -> Iterator[tuple[bytes, bytes]]:
        """Each line with the one that follows it."""
        try:
            with self._path.open("rb") as file:
                line = file.readline(_MOST_LINE)
                while line:
                    following = file.readline(_MOST_LINE)
                    yield line, following
                    line = following
        except OSError as error:
            raise _damaged(f"{self._path} cannot be read: {error.strerror}") from error

    def _entry(self, number: int, line: bytes, following: bytes) -> Entry:
        what = f"entry {number} (line {number} of {LINES})"
        if not line.endswith(b"\n"):
            raise _damaged(f"{what}: its last byte is {line[-1:]!r}, expected a line feed")
        value = require_canonical(what, line[:-1], _MOST_LINE, _damaged, _ENTRY)
        before, body = self.chain.head, canonical.encode(value["body"])
        entry = Entry(value["seq"], value["epoch"], Millis(value["at"]), value["kind"], body, value["prev"], value["hash"])
        if self.chain.step(entry) is not None:
            found = changed_field(entry, number, before.hash, before.epoch, self._confirmed(following))
            raise _damaged(f"{what}: {found}")
        return entry

    def _confirmed(self, following: bytes) -> str:
        """The hash of an entry as the next one repeats it, or the manifest that of the last one."""
        if not following:
            return self._manifest.head
        try:
            return entry_in(following).prev
        except IntegrityError:
            return ""

    def finish(self) -> None:
        """Compare the manifest and the checkpoints with what was read."""
        head, lines = self.chain.head, f"sha256:{self._digest.hexdigest()}"
        found = Manifest(FORMAT, self.controller_id, head.seq, head.hash, self._tree.root().hex(), lines)
        listed = asdict(self._manifest)
        if found.entries < self._manifest.entries and found.head != self._manifest.head:
            ends = f"{LINES} ends with entry {found.entries}, and {MANIFEST} lists {self._manifest.entries}"
            raise _damaged(f"{ends}: entries at the end are missing")
        for name, value in asdict(found).items():
            if listed[name] != value:
                raise _damaged(f"{MANIFEST}: field {name} is {listed[name]!r}, expected {value!r}, which the entries give")
        if (problem := self.anchors.finish()) is not None:
            raise _damaged(problem.message)


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(why, code="export-damaged", remedy=_REMEDY)
