"""What happens to the streams of the venue in use is journalled when something did, and seldom."""

from __future__ import annotations

import pytest

from controller.core import events as e
from controller.core.decisions.streams import OBSERVE_EVERY_MS
from controller.core.state_codec import pack, unpack
from exchange.model import Millis
from exchange.ports import VenueName
from exchange.stream_life import PRIVATE, Happening, Kind, StreamLife, market_stream
from gates.measure import Tally
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import Desk

MARKET = market_stream("BTCUSDT")


@pytest.fixture
def desk() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


def after(desk: Desk, ms: int, *happened: Happening, down: str = "") -> list[e.StreamsObserved]:
    """What a tick after so long writes of a market stream to which this happened."""
    desk.pass_time(ms)
    market = StreamLife(MARKET, happened, desk.now if down else None, down)
    lives = {VenueName.TESTNET: (market, StreamLife(PRIVATE)), VenueName.LIVE: (replace(market, name="market of another venue"),)}
    decision = desk.give(replace(desk.seen(), streams=lives))
    return [one for one in decision.events if isinstance(one, e.StreamsObserved)]


def rotated(number: int, desk: Desk) -> Happening:
    return Happening(number, desk.now, Kind.ROTATED, 12)


def tally(desk: Desk) -> Tally:
    assert desk.state.tally is not None
    return desk.state.tally


def test_the_first_entry_of_a_run_names_the_streams_of_the_venue_in_use(desk: Desk) -> None:
    (event,) = after(desk, 250)
    assert [one.name for one in event.streams] == [MARKET, PRIVATE]


def test_nothing_is_written_while_nothing_happens(desk: Desk) -> None:
    after(desk, 250)
    assert [after(desk, OBSERVE_EVERY_MS) for _ in range(3)] == [[], [], []]


def test_a_rotation_is_written_and_counted(desk: Desk) -> None:
    after(desk, 250)
    (event,) = after(desk, OBSERVE_EVERY_MS, rotated(1, desk))
    assert event.streams[0].rotations == 1
    run = tally(desk).streams.of(MARKET)
    assert run is not None
    assert (run.rotations, run.rotation_gap_ms) == (1, 12)


def test_what_happens_soon_after_an_entry_waits_for_the_next(desk: Desk) -> None:
    after(desk, 250)
    first = rotated(1, desk)
    assert after(desk, OBSERVE_EVERY_MS - 1_000, first) == []
    (event,) = after(desk, 1_000, first, rotated(2, desk))
    assert event.streams[0].rotations == 2


def test_a_stage_without_a_stream_of_its_venue_writes_nothing() -> None:
    assert after(Desk().walk_to(Stage.MOCK), 250) == []


def test_a_new_run_counts_its_streams_anew(desk: Desk) -> None:
    first = rotated(1, desk)
    assert after(desk, 250, first)[0].streams[0].rotations == 1
    desk.walk_to(Stage.VALIDATED)
    (event,) = after(desk, 250, first)
    assert event.streams[0].rotations == 0


def test_a_book_that_is_missing_says_which_stream_is_to_blame(desk: Desk) -> None:
    desk.pass_time(1_000)
    lost = StreamLife(MARKET, (), desk.now, "the stream is lost: the venue closed it")
    decision = desk.give(replace(desk.seen(quoted=False), streams={VenueName.TESTNET: (lost,)}))
    (sample,) = (one for one in decision.events if isinstance(one, e.Sampled))
    assert sample.uncovered_reason == "no valid order book for BTCUSDT: the stream is lost: the venue closed it"


def test_the_longest_gap_of_a_run_keeps_its_reason(desk: Desk) -> None:
    desk.pass_time(1_000)
    for _ in range(4):
        desk.tick(quoted=False)
        desk.pass_time(1_000)
    desk.tick()
    assert tally(desk).longest_gap_why == "no valid order book for BTCUSDT"


def test_time_without_a_sample_is_a_gap_of_the_controller(desk: Desk) -> None:
    desk.pass_time(1_000)
    desk.tick()
    desk.pass_time(60_000)
    desk.tick()
    assert tally(desk).longest_gap_why.startswith("nothing was measured")


def test_a_state_with_streams_survives_a_snapshot(desk: Desk) -> None:
    after(desk, 250)
    after(desk, OBSERVE_EVERY_MS, rotated(1, desk), down="cut")
    (read,) = unpack([type(desk.state)], memoryview(b"".join(pack(desk.state))))
    assert read.tally.streams == tally(desk).streams
    assert read.tally.streams.runs[0].down_since == Millis(desk.now)
