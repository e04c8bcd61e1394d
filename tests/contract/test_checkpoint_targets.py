"""The common contract of every readable checkpoint target, each kind with a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.journal.publishing import Outcome, read_from
from exchange.errors import IntegrityError
from tests.support.checkpoint_target_cases import KINDS, TargetCase, opened, published
from tests.support.logbook import Logbook


@pytest.fixture(params=KINDS)
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TargetCase]:
    async with opened(request.param, tmp_path) as found:
        yield found


async def test_a_new_target_holds_nothing(case: TargetCase) -> None:
    assert (await read_from(case.target)).held is None


async def test_it_shows_the_newest_checkpoint_to_every_process(case: TargetCase) -> None:
    for size in (3, 5, 12):
        assert (await published(case.target, case.log, size)).outcome is Outcome.TAKEN
    assert await case.target.read() == case.log.checkpoint(12)
    assert await case.another_process(case.log.key).read() == case.log.checkpoint(12)


async def test_another_process_continues_from_the_held_checkpoint(case: TargetCase) -> None:
    await published(case.target, case.log, 3)
    assert (await published(case.another_process(case.log.key), case.log, 9)).outcome is Outcome.TAKEN
    assert (await published(case.target, case.log, 10)).outcome is Outcome.TAKEN


async def test_the_same_checkpoint_again_changes_nothing(case: TargetCase) -> None:
    for _ in range(2):
        assert (await published(case.target, case.log, 5)).outcome is Outcome.TAKEN
    assert await case.target.read() == case.log.checkpoint(5)


async def test_a_shortened_journal_is_contradicted_and_nothing_overwritten(case: TargetCase) -> None:
    await published(case.target, case.log, 9)
    found = await published(case.target, case.log, 7)
    assert found.outcome is Outcome.CONTRADICTS
    assert "knows 9 entries and the journal has 7" in found.problem
    assert await case.target.read() == case.log.checkpoint(9)


async def test_an_older_checkpoint_does_not_replace_a_newer_one(case: TargetCase) -> None:
    await published(case.target, case.log, 9)
    assert (await published(case.target, case.log, 7, now=12)).outcome is Outcome.TAKEN
    assert await case.target.read() == case.log.checkpoint(9)


@pytest.mark.parametrize("size", [9, 14])
async def test_another_history_is_contradicted(case: TargetCase, size: int) -> None:
    await published(case.target, case.log, 9)
    found = await published(case.another_process(case.log.key), case.log.forked(4), size)
    assert found.outcome is Outcome.CONTRADICTS
    assert "9 entries are not those of the journal" in found.problem
    assert await case.target.read() == case.log.checkpoint(9)


async def test_an_unreachable_target_is_reported_as_unreachable(case: TargetCase) -> None:
    await published(case.target, case.log, 3)
    case.vanish()
    reading = await read_from(case.target)
    assert (reading.held, bool(reading.problem)) == (None, True)
    assert (await published(case.target, case.log, 5)).outcome is Outcome.UNREACHABLE


async def test_a_checkpoint_of_another_key_is_refused(case: TargetCase) -> None:
    await published(case.target, case.log, 3)
    with pytest.raises(IntegrityError) as refused:
        await read_from(case.another_process(Logbook(case.log.owner).key))
    assert refused.value.message.startswith(case.target.name)
