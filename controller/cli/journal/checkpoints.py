"""Reads and publishes checkpoints of a deployment's targets, for ``gatehouse journal`` and ``gatehouse doctor``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from controller.authority.keys import generate_key, load_key, save_key
from controller.bootstrap.checkpoint_targets import TargetContext, open_targets
from controller.cli.journal.files import place_in, progressing
from controller.journal.checkpoint import checkpoint_public_key, sign_checkpoint, take_checkpoint
from controller.journal.files import hand_over, make_directory
from controller.journal.history import History, leaves_of
from controller.journal.location import JournalLocation
from controller.journal.merkle import MerkleTree
from controller.journal.note import NoteKey
from controller.journal.publishing import CheckpointTarget, Offer, Publication, Reading, publish_to, read_from
from controller.journal.targets.directory import DirectoryTarget
from controller.settings.deployment import Settings, load_settings, read_secret
from exchange.errors import ConfigError, IntegrityError
from exchange.model import Millis
from policies.stage import Environment

KEY_FILE = "checkpoint.key"


def own_key(directory: Path) -> Path:
    """Where a deployment's controller keeps the key it signs its checkpoints with."""
    return directory / load_settings(directory).data / KEY_FILE


def public_key_of(directory: Path) -> NoteKey | None:
    """The public half of the checkpoint key; ``None`` before the controller's first start."""
    path, settings = own_key(directory), load_settings(directory)
    return checkpoint_public_key(settings.controller_id, load_key(path)) if path.exists() else None


def made_public_key(directory: Path) -> NoteKey:
    """The public half of the checkpoint key, which is made now if it is missing: a witness needs it before the first checkpoint."""
    path, settings = own_key(directory), load_settings(directory)
    if not path.exists():
        make_directory(path.parent)
        save_key(generate_key(), path)
        hand_over(path, path.parent)
    return checkpoint_public_key(settings.controller_id, load_key(path))


def targets_in(directory: Path, key: NoteKey, more: Sequence[Path] = ()) -> tuple[CheckpointTarget, ...]:
    """Open the deployment's targets, and more directories. Raises ``ConfigError`` as ``open_targets`` does."""
    settings = load_settings(directory)
    listed = open_targets(settings.witnesses, settings.checkpoints, _context(directory, settings, key))
    return (*listed, *(DirectoryTarget(path, settings.controller_id, key) for path in more))


def held_by(targets: Sequence[CheckpointTarget]) -> list[Reading]:
    """What each target holds. All are read at the same time. Raises ``IntegrityError`` as ``read_from`` does."""
    if not targets:
        return []

    async def ask() -> list[Reading]:
        return await asyncio.gather(*map(read_from, targets))

    return asyncio.run(ask())


def asked(directory: Path, key: NoteKey) -> list[Reading]:
    """What each target of a deployment holds. A target without its secret, or without git, is reported as unread and is no error.

    Raises:
        IntegrityError: as ``read_from``.
        ConfigError: ``checkpoint-name``.
    """
    try:
        return held_by(targets_in(directory, key))
    except ConfigError as error:
        if error.code == "checkpoint-name":
            raise
    settings = load_settings(directory)
    context = _context(directory, settings, key)
    targets, unread = list(open_targets(settings.witnesses, (), context)), []
    for one in settings.checkpoints:
        try:
            targets += open_targets((), (one,), context)
        except ConfigError as error:
            unread.append(Reading(f"{one.to} {one.name}", None, error.message))
    return held_by(targets) + unread


def publish_now(directory: Path, key: Path | None, more: Sequence[Path]) -> tuple[str, str, list[Publication]]:
    """Sign a checkpoint of the journal as it is now and publish it. Returns note, public key and the result of every target.

    Raises:
        ConfigError: ``no-checkpoint-key``, or as ``open_targets``.
    """
    path = key or own_key(directory)
    if not path.exists():
        raise ConfigError(
            f"there is no checkpoint key at {path}",
            code="no-checkpoint-key",
            remedy="Make one with `gatehouse journal key`, or pass a key file with --key.",
        )
    private, controller_id = load_key(path), load_settings(directory).controller_id
    public = checkpoint_public_key(controller_id, private)
    now = _histories(directory, public_key_of(directory))
    history = now()
    checkpoint = take_checkpoint(controller_id, history.tree)
    note = sign_checkpoint(checkpoint, private)

    async def prove(older: int) -> tuple[bytes, ...]:
        return await asyncio.to_thread(history.proof, older)

    async def publish() -> list[Publication]:
        offer = Offer(note, checkpoint, int(time.time()), prove)
        return await asyncio.gather(*(publish_to(target, offer, now) for target in targets_in(directory, public, more)))

    return note, public.text, asyncio.run(publish())


def _histories(directory: Path, key: NoteKey | None) -> Callable[[], History]:
    """A function that reads the journal's present history; a running controller may append between calls.

    Raises:
        IntegrityError: ``journal-broken``; ``key`` did not sign the base of a journal with archives.
    """
    place = place_in(directory)
    base = _base_tree(place, key)
    leaves, tree = leaves_of(place), MerkleTree(base.size, base.frontier)

    def now() -> History:
        reader = place.read()
        try:
            total = reader.head.seq
            with progressing("hashing", total - tree.size) as step:
                for entry in reader.read(tree.size, total - tree.size):
                    tree.append(step(entry).hash)
        finally:
            reader.close()
        return History(tree.size, tree.frontier, leaves, {base.size: base.frontier})

    return now


def _base_tree(place: JournalLocation, key: NoteKey | None) -> MerkleTree:
    reader = place.read()
    try:
        signed = reader.signed_base
    finally:
        reader.close()
    if signed is None:
        return MerkleTree()
    if key is None or not signed.is_signed_by(key):
        raise IntegrityError(
            f"the journal begins after entry {signed.base.seq}, and this controller's checkpoint key did not sign that",
            code="journal-broken",
            remedy="Run `gatehouse journal verify`; restore a backup. gatehouse never repairs a journal.",
        )
    return signed.base.tree


def _context(directory: Path, settings: Settings, key: NoteKey) -> TargetContext:
    return TargetContext(
        directory=directory,
        data=directory / settings.data,
        controller_id=settings.controller_id,
        key=key,
        secret=lambda name: read_secret(directory, name),
        now=lambda: Millis(time.time_ns() // 1_000_000),
        loopback=settings.environment is Environment.REHEARSAL,
    )
