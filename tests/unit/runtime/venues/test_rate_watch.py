"""The sources of the EUR rate are read on a schedule of their own, only those that the policy follows; a failure ends nothing."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest

from controller.core.inputs import RateRead
from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.rates import RateWatch
from exchange.errors import VenueError
from policies.eur import RateSource
from policies.schema import Policy
from tests.support.desk import D, demo_policy, with_policy
from tests.support.rates import following
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

ECB, VENUE = RateSource.ECB, RateSource.VENUE
BOTH = with_policy(eur_rate=following())
DOWN = VenueError("no reply", code="venue-silent", remedy="wait")


class Sources:
    """Counts what is asked; ``down`` names the sources that fail, ``empty`` those without a rate."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked: Counter[RateSource] = Counter()
        self.down: set[RateSource] = set()
        self.empty: set[RateSource] = set()

    def reader(self, source: RateSource) -> Any:
        async def read() -> RateRead | None:
            self.asked[source] += 1
            if source in self.down:
                raise DOWN
            return None if source in self.empty else RateRead(source, D("1.1"), D("1.1"), self.clock.now())

        return read


def watched(policy: Policy, seconds: float, *, down: tuple[RateSource, ...] = (), empty: tuple[RateSource, ...] = ()) -> Any:
    """What was asked, and the sources whose reading reached the writer. Sources that are ``down`` answer again at the end."""
    loop = VirtualTimeLoop()
    inbox = Inbox()
    sources = Sources(VirtualClock(loop))
    sources.down, sources.empty = set(down), set(empty)
    readers = {source: sources.reader(source) for source in RateSource}

    async def work() -> Any:
        watch = RateWatch(readers, policy=lambda: policy, inbox=inbox, clock=sources.clock)
        task = asyncio.create_task(watch.run())
        await asyncio.sleep(seconds)
        if down:
            sources.down.clear()
            await asyncio.sleep(61)
        task.cancel()
        return {one.input.source for one in await inbox.take(64)} if sources.asked else set()

    return sources.asked, run_in_virtual_time(work(), loop)


def test_each_source_is_read_at_once_and_at_its_own_pace() -> None:
    asked, read = watched(BOTH, 1_805)
    assert read == {ECB, VENUE}
    assert asked[ECB] == 2
    assert 28 <= asked[VENUE] <= 31


def test_a_pinned_policy_reads_nothing() -> None:
    asked, _ = watched(demo_policy(), 7_200)
    assert not asked


def test_only_the_sources_that_the_policy_follows_are_read() -> None:
    asked, _ = watched(with_policy(eur_rate=following(venue_max_age_ms=None)), 600)
    assert asked == {ECB: 1}


@pytest.mark.parametrize("how", ["down", "empty"])
def test_a_source_that_fails_is_tried_every_minute(how: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        asked, read = watched(BOTH, 600, **{how: (ECB,)})
    assert 9 <= asked[ECB] <= 12
    said = [record.getMessage() for record in caplog.records if "cannot be read from ecb" in record.getMessage()]
    assert len(said) == 1
    assert (ECB in read) is (how == "down")
