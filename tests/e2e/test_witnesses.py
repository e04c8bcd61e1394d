"""A witness directory shows what a chain alone cannot: that the end of the journal was cut off, or an older copy put back."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import Rig, rig


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment", witnesses=(tmp_path / "witness",)) as built:
        (tmp_path / "witness").mkdir()
        yield built


async def test_an_older_copy_of_the_journal_does_not_start(deployment: Rig) -> None:
    await deployment.start()
    await deployment.armed()
    await deployment.stop()
    older = deployment.directory / "older.db"
    shutil.copy(deployment.directory / "var" / "journal.db", older)
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    witness = deployment.directory.parent / "witness" / "gatehouse-rig.checkpoint"
    assert witness.read_text().startswith("gatehouse/rig\n")
    shutil.copy(older, deployment.directory / "var" / "journal.db")
    await deployment.start()
    assert await deployment.killed() != 0
    assert "an older copy was restored" in " ".join(deployment.tail().split())


async def test_a_vanished_journal_does_not_start_afresh(deployment: Rig) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    for path in (deployment.directory / "var").glob("journal.db*"):
        path.unlink()
    await deployment.start()
    assert await deployment.killed() != 0
    assert "the journal does not verify: it is gone, and directory" in " ".join(deployment.tail().split())
