"""Case 50: the books of every client that keeps one, compared with the venue's own at many moments of a whole recorded market."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from exchange import tape
from exchange.testnet.config import NO_RATE_LIMITS, AccountConfig, TestnetConfig
from exchange.testnet.server import RunningTestnet, running_testnet
from tests.conformance.cases import case
from tests.conformance.conftest import ACCOUNTS, BALANCES, SECRET
from tests.conformance.trader import SYMBOL, Watcher, until
from tests.conformance.wire_recorder import WireRecorder
from tests.support.rig import TAPE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOKS = 24
RECORDS_BETWEEN = -(-sum(1 for _ in tape.read(TAPE)) // LOOKS)
"""Records between two comparisons, so that the comparisons span the whole tape."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _venue(wire_recorder: WireRecorder) -> AsyncIterator[RunningTestnet]:
    accounts = tuple(AccountConfig(f"bot-{n}", f"mx0bot{n}", SECRET, BALANCES) for n in range(ACCOUNTS))
    config = TestnetConfig(accounts=accounts, port=0, tape=TAPE, speed=Decimal(30), rate_limits=NO_RATE_LIMITS)
    async with running_testnet(config) as running:
        yield running


@case(50)
async def test_50_a_client_s_book_equals_the_venue_s_over_a_whole_tape(watcher: Watcher, testnet: RunningTestnet) -> None:
    await watcher.keep_book(lambda: play(testnet, 5))
    for _ in range(LOOKS):
        await play(testnet, RECORDS_BETWEEN)
        assert await watcher.agrees(*testnet.venue.engine.depth(SYMBOL, 10))


async def play(testnet: RunningTestnet, records: int) -> None:
    """Play so many records of the tape, then pause."""
    testnet.venue.resume()
    played = testnet.venue.market.records
    await until(lambda: testnet.venue.market.records > played + records)
    testnet.venue.pause()
