"""Every kind of readable checkpoint target, for tests: directory, bare git repository, bucket, witness."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.authority.keys import generate_key
from controller.journal.cosignature import cosigner_key
from controller.journal.history import History
from controller.journal.note import NoteKey
from controller.journal.publishing import CheckpointTarget, Offer, Publication, publish_to
from controller.journal.targets.bucket import Bucket, BucketTarget
from controller.journal.targets.directory import DirectoryTarget
from controller.journal.targets.git import GitRemote, GitTarget
from controller.journal.targets.sigv4 import Credentials
from controller.journal.targets.witness import WitnessTarget
from controller.runtime.loop.clock import SystemClock
from controller.witness.app import Witness, create_app, serving
from controller.witness.store import Store
from tests.support.bucket_server import ACCESS_KEY, BUCKET, REGION, SECRET, BucketServer, running_bucket
from tests.support.logbook import Logbook

KINDS = ("directory", "git", "bucket", "witness")


@dataclass
class TargetCase:
    """One target of ``log``. ``vanish`` makes it unreachable; ``another_process`` is the same target in another process."""

    log: Logbook
    target: CheckpointTarget
    vanish: Callable[[], None]
    another_process: Callable[[NoteKey], CheckpointTarget]


@asynccontextmanager
async def opened(kind: str, directory: Path) -> AsyncIterator[TargetCase]:
    """An empty target of that kind."""
    log = Logbook()
    async with AsyncExitStack() as stack:
        make = {"directory": _directory, "git": _git, "bucket": _bucket, "witness": _witness}[kind]
        another_process, vanish = await make(directory, log, stack)
        yield TargetCase(log, another_process(log.key), vanish, another_process)


def bare_repository(path: Path) -> Path:
    """A git repository to push to, with nothing in it."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    return path


def bucket_target(server: BucketServer, log: Logbook, key: NoteKey, *, secret: str = SECRET) -> BucketTarget:
    """A target on a bucket server."""
    bucket = Bucket(server.url, BUCKET, "desk/", 30, Credentials(ACCESS_KEY, secret, REGION))
    return BucketTarget("locked", bucket, log.owner, key, now=SystemClock().now, loopback=True)


async def published(target: CheckpointTarget, log: Logbook, size: int, *, now: int | None = None) -> Publication:
    """Offer the log's checkpoint of ``size`` while its journal has ``now`` entries."""
    tree = log.tree(size if now is None else now)
    leaves = log.leaves(tree.size)
    history = History(tree.size, tree.frontier, lambda after, upto: iter(leaves[after:upto]))

    async def prove(older: int) -> tuple[bytes, ...]:
        return log.proof(older, size)

    return await publish_to(target, Offer(log.note(size), log.checkpoint(size), 1_800_000_000, prove), lambda: history)


Made = tuple[Callable[[NoteKey], CheckpointTarget], Callable[[], None]]


async def _directory(directory: Path, log: Logbook, _: AsyncExitStack) -> Made:
    kept = directory / "kept"
    kept.mkdir()
    return lambda key: DirectoryTarget(kept, log.owner, key), lambda: kept.rename(directory / "gone") and None


async def _git(directory: Path, log: Logbook, _: AsyncExitStack) -> Made:
    remote = bare_repository(directory / "remote.git")
    work = iter(range(100))

    def another_process(key: NoteKey) -> CheckpointTarget:
        there = GitRemote(str(remote), "main")
        return GitTarget("backup", there, directory / f"work{next(work)}.git", log.owner, key, now=SystemClock().now)

    return another_process, lambda: remote.rename(directory / "gone") and None


async def _bucket(_: Path, log: Logbook, stack: AsyncExitStack) -> Made:
    server = await stack.enter_async_context(running_bucket())
    return lambda key: bucket_target(server, log, key), lambda: setattr(server, "down", True)


async def _witness(directory: Path, log: Logbook, stack: AsyncExitStack) -> Made:
    private, logs = generate_key(), {log.key.name: log.key}
    store = Store(directory / "witness", logs)
    stack.callback(store.close)
    app = create_app(Witness("witness.example", private, logs, store, SystemClock()))
    serving_it = AsyncExitStack()
    port = await serving_it.enter_async_context(serving(app, "127.0.0.1", 0))
    stack.push_async_callback(serving_it.aclose)
    public, kept, addresses = cosigner_key("witness.example", private), iter(range(100)), [f"http://127.0.0.1:{port}"]

    def another_process(key: NoteKey) -> CheckpointTarget:
        target = WitnessTarget(
            "near", addresses[0], public, directory / f"kept{next(kept)}" / "w.cosigned", log.owner, key, loopback=True
        )
        made.append(target)
        return target

    made: list[WitnessTarget] = []

    def vanish() -> None:
        for target in made:
            target._url = "http://127.0.0.1:9"

    return another_process, vanish
