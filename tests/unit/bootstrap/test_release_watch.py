"""The bot on disk beside the release in force: a difference is an alert, once for each."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.bootstrap import release as module
from controller.bootstrap.release import difference, watch_release
from controller.core.effects import Alert, AlertKind
from controller.settings.artifact import artifact_digest


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    (tmp_path / "bot.py").write_text("buy()")
    return tmp_path / "bot.py"


async def alerts_of(directory: Path, path: str, in_force: str, monkeypatch: pytest.MonkeyPatch) -> list[Alert]:
    """The alerts of some rounds."""
    monkeypatch.setattr(module, "COMPARE_EVERY_S", 0.001)
    deployment: Any = SimpleNamespace(directory=directory, settings=SimpleNamespace(release=SimpleNamespace(path=path)))
    found, rounds, enough = list[Alert](), list[str](), asyncio.Event()

    def asked() -> str:
        rounds.append(in_force)
        if len(rounds) == 3:
            enough.set()
        return in_force

    async with AsyncExitStack() as stack:
        watch_release(deployment, asked, found.append, stack)
        if path:
            await asyncio.wait_for(enough.wait(), 20)
    return found


async def test_another_bot_is_told_once_with_both_digests(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alert,) = await alerts_of(bot.parent, "bot.py", "sha256:old", monkeypatch)
    assert (alert.kind, alert.detail) == (
        AlertKind.RELEASE,
        f"{bot} has the digest {artifact_digest(bot)}, and sha256:old is in force",
    )


async def test_the_bot_in_force_is_no_alert(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await alerts_of(bot.parent, "bot.py", artifact_digest(bot), monkeypatch) == []


async def test_without_a_path_nothing_is_compared(bot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await alerts_of(bot.parent, "", "sha256:old", monkeypatch) == []


def test_a_bot_that_cannot_be_read_differs(tmp_path: Path) -> None:
    assert difference(tmp_path / "gone", "sha256:old") == f"{tmp_path / 'gone'} cannot be read: No such file or directory"
