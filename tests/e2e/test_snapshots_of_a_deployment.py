"""A deployment takes snapshots while it runs, not only on shutdown."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from controller import bootstrap
from controller.runtime.recovery import snapshot_schedule
from controller.runtime.recovery.snapshot import FILE_NAME
from tests.support.rig import rig


async def test_a_running_deployment_takes_a_snapshot_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_schedule, "SAVE_AFTER", 5)
    async with rig(tmp_path) as built:
        snapshot = built.directory / "var" / FILE_NAME
        ready = asyncio.Event()
        running = asyncio.create_task(bootstrap.run(built.directory, on_ready=ready.set))
        try:
            async with asyncio.timeout(20):
                await ready.wait()
                while not snapshot.exists():  # noqa: ASYNC110 - a thread of the deployment writes the file
                    await asyncio.sleep(0.05)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await running
