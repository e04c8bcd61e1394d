"""Records the market for a bot that offers a replay of its signals, and replays it. A start calls it (ADR 67)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.core.effects import Alert
from controller.gateway.app import Record
from controller.runtime.assembly import Assembly
from controller.runtime.replay.apart import Offer
from controller.runtime.replay.recording import MarketRecording
from controller.runtime.replay.replaying import Replaying
from controller.settings.artifact import EXCLUDED, artifact_digest
from exchange.ports import Clock
from policies.authority import Verb

FOLDER = "served"


def keep_replay(
    deployment: Deployment, assembly: Assembly, clock: Clock, notify: Callable[[Alert], object], stack: AsyncExitStack
) -> Record | None:
    """Replay until ``stack`` ends. Returns what records an answer of the gateway; ``None`` where the settings name no replay."""
    release = deployment.settings.release
    copy = partial(copied, deployment.directory / release.path) if release.path else None
    recording = MarketRecording(deployment.data / FOLDER, clock.now)
    replaying = Replaying(
        lambda: assembly.writer.state,
        assembly.operator.measured,
        recording,
        Offer(release.replay, copy, release.replay_reads),
        clock.now,
    )
    statistics = assembly.operator.before_proposal

    async def before_proposal(verb: Verb) -> None:
        await asyncio.gather(statistics(verb), replaying.before_proposal(verb))

    assembly.operator.before_proposal = before_proposal
    run_beside("replay of signals", replaying.run, notify, stack)
    if not release.replay:
        return None
    recording.open()
    stack.callback(recording.close)
    return recording.answered


def copied(path: Path, folder: Path) -> str:
    """Copy the bot at ``path`` into ``folder``, and return the digest of the copy.

    Raises:
        ConfigError: it is part of no release.
        OSError: it cannot be copied.
    """
    if path.is_file():
        folder.mkdir()
        return artifact_digest(Path(shutil.copy(path, folder / path.name)))
    shutil.copytree(path, folder, symlinks=True, ignore=shutil.ignore_patterns(*EXCLUDED))
    return artifact_digest(folder)
