"""Opens the journal at a start: verify it, also against the checkpoint targets, take it over and fold it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, load_key, save_key
from controller.bootstrap.checkpoint_targets import TargetContext, open_targets
from controller.bootstrap.read import Deployment
from controller.bootstrap.restored import verified_as_restored
from controller.journal.archive_file import file_digest
from controller.journal.base import Base
from controller.journal.chain import Fault
from controller.journal.checkpoint import Anchor, checkpoint_public_key
from controller.journal.history import leaves_of
from controller.journal.port import Journal, JournalHold, JournalReader, LeasedJournal
from controller.journal.sqlite import SqliteJournal
from controller.journal.verify import VerifyReport, verify_journal
from controller.runtime.followers.checkpoints import CheckpointPublisher
from controller.runtime.followers.disk_space import ReserveFile
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.recover import Recovered, recover
from controller.runtime.recovery.restored import read_restored
from controller.runtime.recovery.snapshot import SAVE_AFTER, Snapshot, Snapshots, kept_name
from controller.settings.deployment import journal_location, read_secret
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from exchange.errors import IntegrityError
from exchange.ports import Clock
from policies.stage import Environment

_log = logging.getLogger(__name__)

CHECKPOINT_KEY_FILE = "checkpoint.key"
RESERVE_FILE = "reserve"


def open_publisher(
    deployment: Deployment, key: Ed25519PrivateKey, clock: Clock, alerts: Alerts, redactor: Redactor
) -> CheckpointPublisher:
    """The publisher of this deployment's checkpoints; the secrets of its targets are registered with ``redactor``."""
    settings, directory = deployment.settings, deployment.directory

    def secret(name: str) -> str:
        found = read_secret(directory, name)
        redactor.register(found)
        return found

    context = TargetContext(
        directory=directory,
        data=deployment.data,
        controller_id=settings.controller_id,
        key=checkpoint_public_key(settings.controller_id, key),
        secret=secret,
        now=clock.now,
        loopback=settings.environment is Environment.REHEARSAL,
    )
    targets = open_targets(settings.witnesses, settings.checkpoints, context)
    leaves = leaves_of(journal_location(directory, settings))
    return CheckpointPublisher(settings.controller_id, key, targets, leaves, clock, alerts.notify, alerts.ended)


@dataclass(frozen=True, slots=True)
class VerifiedJournal:
    """A journal that was verified and then taken over; ``report`` is ``None`` for one that did not exist.

    ``lost``: checkpoints of entries that a journal that was put back from a copy does not have.
    """

    journal: Journal
    report: VerifyReport | None
    lost: tuple[Anchor, ...] = ()


async def open_verified(deployment: Deployment, publisher: CheckpointPublisher, clock: Clock) -> VerifiedJournal:
    """Verify the journal, also against every checkpoint target that answers, then take it over.

    Entries that were archived are not verified: the chain goes on from the base, and ``beginning`` says what shows the base.

    Raises:
        IntegrityError: ``journal-broken``; it names the target that holds more entries or other entries.
    """
    place = journal_location(deployment.directory, deployment.settings)
    controller_id = deployment.settings.controller_id
    checkpoints = await publisher.read_targets()
    report: VerifyReport | None = None
    lost: tuple[Anchor, ...] = ()
    if place.exists():
        verify = partial(
            verify_journal,
            place,
            controller_id,
            monotonic_ns=clock.monotonic_ns,
            storage=False,
            key=checkpoint_public_key(controller_id, checkpoint_signing_key(deployment.data)),
            archives=False,
        )
        report, lost = verified_as_restored(verify, checkpoints, read_restored(deployment.data))
        problem = str(report.first_problem.message) if report.first_problem is not None else ""
        if report.first_problem is not None and report.first_problem.fault is Fault.OTHER_CONTROLLER:
            raise IntegrityError(
                f"the journal in {deployment.data} is another deployment's: {problem}",
                code="journal-broken",
                remedy='Put the old controller_id back into gatehouse.toml, or set data = "var-new" above its first [table], '
                "a directory "
                "without a journal: a new deployment begins there, at MOCK.",
            )
    else:
        holders = ", ".join(f"{one.holder} knows {one.checkpoint.size} entries of it" for one in checkpoints)
        problem = f"it is gone, and {holders}" if holders else ""
    if problem:
        raise IntegrityError(
            f"the journal does not verify: {problem}",
            code="journal-broken",
            remedy="Run `gatehouse journal verify`; restore a backup. gatehouse never repairs a journal.",
        )
    for one in report.missing if report is not None else ():
        _log.warning("an archive of the journal is not here", extra={"fields": {"range": one.title, "file": one.file}})
    return VerifiedJournal(place.open(controller_id), report, lost)


