"""Restores the newest backup for ``gatehouse drill restore``: the real command, in a process of its own with a low priority.

It works in a scratch folder that is removed. What the command keeps outside that folder goes there too, so a drill leaves no latch
of a deployment that does not exist.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from controller.bootstrap.journal import checkpoint_signing_key
from controller.bootstrap.read import Deployment
from controller.journal.checkpoint import checkpoint_public_key
from controller.journal.last_backup import CopyMade, record_verified
from controller.runtime.drills.practice import Measured, NotExercised
from controller.settings.deployment import journal_location
from exchange.model import Millis
from exchange.ports import Clock

WITHIN_S = 1_500.0
"""Less than the deadline of the drill, so that a restore that takes too long says so itself."""

_SCRATCH = "restore-drill-"
_BY_HAND = "Run `gatehouse backup restore FILE NEWDIR` by hand, and read what it prints"


def restore_drill(deployment: Deployment, clock: Clock) -> Callable[[], Awaitable[Measured]] | None:
    """What restores the newest backup of ``deployment``; ``None`` where the settings name no folder, or nothing that opens it."""
    wanted = deployment.settings.backup
    return partial(_restored, deployment, clock) if wanted.directory and wanted.identity_file else None


async def _restored(deployment: Deployment, clock: Clock) -> Measured:
    began_ns = clock.monotonic_ns()
    scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_SCRATCH))
    try:
        found = await _run(deployment, scratch)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    rto_ms = (clock.monotonic_ns() - began_ns) // 1_000_000
    entries, until = int(found["entries"]), Millis(found["until_ms"])
    if await asyncio.to_thread(_hash_at, deployment, entries) != found["head"]:
        raise NotExercised(f"entry {entries} of the backup is not the one of this journal", "Make a new backup, and find out why")
    now = clock.now()
    verified = CopyMade(Path(found["file"]).name, now, entries, until)
    await asyncio.to_thread(record_verified, deployment.data, verified)
    return {"entries": entries, "rpo_ms": max(0, now - until), "rto_ms": rto_ms}


async def _run(deployment: Deployment, scratch: Path) -> dict[str, Any]:
    """What ``gatehouse backup restore`` printed. It ends with this task. Raises ``NotExercised``."""
    wanted, directory = deployment.settings.backup, deployment.directory
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "10", sys.executable, "-m", "controller", "backup", "restore"),
        *(str(directory / wanted.directory), str(scratch / "restored")),
        *("--identity", str(_identity(directory, wanted.identity_file)), "-o", "json"),
        *("--checkpoint-key", _own_key(deployment), "--journal", "file"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        env={**os.environ, "XDG_STATE_HOME": str(scratch / "state")},
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate()
    except TimeoutError:
        raise NotExercised(f"the restore did not end within {WITHIN_S:g} s", _BY_HAND) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _failed(err)
    answer: dict[str, Any] = json.loads(out)
    return answer


def _failed(err: bytes) -> NotExercised:
    try:
        error = json.loads(err)["error"]
        return NotExercised(f"{error['message']} ({error['code']})", str(error["remedy"]).rstrip("."))
    except (ValueError, KeyError, TypeError):
        return NotExercised("the restore ended with an error that cannot be read", _BY_HAND)


def _own_key(deployment: Deployment) -> str:
    """A folder of copies may be that of several deployments."""
    return checkpoint_public_key(deployment.settings.controller_id, checkpoint_signing_key(deployment.data)).text


def _identity(directory: Path, name: str) -> Path:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials) / name if credentials else None
    return credential if credential is not None and credential.is_file() else directory / name


def _hash_at(deployment: Deployment, seq: int) -> str | None:
    reader = journal_location(deployment.directory, deployment.settings).read()
    try:
        return reader.hash_at(seq)
    finally:
        reader.close()
