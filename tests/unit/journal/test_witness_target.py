"""A C2SP witness as a checkpoint target: ours or a foreign one, with lost data, or with another key than configured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette

from controller.authority.keys import generate_key
from controller.journal.cosignature import cosigned_at, cosigner_key
from controller.journal.note import NoteKey
from controller.journal.publishing import Outcome, read_from
from controller.journal.targets.witness import WitnessTarget
from controller.runtime.loop.clock import SystemClock
from controller.serving import listen, serve
from controller.serving.acceptor import Acceptors
from controller.serving.bounds import Bounds
from controller.witness.app import Witness, create_app
from controller.witness.store import Store
from exchange.errors import IntegrityError
from tests.support.checkpoint_target_cases import published
from tests.support.logbook import Logbook

LOG = Logbook()
KEY = generate_key()
PUBLIC = cosigner_key("witness.example", KEY)


@asynccontextmanager
async def witness(directory: Path, *, foreign: bool = False) -> AsyncIterator[str]:
    """A running witness; a foreign one speaks C2SP and nothing more, so it cannot be read."""
    store = Store(directory, {LOG.key.name: LOG.key})
    app = create_app(Witness("witness.example", KEY, {LOG.key.name: LOG.key}, store, SystemClock()))
    if foreign:
        app = Starlette(routes=[route for route in app.routes if route.path == "/add-checkpoint"])
    listener = listen("127.0.0.1", 0, "witness")
    try:
        async with serve(app, listener, Acceptors().add("witness", Bounds())):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        store.close()


def target(tmp_path: Path, url: str, *, kept: str = "kept", public: NoteKey = PUBLIC) -> WitnessTarget:
    return WitnessTarget("near", url, public, tmp_path / kept, LOG.owner, LOG.key, loopback=True)


@pytest.fixture(params=[False, True], ids=["ours", "foreign"])
def foreign(request: pytest.FixtureRequest) -> Iterator[bool]:
    return request.param


async def test_the_cosigned_note_is_kept(tmp_path: Path, foreign: bool) -> None:
    async with witness(tmp_path / "w", foreign=foreign) as url:
        for size in (3, 8):
            assert (await published(target(tmp_path, url), LOG, size)).outcome is Outcome.TAKEN
    kept = (tmp_path / "kept").read_text()
    assert kept.startswith(LOG.note(8))
    assert cosigned_at(kept, LOG.checkpoint(8).text, PUBLIC) > 1_700_000_000


async def test_a_proof_starts_at_the_size_that_the_witness_knows(tmp_path: Path, foreign: bool) -> None:
    async with witness(tmp_path / "w", foreign=foreign) as url:
        await published(target(tmp_path, url), LOG, 6)
        assert (await published(target(tmp_path, url, kept="fresh"), LOG, 11)).outcome is Outcome.TAKEN
        assert (await published(target(tmp_path, url), LOG, 13)).outcome is Outcome.TAKEN


@pytest.mark.parametrize("size", [4, 6, 9])
async def test_another_history_is_contradicted_also_without_a_readable_witness(tmp_path: Path, foreign: bool, size: int) -> None:
    async with witness(tmp_path / "w", foreign=foreign) as url:
        await published(target(tmp_path, url), LOG, 6)
        found = await published(target(tmp_path, url, kept="fresh"), LOG.forked(2), size)
    assert found.outcome is Outcome.CONTRADICTS


async def test_the_kept_note_shows_what_a_foreign_witness_cosigned(tmp_path: Path) -> None:
    async with witness(tmp_path / "w", foreign=True) as url:
        await published(target(tmp_path, url), LOG, 6)
        assert await target(tmp_path, url).read() == LOG.checkpoint(6)


async def test_a_witness_that_lost_entries_is_refused(tmp_path: Path) -> None:
    async with witness(tmp_path / "w") as url:
        await published(target(tmp_path, url), LOG, 6)
    async with witness(tmp_path / "other") as url:
        await published(target(tmp_path, url, kept="fresh"), LOG, 4)
        with pytest.raises(IntegrityError, match="it lost its data"):
            await read_from(target(tmp_path, url))


@pytest.mark.parametrize("shown", [False, True])
async def test_a_witness_that_lost_all_its_data_is_reported(tmp_path: Path, shown: bool) -> None:
    async with witness(tmp_path / "w", foreign=not shown) as url:
        await published(target(tmp_path, url), LOG, 6)
    async with witness(tmp_path / "other", foreign=not shown) as url:
        found = await published(target(tmp_path, url), LOG, 9)
        assert found.outcome is Outcome.REFUSED
        assert "it lost its data" in found.problem


async def test_a_cosignature_of_another_witness_is_not_kept(tmp_path: Path) -> None:
    other = cosigner_key("witness.example", generate_key())
    async with witness(tmp_path / "w") as url:
        found = await published(target(tmp_path, url, public=other), LOG, 3)
    assert found.outcome is Outcome.REFUSED
    assert "is not cosigned by" in found.problem
    assert not (tmp_path / "kept").exists()


async def test_a_log_unknown_to_the_witness_is_refused(tmp_path: Path) -> None:
    stranger = Logbook("stranger")
    async with witness(tmp_path / "w") as url:
        there = WitnessTarget("near", url, PUBLIC, tmp_path / "kept", "stranger", stranger.key, loopback=True)
        found = await published(there, stranger, 3)
    assert (found.outcome, found.problem) == (Outcome.REFUSED, "HTTP 404: this log is not known")


async def test_a_changed_kept_note_is_refused(tmp_path: Path) -> None:
    async with witness(tmp_path / "w") as url:
        await published(target(tmp_path, url), LOG, 3)
        (tmp_path / "kept").write_text(LOG.note(5))
        with pytest.raises(IntegrityError) as refused:
            await read_from(target(tmp_path, url))
    assert refused.value.code == "not-cosigned"
