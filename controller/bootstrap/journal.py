"""The journal of a start: verified against itself and its witnesses, taken over, and folded."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, load_key, save_key
from controller.bootstrap.checkpoint_targets import TargetContext, open_targets
from controller.bootstrap.read import Deployment
from controller.journal.checkpoint import checkpoint_public_key
from controller.journal.history import leaves_of
from controller.journal.port import Journal, JournalReader
from controller.journal.sqlite import SqliteJournal
from controller.journal.verify import verify_journal
from controller.runtime.followers.checkpoints import CheckpointPublisher
from controller.runtime.followers.disk_space import ReserveFile
from controller.runtime.followers.latchfile import LatchFile, Mark
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.recover import Recovered, recover
from controller.runtime.recovery.snapshot import SAVE_AFTER, Snapshots
from controller.settings.deployment import journal_location, read_secret
from controller.telemetry.alerts import Alerts
from controller.telemetry.redact import Redactor
from exchange.errors import IntegrityError
from exchange.ports import Clock
from policies.stage import Environment

_log = logging.getLogger(__name__)

CHECKPOINT_KEY_FILE = "checkpoint.key"
RESERVE_FILE = "reserve"


def open_witnesses(
    deployment: Deployment, key: Ed25519PrivateKey, clock: Clock, alerts: Alerts, redactor: Redactor
) -> CheckpointPublisher:
    """Whoever gets this deployment's checkpoints; their secrets are registered with ``redactor``."""
    settings, directory = deployment.settings, deployment.directory

    def secret(name: str) -> str:
        found = read_secret(directory, name)
        redactor.register(found)
        return found

    around = TargetContext(
        directory=directory,
        data=deployment.data,
        controller_id=settings.controller_id,
        key=checkpoint_public_key(settings.controller_id, key),
        secret=secret,
        now=clock.now,
        loopback=settings.environment is Environment.REHEARSAL,
    )
    targets = open_targets(settings.witnesses, settings.checkpoints, around)
    leaves = leaves_of(journal_location(directory, settings))
    return CheckpointPublisher(settings.controller_id, key, targets, leaves, clock, alerts.notify)


async def open_verified(deployment: Deployment, witnesses: CheckpointPublisher, clock: Clock) -> Journal:
    """Verify the journal against itself and against every witness that can be reached, then take it over.

    Raises:
        IntegrityError: ``journal-broken``, naming the witness that knows more or other entries.
    """
    place = journal_location(deployment.directory, deployment.settings)
    controller_id = deployment.settings.controller_id
    checkpoints = await witnesses.look()
    if place.exists():
        report = verify_journal(place, controller_id, monotonic_ns=clock.monotonic_ns, checkpoints=checkpoints, storage=False)
        problem = str(report.first_problem.message) if report.first_problem is not None else ""
    else:
        holders = ", ".join(f"{one.holder} knows {one.checkpoint.size} entries of it" for one in checkpoints)
        problem = f"it is gone, and {holders}" if holders else ""
    if problem:
        raise IntegrityError(
            f"the journal does not verify: {problem}",
            code="journal-broken",
            remedy="Run `gatehouse journal verify`; restore a backup. gatehouse never repairs a journal.",
        )
    return place.open(controller_id)


def reserve_room(journal: Journal, data: Path) -> tuple[ReserveFile, Path] | None:
    """Room on the disk of a journal that is a file, kept for its last entries; a database sees to its own."""
    if not isinstance(journal, SqliteJournal):
        return None
    reserve = ReserveFile(data / RESERVE_FILE)
    journal.release_reserve = reserve.release
    return reserve, data


def checkpoint_signing_key(data: Path) -> Ed25519PrivateKey:
    """The key this controller signs its checkpoints with, made when there is none."""
    path = data / CHECKPOINT_KEY_FILE
    if not path.exists():
        save_key(generate_key(), path)
    return load_key(path)


def fold(
    deployment: Deployment,
    journal: Journal,
    memory: RecentHistory,
    witnesses: CheckpointPublisher,
    snapshots: Snapshots,
    clock: Clock,
) -> Recovered:
    """Fold what came after the snapshot; take a new one when that was much."""
    snapshot = snapshots.load(journal.hash_at)
    if snapshot is not None:
        witnesses.resume(snapshot.tree)
    boot = replace(deployment.boot, epoch=journal.epoch)
    recovered = recover(journal, memory, boot, clock, witnesses.entry, snapshot)
    if recovered.folded >= SAVE_AFTER:
        snapshots.save(recovered.state, journal.head, memory.kept(), witnesses.tree)
    return recovered


def standing_mark(latch: LatchFile, journal: JournalReader) -> Mark | None:
    """What the last process on this host left in its latch file, if it still means a halt; it then does until that is journalled.

    A mark that only says that the journal could not be written is spent once another controller has written it since.
    """
    mark = latch.read()
    if mark is None:
        return None
    last = next(journal.read(after=max(0, journal.head.seq - 1)), None)
    if last is not None and not mark.stands(last.epoch):
        _log.warning("a mark in the latch file is spent: another controller has led since", extra={"fields": {"mark": mark.reason}})
        latch.clear()
        return None
    latch.mark(replace(mark, halted=True))
    return mark
