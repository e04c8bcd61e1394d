"""What belongs to the event loop's thread refuses every other one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.permit import PermitOffice
from exchange.mexc.connect import open_feed
from exchange.mexc.host import VenueEndpoint
from exchange.mexc.reach import Reach
from exchange.threads import WrongThread

FEED = open_feed(("BTCUSDT",), VenueEndpoint("http://127.0.0.1:9", "ws://127.0.0.1:9/ws", Reach.LOOPBACK), SystemClock(), Random(1))
PERMITS = PermitOffice(SystemClock(), epoch=1)


@pytest.mark.parametrize(
    "use",
    [
        lambda: FEED.quote("BTCUSDT"),
        lambda: FEED.depth("BTCUSDT", 5),
        lambda: FEED.trades("BTCUSDT", 5),
        PERMITS.renew,
        PERMITS.unlatch,
    ],
    ids=["quote", "depth", "trades", "renew", "unlatch"],
)
def test_another_thread_is_refused(use: Callable[[], Any]) -> None:
    use()
    with ThreadPoolExecutor(1, "stray") as other, pytest.raises(WrongThread, match="stray"):
        other.submit(use).result()


def test_another_thread_may_suspend_and_lift() -> None:
    permits = PermitOffice(SystemClock(), epoch=1)
    permits.renew()
    with ThreadPoolExecutor(1, "stray") as other:
        other.submit(permits.suspend, "stray", "late").result()
        assert not permits.current().is_live()
        other.submit(permits.lift, "stray").result()
    assert permits.current().is_live()
