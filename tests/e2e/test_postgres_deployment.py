"""A whole controller with its journal in PostgreSQL."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.cli.backup.making import make_identity
from controller.cli.journal.replay import replayed
from controller.cli.journal.verify import verify_deployment
from controller.journal.location import FILE_NAME
from controller.journal.postgres import read_postgres
from policies.drills import DrillKind
from tests.e2e.test_drills import begin, passed, trades_again
from tests.support.postgres_server import PostgresServer, a_server
from tests.support.rig import ROOT, Rig, rig


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    yield from a_server()


@pytest.fixture
def url(server: PostgresServer, tmp_path: Path) -> str:
    """A database of its own for each test."""
    name = tmp_path.name.lower()[-40:]
    server.execute("postgres", f'CREATE DATABASE "{name}"')
    return server.url(name)


@pytest.fixture
async def deployment(tmp_path: Path, url: str) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        settings = built.directory / "gatehouse.toml"
        settings.write_text(f'journal = "{url}"\n{settings.read_text()}')
        yield built


async def test_a_controller_on_a_database_stops_and_continues_where_it_was(deployment: Rig, url: str) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    reader = read_postgres(url)
    before = reader.head
    reader.close()
    await deployment.start()
    await deployment.armed()
    status = await deployment.status()
    assert (status["position"], status["epoch"]) == ("TESTNET_VALIDATING", before.epoch + 1)
    await deployment.stop()
    report = verify_deployment(deployment.directory, [], None).report
    found = replayed(deployment.directory, None, None, None)
    assert report.entries == found.head.seq > before.seq
    assert str(found.state.position) == "TESTNET_VALIDATING"
    assert not (deployment.directory / "var" / FILE_NAME).exists()


@pytest.mark.parametrize("place", ["file", "database"])
async def test_a_backup_of_a_database_is_put_back(
    deployment: Rig, server: PostgresServer, url: str, tmp_path: Path, place: str
) -> None:
    """Copied while the controller runs, restored into a file or another database, HALTED at its next start."""
    recipient = make_identity(tmp_path / "identity")
    with (deployment.directory / "gatehouse.toml").open("a") as file:
        file.write(f'[backup]\nrecipients = ["{recipient}"]\n')
    await deployment.start()
    await deployment.armed()
    made = await backup(deployment, "create", tmp_path / "copies", "--dir", deployment.directory)
    (entry,) = (one for one in await deployment.entries() if one["seq"] == made["entries"])
    assert entry["hash"] == made["head"]
    await deployment.stop()

    new, another = tmp_path / "new", url
    if place == "database":
        server.execute("postgres", f'CREATE DATABASE "{tmp_path.name.lower()[-30:]}_again"')
        another = server.url(f"{tmp_path.name.lower()[-30:]}_again")
    opened = (made["file"], new, "--identity", tmp_path / "identity")
    refused = await backup(deployment, "restore", *opened)
    assert refused["error"]["code"] == "backup-journal-place"
    await backup(deployment, "restore", *opened, "--journal", "file" if place == "file" else another)
    assert (new / "var" / FILE_NAME).exists() == (place == "file")
    for name in ("testnet.secret", "live.secret", "bot.secret", "secrets/control.token", "var/checkpoint.key"):
        (new / name).parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(deployment.directory / name, new / name)
    elsewhere = {**deployment.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    restored = replace(deployment, directory=new, environment=elsewhere, process=None)
    await restored.start()
    status = await restored.until(lambda status: status["stage"] == "HALTED" and status["reconciled"])
    assert (status["halt_class"], status["epoch"]) == ("restored", 2)
    assert "no signed command counts before" in status["halt_reason"], "no target outside the folder proves the roster"
    await restored.stop()


async def backup(deployment: Rig, *arguments: object) -> dict[str, Any]:
    """What a verb of ``gatehouse backup`` printed, or its error."""
    command = (sys.executable, "-m", "controller", "backup", *map(str, arguments), "-o", "json")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=deployment.environment, cwd=ROOT
    )
    output, complaint = await process.communicate()
    return dict(json.loads(output or complaint))


async def test_the_disk_drill_makes_an_append_wait_and_nothing_is_decided(deployment: Rig) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.armed()
    await begin(deployment, DrillKind.DISK)
    measured = await passed(deployment, DrillKind.DISK)
    assert measured["appends_waited_ms"] >= 1_000
    assert measured["allowed_again_ms"] >= measured["appends_waited_ms"]
    await trades_again(deployment)
