"""The journal of a start: verified against itself and its witnesses, taken over, and folded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, load_key, save_key
from controller.bootstrap.read import Deployment
from controller.journal.port import Journal
from controller.journal.verify import verify_journal
from controller.runtime.assembly import Assembly
from controller.runtime.memory import Memory
from controller.runtime.recover import Recovered, recover
from controller.runtime.snapshot import SAVE_AFTER, Snapshots
from controller.runtime.witness import Witnesses
from controller.settings import journal_place
from exchange.errors import IntegrityError
from exchange.ports import Clock

CHECKPOINT_KEY_FILE = "checkpoint.key"


def open_verified(deployment: Deployment, witnesses: Witnesses, clock: Clock) -> Journal:
    """Verify the journal against itself and against every witness, then take it over."""
    place = journal_place(deployment.directory, deployment.settings)
    controller_id = deployment.settings.controller_id
    checkpoints = witnesses.known()
    if place.exists():
        report = verify_journal(place, controller_id, monotonic_ns=clock.monotonic_ns, checkpoints=checkpoints, storage=False)
        problem = str(report.first_problem.message) if report.first_problem is not None else ""
    else:
        problem = "it is gone, and a witness knows of it" if checkpoints else ""
    if problem:
        raise IntegrityError(
            f"the journal does not verify: {problem}",
            code="journal-broken",
            remedy="Run `gatehouse journal verify`; restore a backup. gatehouse never repairs a journal.",
        )
    return place.open(controller_id)


def checkpoint_key(data: Path) -> Ed25519PrivateKey:
    """The key this controller signs its checkpoints with, made when there is none."""
    path = data / CHECKPOINT_KEY_FILE
    if not path.exists():
        save_key(generate_key(), path)
    return load_key(path)


def fold(
    deployment: Deployment, journal: Journal, memory: Memory, witnesses: Witnesses, snapshots: Snapshots, clock: Clock
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


def keep_snapshot(
    snapshots: Snapshots, assembly: Assembly, journal: Journal, memory: Memory, witnesses: Witnesses, since: int
) -> None:
    """At the end of a run that added much, so that the next start has little to fold."""
    known = assembly.writer.known
    if not assembly.writer.failed_because and known.seq - since >= SAVE_AFTER:
        snapshots.save(known, journal.head, memory.kept(), witnesses.tree)
