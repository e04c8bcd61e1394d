"""``journal archive``: moves the closed part of a stopped deployment's journal into an archive (ADR 46).

``journal.verbs`` calls it. Copy, read back, keep the state, record, mark, publish, and only then remove, in one transaction. A
crash before that leaves the whole journal, and the next run goes on from the record; after it, the shorter journal.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.audit.closed import OpenMatter, open_matters
from controller.authority.keys import load_key
from controller.bootstrap.first_halt import mark_places, marks_contradict
from controller.bootstrap.journal import usable_snapshot
from controller.bootstrap.read import Deployment, read_deployment
from controller.cli.journal.checkpoints import own_key, publish_now
from controller.cli.journal.closing import require_file
from controller.cli.journal.files import counting, place_in, progressing
from controller.cli.journal.verify import require_allowed, verify_deployment
from controller.cli.shared.output import stderr
from controller.core import event_codec
from controller.core import events as e
from controller.core.state import State
from controller.journal.archive_file import file_digest
from controller.journal.archives import DIRECTORY
from controller.journal.archiving import copy_range, require_archive
from controller.journal.base import RECORD, ArchivedRange, Base, FoldedState, parse_base, sign_base
from controller.journal.chain import Record
from controller.journal.files import owned_by
from controller.journal.location import FILE_NAME
from controller.journal.merkle import MerkleTree
from controller.journal.port import JournalError
from controller.journal.publishing import Outcome, Publication
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.runtime.followers.high_water import HighWater
from controller.runtime.followers.latchfile import LATCH_FILE, LatchFile, latch_elsewhere
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.recover import refold
from controller.runtime.recovery.snapshot import FILE_NAME as SNAPSHOT_FILE
from controller.runtime.recovery.snapshot import Snapshots, kept_name
from controller.settings.outside import outside_targets
from controller.settings.state_directory import state_directory
from controller.telemetry.redact import Redactor
from exchange.errors import ConfigError, GatehouseError, IntegrityError, Refused
from exchange.model import Millis

_SHRINK_FROM = 0.25
"""A file of which more is free was not shrunk: the archiving was interrupted just before its end."""

OnStep = Callable[[str], object]
"""Told the name of each step when it is done; tests interrupt there."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archiving did. ``kept_for`` is what kept more entries from being archived; sizes are of the journal's files."""

    range: ArchivedRange
    path: Path
    root: str
    record: int
    bytes_before: int
    bytes_after: int
    published: tuple[Publication, ...]
    resumed: bool
    kept_for: tuple[OpenMatter, ...]


def archive_journal(directory: Path, *, allow_unwitnessed: bool, on_step: OnStep = str) -> Archived:
    """Archive what persons allowed with ``gatehouse archive``, or finish an archiving that was interrupted.

    Raises:
        Refused: ``archive-needs-file``, ``not-approved``, ``nothing-closed``, ``journal-doubted``, ``no-room`` or ``unwitnessed``.
        JournalLocked: the controller runs.
        IntegrityError: the journal or a copy does not verify.
    """
    require_file(directory)
    require_allowed(directory, allowed=allow_unwitnessed)
    place = place_in(directory)
    place.read().close()
    deployment = read_deployment(directory, Redactor())
    path = deployment.data / FILE_NAME
    journal = open_journal(path, deployment.settings.controller_id)
    try:
        return _Archiving(deployment, journal, path, on_step, unwitnessed=allow_unwitnessed).run()
    finally:
        journal.close()


