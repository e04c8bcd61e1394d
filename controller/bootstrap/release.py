"""Compares the bot on disk with the release in force, at a start and every few minutes, and alerts when they differ.

What a bot runs is not under the controller's control: it is another process, perhaps on another host. So a difference halts
nothing; it says that the evidence may be about another bot than the one that is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from controller.bootstrap.beside import run_beside
from controller.bootstrap.read import Deployment
from controller.core.effects import Alert, AlertKind
from controller.settings.artifact import artifact_digest
from exchange.errors import ConfigError

COMPARE_EVERY_S = 300.0

Notify = Callable[[Alert], object]


def watch_release(deployment: Deployment, in_force: Callable[[], str], notify: Notify, stack: AsyncExitStack) -> None:
    """Compare until ``stack`` ends, if ``[release]`` names a path. ``in_force`` is the artifact of the release in force."""
    named = deployment.settings.release.path
    if not named:
        return
    path = deployment.directory / named

    async def watch() -> None:
        said = ""
        while True:
            problem = await asyncio.to_thread(difference, path, in_force())
            if problem and problem != said:
                notify(Alert(AlertKind.RELEASE, "the bot on disk is not the release in force", problem))
            said = problem
            await asyncio.sleep(COMPARE_EVERY_S)

    run_beside("release on disk", watch, notify, stack)


def difference(path: Path, artifact: str) -> str:
    """How what is at ``path`` differs from ``artifact``; empty when it does not."""
    try:
        found = artifact_digest(path)
    except ConfigError as error:
        return error.message
    return "" if found == artifact else f"{path} has the digest {found}, and {artifact} is in force"
