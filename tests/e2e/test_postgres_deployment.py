"""A whole controller with its journal in PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller.cli.journal.replay import replayed
from controller.cli.journal.verify import verify_deployment
from controller.journal.location import FILE_NAME
from controller.journal.postgres import read_postgres
from policies.drills import DrillKind
from tests.e2e.test_drills import begin, passed, trades_again
from tests.support.postgres_server import PostgresServer, a_server
from tests.support.rig import Rig, rig


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


async def test_the_disk_drill_makes_an_append_wait_and_nothing_is_decided(deployment: Rig) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.armed()
    await begin(deployment, DrillKind.DISK)
    measured = await passed(deployment, DrillKind.DISK)
    assert measured["appends_waited_ms"] >= 1_000
    assert measured["allowed_again_ms"] >= measured["appends_waited_ms"]
    await trades_again(deployment)
