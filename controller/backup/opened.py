"""Opens a copy: decrypts it, checks the manifest and every file, and replays the journal. The verbs of ``backup`` use it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from controller.audit.operators import Audit, Auditor
from controller.audit.replay import replay
from controller.backup.manifest import MANIFEST, NOTE, Manifest, checked
from controller.backup.sealed import damaged, open_sealed
from controller.backup.stream import Unpacker
from controller.journal.chain import Entry
from controller.journal.location import FileLocation
from controller.journal.note import NoteKey
from controller.journal.verify import verify_journal
from exchange.errors import IntegrityError

_MOST_MANIFEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Verified:
    """What a copy holds, after all of it was checked. ``fingerprint`` is that of the state after its last entry."""

    manifest: Manifest
    audit: Audit
    stage: str
    fingerprint: str
    decisions: int


def opened(path: Path, identities: Sequence[str], to: Path, key: NoteKey | None = None) -> Manifest:
    """Decrypt the copy ``path`` into the empty folder ``to`` (files 0600, folders 0700), and check every file's digest.

    Raises:
        Unauthorised: no identity opens it.
        IntegrityError: ``backup-damaged``, ``backup-manifest``; what is damaged is named.
        OSError: the disk is full, or something cannot be read or written.
    """
    found = _Extraction(path, to, key)
    unpacker = Unpacker(found.begin, found.content)
    try:
        open_sealed(path, unpacker.take, identities)
        unpacker.finish()
    except IntegrityError as error:
        if error.code in {"backup-damaged", "backup-stream"} and unpacker.now:
            raise damaged(
                path, f"{unpacker.now} was being read; {error.message.removeprefix(f'{path.name} is damaged: ')}"
            ) from error
        if error.code == "backup-stream":
            raise damaged(path, error.message) from error
        raise
    finally:
        found.close()
    return found.finish()


def verified(folder: Path, manifest: Manifest, on_entry: Callable[[Entry], Entry]) -> Verified:
    """Verify and replay the journal of a copy that was opened into ``folder``, as ``gatehouse journal verify`` does.

    Raises:
        IntegrityError: ``backup-journal``.
    """
    copied, place = manifest.journal, FileLocation(folder / manifest.journal.name)
    reader = place.read()
    try:
        whole = not reader.missing
        auditor = Auditor(reader.hash_at)
        inspect = auditor.inspect if whole else None
        report = verify_journal(
            place, manifest.controller_id, monotonic_ns=time.monotonic_ns, inspect=inspect, key=NoteKey.parse(manifest.key)
        )
        if report.first_problem is not None:
            raise _not_the_journal(f"it does not verify: {report.first_problem.message}")
        if (report.head.seq, report.head.hash) != (copied.entries, copied.head):
            raise _not_the_journal(f"it ends at entry {report.head.seq}, and the manifest says {copied.entries}")
        if not whole:
            raise _not_the_journal(f"archives are missing: {', '.join(one.file for one in reader.missing)}")
        found = replay(map(on_entry, reader.read()), manifest.controller_id)
    finally:
        reader.close()
    return Verified(manifest, auditor.found, str(found.state.position), found.state.fingerprint(), sum(found.decisions.values()))


@dataclass(slots=True)
class _Extraction:
    """Writes the files of a stream. The manifest comes first, and nothing is written that it does not name."""

    path: Path
    to: Path
    key: NoteKey | None
    manifest: Manifest | None = None
    _texts: dict[str, bytearray] = field(default_factory=dict)
    _seen: dict[str, str] = field(default_factory=dict)
    _name: str = ""
    _file: BinaryIO | None = None
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def begin(self, name: str, size: int) -> None:
        self.close()
        if name in (MANIFEST, NOTE) and self.manifest is None and name not in self._texts and size <= _MOST_MANIFEST:
            self._name, self._texts[name] = name, bytearray()
            return
        expected = {one.name: one for one in self._checked().files}.get(name)
        if expected is None or expected.size != size or name in self._seen:
            raise damaged(self.path, f"{name} is not the file that the manifest names")
        target = self.to / name
        if ".." in target.parts or not target.is_relative_to(self.to):
            raise damaged(self.path, f"{name} would lead out of the folder")
        for folder in reversed([one for one in target.parents if one.is_relative_to(self.to)]):
            folder.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._name, self._hash, self._file = name, hashlib.sha256(), os.fdopen(os.open(target, flags, 0o600), "wb")

    def content(self, data: bytes) -> None:
        if self._file is None:
            self._texts[self._name] += data
            return
        self._hash.update(data)
        self._file.write(data)

    def close(self) -> None:
        """End the file that is being written, and keep its digest."""
        if self._file is not None:
            file, self._file = self._file, None
            file.flush()
            os.fsync(file.fileno())
            file.close()
            self._seen[self._name] = f"sha256:{self._hash.hexdigest()}"

    def finish(self) -> Manifest:
        """Compare every file with the manifest."""
        manifest = self._checked()
        for one in manifest.files:
            if self._seen.get(one.name) != one.digest:
                raise damaged(self.path, f"{one.name} is {'not the one that was copied' if one.name in self._seen else 'missing'}")
        return manifest

    def _checked(self) -> Manifest:
        if self.manifest is None:
            if not {MANIFEST, NOTE} <= self._texts.keys():
                raise damaged(self.path, "it does not begin with a manifest")
            self.manifest = checked(bytes(self._texts[MANIFEST]), bytes(self._texts[NOTE]), self.key)
        return self.manifest


def _not_the_journal(why: str) -> IntegrityError:
    return IntegrityError(
        f"the journal in the copy is not good: {why}",
        code="backup-journal",
        remedy="Use an earlier copy, and verify the journal of the running deployment: `gatehouse journal verify`.",
    )