class _Archiving:
    """One archiving of a locked journal."""

    def __init__(self, deployment: Deployment, journal: SqliteJournal, path: Path, on_step: OnStep, *, unwitnessed: bool) -> None:
        self._deployment = deployment
        self._journal = journal
        self._path = path
        self._on_step = on_step
        self._unwitnessed = unwitnessed
        self._key = load_key(own_key(deployment.directory))

    def run(self) -> Archived:
        """All steps, from the first or from the record of an interrupted archiving."""
        before = self._bytes()
        verify_deployment(self._deployment.directory, [], None)
        self._require_undoubted()
        base, record = self._recorded()
        kept: tuple[OpenMatter, ...] = ()
        published: tuple[Publication, ...] = ()
        resumed = base is not None
        if base is None:
            state, history, tree = self._folded()
            upto, kept = self._closed(state)
            self._require_room()
            base = self._copied(upto, state, history, tree)
            record = self._record(base)
        if base.seq > self._after:
            self._settle()
            self._on_step("marks")
            stderr().print("publishing a checkpoint", style="dim")
            published = self._publish(record)
            self._on_step("published")
            with stderr().status("removing the archived entries"):
                self._journal.rebase(sign_base(base, self._key))
            self._on_step("removed")
        self._shrink(base)
        one = base.archives[-1]
        return Archived(
            one, self._file(one), base.tree.root().hex(), record, before, self._bytes(), published, resumed, kept
        )  # fmt: skip

    @property
    def _after(self) -> int:
        """The last entry that is archived already."""
        signed = self._journal.signed_base
        return signed.base.seq if signed is not None else 0

    def _require_undoubted(self) -> None:
        """A halt that only a mark demands comes first: an entry of this process would look as if a controller had led since."""
        unheld = next((mark.reason for mark in self._latch().marks() if not mark.seq), "")
        problem = marks_contradict(mark_places(self._deployment), self._journal)
        problem = problem or (f"a halt is not in the journal yet: {unheld}" if unheld else "")
        if problem:
            raise Refused(
                problem, code="journal-doubted", remedy="Start the controller: it halts and says how to go on. Archive after that."
            )

    def _recorded(self) -> tuple[Base | None, int]:
        """The base of an archiving that was interrupted after its record, and the record, if its archive and snapshot are good."""
        records = [entry for entry in self._journal.read(self._after) if entry.kind == RECORD]
        if not records:
            return None, 0
        base = parse_base(json.loads(records[-1].body)["base"])
        if base.seq <= self._after:
            return (base, records[-1].seq) if self._journal.free_part() > _SHRINK_FROM else (None, 0)
        one = base.archives[-1]
        try:
            with counting("verifying the archive", one.last - one.after) as step:
                require_archive(self._file(one), one, step)
            sound = file_digest(self._deployment.data / kept_name(base.state.seq)) == base.state.digest
        except (GatehouseError, OSError):
            return None, 0
        return (base, records[-1].seq) if sound else (None, 0)

    def _folded(self) -> tuple[State, RecentHistory, MerkleTree]:
        journal, history = self._journal, RecentHistory()
        snapshot = usable_snapshot(Snapshots(self._deployment.data, self._key), self._deployment.data, journal)
        tree = snapshot.tree if snapshot is not None else MerkleTree()
        with progressing("folding", journal.head.seq - tree.size) as step:
            state, _ = refold(journal, history, lambda entry: tree.append(step(entry).hash), snapshot)
        return state, history, tree

    def _matters(self, state: State) -> tuple[OpenMatter, ...]:
        """What is open, the earliest first."""
        named = [OpenMatter(mark.seq, "the latch file names the halt there") for mark in self._latch().marks() if mark.seq]
        with progressing("looking for what is open", self._journal.head.seq - self._after) as step:
            found = open_matters(state, map(step, self._journal.read(self._after)))
        return tuple(sorted((*found, *named), key=lambda one: one.seq))

    def _latch(self) -> LatchFile:
        elsewhere = state_directory()
        copy = latch_elsewhere(elsewhere, self._deployment.directory) if elsewhere else None
        return LatchFile(self._deployment.data / LATCH_FILE, copy)

    def _closed(self, state: State) -> tuple[int, tuple[OpenMatter, ...]]:
        """The last entry to archive: the one that was signed for, or the last one before something that is open."""
        matters, after = self._matters(state), self._after
        approvals = (entry for entry in self._journal.read(after) if entry.kind == e.ArchiveApproved.kind)
        newest = max(((json.loads(entry.body)["upto"], entry) for entry in approvals), default=None, key=lambda one: one[0])
        if newest is None or newest[0] <= after:
            raise Refused(
                "nobody allowed that more entries of this journal are archived",
                code="not-approved",
                remedy="Start the controller, sign `gatehouse archive --keep DAYS --key KEY`, stop it, and run this again.",
            )
        upto, entry = newest
        if self._journal.hash_at(upto) != json.loads(entry.body)["hash"]:
            raise IntegrityError(
                f"entry {upto} is not the one that was signed for in entry {entry.seq}",
                code="base-differs",
                remedy="Nothing was archived. Run `gatehouse journal verify`, and find out what wrote to the journal.",
            )
        last = min(upto, *(one.seq - 1 for one in matters), entry.seq - 1)
        if last <= after:
            raise Refused(
                f"no entry up to {upto} is closed: {matters[0].what}, since entry {matters[0].seq}",
                code="nothing-closed",
                remedy="Start the controller, settle that (`gatehouse status` shows it), stop it, and archive again.",
            )
        return last, tuple(one for one in matters if one.seq <= upto)

    def _require_room(self) -> None:
        place = self._deployment.data / DIRECTORY
        free = min(
            shutil.disk_usage(one).free for one in (self._deployment.data, place if place.exists() else self._deployment.data)
        )
        needed = 2 * self._bytes()
        if free < needed:
            raise Refused(
                f"archiving needs {_mb(needed)} of free disk, for the archive and for the removal, and {_mb(free)} are free",
                code="no-room",
                remedy=f"Free disk space, or make {place} a link to a directory on another disk.",
            )

    def _copied(self, upto: int, state: State, history: RecentHistory, tree: MerkleTree) -> Base:
        journal, data = self._journal, self._deployment.data
        signed = journal.signed_base
        before = signed.base if signed is not None else None
        entries = upto - self._after
        with counting("copying", entries) as written, counting("reading back", entries) as verified:
            copied = copy_range(journal, data, upto, written, verified)
        self._on_step("copied")
        name = kept_name(state.seq)
        with stderr().status("keeping the state"):
            kept = Snapshots(data, self._key, name).save(state, journal.head, history.saved(), tree)
        if not kept:
            raise JournalError(
                f"the state could not be kept in {data / name}",
                code="snapshot-not-written",
                remedy="Free disk space. Nothing changed.",
            )
        self._on_step("snapshot")
        folded = FoldedState(state.seq, state.fingerprint(), file_digest(data / name))
        return copied.base(journal.controller_id, before, folded)

    def _record(self, base: Base) -> int:
        user = os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.geteuid())
        event = e.JournalArchived(
            last=base.seq,
            hash=base.hash,
            archive=base.archives[-1].file,
            by=f"{user} on {socket.gethostname()}",
            base=base.document,
        )
        (last,) = self._journal.read(self._journal.head.seq - 1)
        at = Millis(max(time.time_ns() // 1_000_000, last.at))
        (entry,) = self._journal.append([Record(event.kind, event_codec.encode(event))], at)
        self._on_step("record")
        return entry.seq

    def _settle(self) -> None:
        """Write the marks of the highest entry: they show the next start where the journal begins."""
        places = mark_places(self._deployment)
        marks = HighWater((places.beside(),), held=False, outside=places.outside(self._journal), owner=places.owner)
        try:
            marks.begin(self._journal.head)
            marks.settle(self._journal.head)
        except OSError as error:
            raise ConfigError(
                f"the mark of the highest entry cannot be written: {error.strerror}{owned_by(places.beside())}",
                code="mark-not-kept",
                remedy="Run this as the controller's user. No entry was removed.",
            ) from error

    def _publish(self, record: int) -> tuple[Publication, ...]:
        """Publish a checkpoint that covers the record. Without a target outside the folder that took it, nothing is removed."""
        directory = self._deployment.directory
        _, _, publications = publish_now(directory, None, [])
        if wrong := [one for one in publications if one.outcome is Outcome.CONTRADICTS]:
            raise IntegrityError(
                f"{wrong[0].target}: {wrong[0].problem}",
                code="checkpoint-contradicted",
                remedy="No entry was removed. Keep everything as it is, and see ops/docs/checkpoints.md.",
            )
        outside = outside_targets(directory, self._deployment.settings)
        taken = [one for one in publications if one.target in outside and one.outcome is Outcome.TAKEN and one.size >= record]
        if not taken and not self._unwitnessed:
            why = "; ".join(f"{one.target}: {one.problem or 'it is in the folder, or cannot be read back'}" for one in publications)
            raise Refused(
                f"no checkpoint target outside this folder knows the {record} entries: {why or 'none is configured'}",
                code="unwitnessed",
                remedy="No entry was removed. Name a target that answers (ops/docs/checkpoints.md) and run this again. In a "
                "rehearsal, --allow-unwitnessed accepts it.",
            )
        return tuple(publications)

    def _shrink(self, base: Base) -> None:
        """Give the disk its space back, remove what nothing names any more, and verify what is left."""
        with stderr().status("giving the space back"):
            self._journal.shrink()
        self._on_step("shrunk")
        for path in self._deployment.data.glob(f"{SNAPSHOT_FILE}-*"):
            if path.name != kept_name(base.state.seq):
                path.unlink(missing_ok=True)
        verify_deployment(self._deployment.directory, [], None)

    def _file(self, one: ArchivedRange) -> Path:
        return self._deployment.data / DIRECTORY / one.file

    def _bytes(self) -> int:
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())


def _mb(number: int) -> str:
    return f"{number / 1e6:.1f} MB"
