"""What this process remembers of the bots it heard."""

from __future__ import annotations

from contextlib import suppress

from controller.runtime.venues.bots_heard import BotsHeard
from exchange.model import Millis
from policies.silence import Heard, HeardBy
from tests.support.stopped_clock import StoppedClock


def test_a_bot_has_the_time_and_the_kind_of_its_last_sign() -> None:
    clock = StoppedClock(1_000)
    bots = BotsHeard(clock)
    bots.heard("one", HeardBy.REQUEST)
    clock.at = Millis(2_000)
    bots.heard("two", HeardBy.HEARTBEAT)
    bots.heard("one", HeardBy.MARKET_DATA)
    assert bots.heard_of() == {"one": Heard(Millis(2_000), HeardBy.MARKET_DATA), "two": Heard(Millis(2_000), HeardBy.HEARTBEAT)}


def test_nobody_is_heard_at_first() -> None:
    assert BotsHeard(StoppedClock(1_000)).heard_of() == {}


def test_a_stream_counts_from_its_start_to_its_end() -> None:
    clock = StoppedClock(1_000)
    bots = BotsHeard(clock)
    with bots.connected("one"), bots.connected("one"):
        assert bots.heard_of()["one"] == Heard(Millis(1_000), HeardBy.STREAM, streams=2)
        clock.at = Millis(5_000)
    assert bots.heard_of()["one"] == Heard(Millis(5_000), HeardBy.STREAM, streams=0)


def test_a_stream_that_breaks_is_closed() -> None:
    bots = BotsHeard(StoppedClock(1_000))
    with suppress(ConnectionError), bots.connected("one"):
        raise ConnectionError
    assert bots.heard_of()["one"].streams == 0
