"""``gatehouse witness`` as a process: it keeps its state across a kill, and refuses a state that was changed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from controller.journal.cosignature import cosigned_at, parse_cosigner_key
from tests.support.logbook import Logbook
from tests.support.loopback import http_at
from tests.support.rig import ROOT

pytestmark = pytest.mark.e2e
LOG = Logbook()


async def spawn(directory: Path, *more: str, log: str = LOG.key.text) -> asyncio.subprocess.Process:
    command = ("-m", "controller", "witness", "--dir", str(directory), "--listen", "127.0.0.1:0", "--log", log, "-o", "json", *more)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=pipe, stderr=pipe, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "COLUMNS": "500"}
    )


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """The process, its address and its public key."""
    process = await spawn(directory)
    try:
        assert process.stdout is not None
        output = b""
        while not output.rstrip().endswith(b"}"):
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, "the witness ended"
            output += line
        ready = json.loads(output)
        yield process, ready["address"], ready["key"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def add(url: str, request: bytes) -> httpx.Response:
    async with http_at(timeout=10) as client:
        return await client.post(f"{url}/add-checkpoint", content=request)


async def refused(directory: Path, *more: str, log: str = LOG.key.text) -> tuple[int, str]:
    process = await spawn(directory, *more, log=log)
    _, complaint = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, json.loads(complaint)["error"]["code"]


async def test_a_witness_that_was_killed_keeps_its_state(tmp_path: Path) -> None:
    async with running(tmp_path / "w") as (process, url, key):
        lines = (await add(url, LOG.request(0, 8))).text
        assert cosigned_at(lines, LOG.checkpoint(8).text, parse_cosigner_key(key)) > 1_700_000_000
        process.kill()
    async with running(tmp_path / "w") as (_, url, again):
        assert again == key
        answer = await add(url, LOG.request(0, 5))
        assert (answer.status_code, answer.text) == (409, "8\n")
        assert (await add(url, LOG.forked(3).request(8, 12))).status_code == 422
        assert (await add(url, LOG.request(8, 12))).status_code == 200


async def test_a_second_witness_does_not_start_in_the_same_directory(tmp_path: Path) -> None:
    async with running(tmp_path / "w"):
        assert await refused(tmp_path / "w") == (3, "witness-running")


async def test_a_witness_ends_on_a_signal(tmp_path: Path) -> None:
    async with running(tmp_path / "w") as (process, _, _):
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 15) == 0


def delete_the_key(directory: Path) -> None:
    (directory / "witness.key").unlink()


def change_the_state(directory: Path) -> None:
    (note,) = directory.glob("*.checkpoint")
    note.write_text(note.read_text().replace("\n8\n", "\n7\n"))


@pytest.mark.parametrize(("damage", "expected"), [(delete_the_key, (2, "witness-key")), (change_the_state, (1, "witness-memory"))])
async def test_a_witness_does_not_start_with_an_incomplete_state(
    tmp_path: Path, damage: Callable[[Path], None], expected: tuple[int, str]
) -> None:
    async with running(tmp_path / "w") as (_, url, _):
        await add(url, LOG.request(0, 8))
    damage(tmp_path / "w")
    assert await refused(tmp_path / "w") == expected


@pytest.mark.parametrize(
    "more", [("--listen", "8720"), ("--name", "two words"), ("--tls-cert", "/nowhere"), ("--log", "gatehouse/desk+00000000+AAAA")]
)
async def test_invalid_options_are_usage_errors(tmp_path: Path, more: tuple[str, ...]) -> None:
    assert await refused(tmp_path / "w", *more) == (2, "usage")