def make_disk_reserve(journal: Journal, data: Path) -> tuple[ReserveFile, Path] | None:
    """The reserve file of a journal in a file, and its directory; ``None`` for a database, which manages its own disk."""
    if not isinstance(journal, SqliteJournal):
        return None
    reserve = ReserveFile(data / RESERVE_FILE)
    journal.release_reserve = reserve.release
    return reserve, data


def growth_switch(journal: Journal) -> Callable[[bool], None] | None:
    """What keeps a journal's file from growing, for a drill; ``None`` for a journal in a database."""
    return journal.forbid_growth if isinstance(journal, SqliteJournal) else None


def journal_hold(journal: Journal) -> Callable[[], JournalHold] | None:
    """What makes the appends of a journal in a database wait, for a drill; ``None`` for a journal in a file."""
    if not isinstance(journal, LeasedJournal):
        return None
    # It is loaded already: it opened the journal. A journal in a file needs no psycopg.
    from controller.journal.postgres import PostgresJournal

    return journal.hold if isinstance(journal, PostgresJournal) else None


def checkpoint_signing_key(data: Path) -> Ed25519PrivateKey:
    """The key with which this controller signs checkpoints; it is made when it is missing."""
    path = data / CHECKPOINT_KEY_FILE
    if not path.exists():
        save_key(generate_key(), path)
    return load_key(path)


def recover_state(
    deployment: Deployment,
    journal: Journal,
    history: RecentHistory,
    publisher: CheckpointPublisher,
    snapshots: Snapshots,
    clock: Clock,
) -> Recovered:
    """Fold the entries after the snapshot and journal the start; take a new snapshot after ``SAVE_AFTER`` entries."""
    base = journal.signed_base.base if journal.signed_base is not None else None
    if base is not None:
        publisher.begin_at(base.tree)
    snapshot = usable_snapshot(snapshots, deployment.data, journal)
    if snapshot is not None:
        publisher.resume(snapshot.tree)
    boot = replace(deployment.boot, epoch=journal.epoch)
    recovered = recover(journal, history, boot, clock, publisher.add_entry, snapshot)
    if recovered.folded >= SAVE_AFTER:
        snapshots.save(recovered.state, journal.head, history.saved(), publisher.tree)
    return recovered


def usable_snapshot(snapshots: Snapshots, data: Path, journal: JournalReader) -> Snapshot | None:
    """The newest snapshot that fits the journal: the running one, else the one that was kept when entries were archived."""
    signed, newest = journal.signed_base, snapshots.load(journal.hash_at)
    return newest if newest is not None or signed is None else kept_snapshot(data, signed.base, journal)


def kept_snapshot(data: Path, base: Base, journal: JournalReader) -> Snapshot | None:
    """The snapshot that was kept when entries were archived, if it is the one whose digest the base has, and of this version."""
    name = kept_name(base.state.seq)
    try:
        found = file_digest(data / name)
    except OSError:
        return None
    return Snapshots(data, checkpoint_signing_key(data), name).load(journal.hash_at) if found == base.state.digest else None
