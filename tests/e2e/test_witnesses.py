"""A witness directory shows that the end of the journal was cut off or an older copy was restored; the chain alone cannot."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.authority.keys import load_key
from controller.journal.checkpoint import Checkpoint, sign_checkpoint
from controller.journal.sqlite import read_journal
from tests.support.rig import Rig, rig


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment", witnesses=(tmp_path / "witness",)) as built:
        (tmp_path / "witness").mkdir()
        yield built


def witness_note(deployment: Rig) -> Path:
    return deployment.directory.parent / "witness" / "gatehouse-rig.checkpoint"


async def witnessed(deployment: Rig) -> str:
    """The first checkpoint, as soon as it exists."""
    for _ in range(100):
        if witness_note(deployment).exists():
            break
        await asyncio.sleep(0.1)
    return witness_note(deployment).read_text()


async def test_an_older_copy_of_the_journal_does_not_start(deployment: Rig) -> None:
    await deployment.start()
    await deployment.armed()
    await deployment.stop()
    older = deployment.directory / "older.db"
    shutil.copy(deployment.directory / "var" / "journal.db", older)
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    assert witness_note(deployment).read_text().startswith("gatehouse/rig\n")
    shutil.copy(older, deployment.directory / "var" / "journal.db")
    await deployment.start()
    assert await deployment.exit_code() != 0
    assert "an older copy was restored" in " ".join(deployment.tail().split())


async def test_a_witness_of_another_history_halts_a_running_controller(deployment: Rig) -> None:
    await deployment.start()
    await deployment.armed()
    held = await witnessed(deployment)
    key = load_key(deployment.directory / "var" / "checkpoint.key")
    other = Checkpoint("gatehouse/rig", int(held.split("\n")[1]), bytes(32))
    witness_note(deployment).write_text(sign_checkpoint(other, key))
    async with deployment.bot_looking():
        while (await deployment.status())["stage"] == "MOCK":
            await deployment.command("advance", "alice")
            await asyncio.sleep(0.3)
        halted = await deployment.until(lambda status: status["stage"] == "HALTED")
    assert (halted["halt_class"], "contradicts the journal" in halted["halt_reason"]) == ("integrity", True)
    assert witness_note(deployment).read_text() == sign_checkpoint(other, key)
    assert "are not those of the journal" in halted["checkpoints"][0]["problem"]


async def test_the_last_entry_before_a_stop_is_in_a_checkpoint(deployment: Rig) -> None:
    await deployment.start()
    await deployment.armed()
    await deployment.stop()
    with closing(read_journal(deployment.directory / "var" / "journal.db")) as journal:
        assert witness_note(deployment).read_text().split("\n")[1] == str(journal.head.seq)


async def test_a_missing_journal_is_not_replaced_by_a_new_one(deployment: Rig) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    for path in (deployment.directory / "var").glob("journal.db*"):
        path.unlink()
    await deployment.start()
    assert await deployment.exit_code() != 0
    assert "the journal does not verify: it is gone, and directory" in " ".join(deployment.tail().split())
