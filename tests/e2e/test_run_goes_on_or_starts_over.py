"""A run on the testnet with real processes: it goes on after a kill and a cut, and starts over after another release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.core.decisions.governance import release_document
from tests.support.rig import Rig, rig


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Rig]:
    """A run with both of its streams observed and some covered time."""
    async with rig(tmp_path / "deployment") as built:
        await built.start()
        await built.climb("TESTNET_VALIDATING")
        async with built.bot_looking():
            await built.until(lambda status: covered(status) > 1_000 and len(status["coverage"]["streams"]) == 2)
            yield built


def covered(status: dict[str, Any]) -> int:
    return int(status["coverage"]["covered_ms"]) if status["coverage"] else 0


def streams(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in status["coverage"]["streams"]} if status["coverage"] else {}


def all_up(status: dict[str, Any]) -> bool:
    found = streams(status)
    return status["armed"] and len(found) == 2 and all(one["down_ms"] is None for one in found.values())


async def test_a_run_goes_on_after_a_kill_and_its_streams_name_the_gap(deployment: Rig) -> None:
    began = (await deployment.status())["stage_since_ms"]
    await deployment.kill()
    await deployment.start()
    status = await deployment.until(all_up)
    assert (status["stage_since_ms"], status["coverage"]["lost_run"]) == (began, None)
    reasons = {one["longest_gap_why"] for one in streams(status).values()}
    assert reasons == {"the controller was not running"}


async def test_a_cut_by_the_venue_is_a_gap_of_each_stream_and_is_journalled(deployment: Rig) -> None:
    deployment.testnet.venue.hub.cut(None)
    status = await deployment.until(lambda status: all_up(status) and all(one["gaps"] for one in streams(status).values()))
    assert {one["longest_gap_why"] for one in streams(status).values()} == {"the stream is lost: the venue closed it"}
    assert await deployment.entries("streams-observed")


async def test_another_release_starts_the_run_over_and_says_what_was_lost(deployment: Rig) -> None:
    subject = release_document("bot", "3", "sha256:" + "3" * 64)
    answer = await deployment.command("set-release", "alice", "bob", subject=subject)
    assert answer.status_code == 200, answer.text
    status = await deployment.until(lambda status: status["stage"] == "MOCK")
    lost = status["coverage"]["lost_run"]
    assert lost["covered_ms"] > 1_000
    assert "the release changed from" in lost["line"]
    (moved,) = (one for one in await deployment.entries("stage-changed") if one["body"]["stage"] == "MOCK")
    assert moved["body"]["lost_ms"] == lost["covered_ms"]
    assert "of covered time no longer count" in moved["summary"]
