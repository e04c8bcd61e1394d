"""Our client on our testnet in virtual time: connections are cut at their age, listen keys expire, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from decimal import Decimal
from random import Random

import pytest

from exchange.mexc.connect import VenueEndpoint, open_feed, open_venue
from exchange.mexc.http import Timeouts
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.mexc.socket import DEFAULT_TIMING, StreamTiming
from exchange.model import DataSource, Millis
from exchange.ports import VenueName
from exchange.push.listenkeys import LIFETIME_MS
from exchange.stream_life import StreamLife
from exchange.testnet.config import AccountConfig, StreamLimits, TestnetConfig
from exchange.testnet.server import running_testnet
from gates.streams import StreamRun, Streams, observed
from policies.values import replace
from tests.support.virtual_time import VirtualClock, VirtualTimeWithSockets, run_in_virtual_time

KEY, SECRET, BTC = "mx0gatehouse", "a-secret-of-no-value", "BTCUSDT"
MINUTE = 60_000
CUT_AT, KEY_FOR = 12 * MINUTE, 4 * MINUTE
TIMING = replace(DEFAULT_TIMING, rotate_every=10 * MINUTE, renew_every=2 * MINUTE)
"""As the real ones: a connection is replaced a little before it would be cut, a key is renewed in half its time."""

NEVER = 10_000 * MINUTE
SLOWLY = Decimal("0.1")
"""The market moves once a second, so that an hour is not ten thousand messages."""


def lives_after(minutes: int, timing: StreamTiming) -> Sequence[StreamLife]:
    """The market's stream and the private one after so many minutes on a testnet that cuts and lets expire."""
    loop = VirtualTimeWithSockets()
    clock = VirtualClock(loop)
    account = AccountConfig("gatehouse", KEY, SECRET, {"USDT": Decimal(10_000)})
    limits = StreamLimits(lifetime_ms=CUT_AT, listen_key_ms=KEY_FOR)

    async def run() -> Sequence[StreamLife]:
        async with running_testnet(TestnetConfig(accounts=(account,), port=0, streams=limits, speed=SLOWLY), clock) as testnet:
            times = Timeouts(60_000, 60_000, 60_000, 120_000)
            endpoint = VenueEndpoint(testnet.base_url, testnet.ws_url, Reach.LOOPBACK, times, timing)
            feed = open_feed([BTC], endpoint, clock, Random(1), source=DataSource.SYNTHETIC)
            signer = LocalSigner(KEY, SECRET, SignerLimits(frozenset({BTC}), Decimal(1_000)))
            venue = open_venue(VenueName.TESTNET, endpoint, signer, clock, Random(2))

            async def listen() -> None:
                async with aclosing(venue.events()) as events:  # type: ignore[type-var]
                    async for _ in events:
                        pass

            work = [asyncio.create_task(feed.run()), asyncio.create_task(listen())]
            await asyncio.sleep(minutes * 60)
            lives = [*feed.streams, *venue.streams]
            for task in work:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await feed.aclose()
            await venue.aclose()
            return lives

    return run_in_virtual_time(run(), loop)


@pytest.fixture(scope="module")
def survived() -> Streams:
    """What a run of three quarters of an hour counts, from its first minute on."""
    lives = lives_after(45, TIMING)
    begin = Millis(min(one.happened[0].at for one in lives) + MINUTE)
    return observed(Streams(), lives, begin, Millis(begin + 44 * MINUTE))


def each(streams: Streams, of: Callable[[StreamRun], int]) -> set[int]:
    return {of(one) for one in streams.runs}


def test_both_streams_are_rotated_before_they_are_cut(survived: Streams) -> None:
    assert len(survived.runs) == 2
    assert all(one.rotations == 4 for one in survived.runs)


def test_no_rotation_leaves_a_gap(survived: Streams) -> None:
    assert (survived.rotation_gap_ms, each(survived, lambda one: one.gaps)) == (0, {0})


def test_the_listen_key_is_renewed_and_never_expires(survived: Streams) -> None:
    assert survived.renewals is not None
    assert survived.renewals >= 15


def test_a_client_that_does_not_rotate_is_cut_and_the_gap_says_so() -> None:
    streams = observed(Streams(), lives_after(14, replace(TIMING, rotate_every=NEVER)), Millis(0), Millis(0))
    assert each(streams, lambda one: one.rotations) == {0}
    assert {one.longest_gap_why for one in streams.runs} == {"the stream is lost: the venue closed it"}


def test_a_client_that_does_not_renew_loses_its_private_stream() -> None:
    _, private = lives_after(6, replace(TIMING, renew_every=NEVER))
    assert "the stream is lost: the venue closed it" in {one.why for one in private.happened}


def test_the_real_times_are_those_of_the_venue() -> None:
    assert (StreamLimits().lifetime_ms, LIFETIME_MS, StreamLimits().listen_key_ms) == (24 * 60 * MINUTE, 60 * MINUTE, 60 * MINUTE)
    assert DEFAULT_TIMING.rotate_every + DEFAULT_TIMING.overlap < StreamLimits().lifetime_ms
    assert 2 * DEFAULT_TIMING.renew_every <= LIFETIME_MS
