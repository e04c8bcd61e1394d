"""A whole controller with its journal in PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller.cli.journal.replay import replayed
from controller.cli.journal.verify import verify_deployment
from controller.journal.location import FILE_NAME
from controller.journal.postgres import read_postgres
from tests.support.postgres_server import PostgresServer, binaries
from tests.support.rig import Rig, rig


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    programs = binaries()
    if programs is None:
        pytest.skip("the PostgreSQL of the dev extra is not installed")
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture
async def deployment(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        settings = built.directory / "gatehouse.toml"
        settings.write_text(f'journal = "{server.url("postgres")}"\n{settings.read_text()}')
        yield built


async def test_a_controller_on_a_database_stops_and_continues_where_it_was(deployment: Rig, server: PostgresServer) -> None:
    await deployment.start()
    await deployment.climb("TESTNET_VALIDATING")
    await deployment.stop()
    reader = read_postgres(server.url("postgres"))
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
