"""What was measured of the books and calls of the venue in use is journalled: soon when something happened, else seldom."""

from __future__ import annotations

import pytest

from controller.core import events as e
from controller.core.decisions.drills import subject_of
from controller.core.decisions.integrity import OBSERVE_EVERY_MS, REPEAT_MS
from controller.core.state_codec import pack, unpack
from exchange.model import Millis
from exchange.ports import VenueName
from exchange.venue_slots import BookSlot, CallSlot, VenueSlots
from gates.measure import Tally
from policies.authority import Verb
from policies.drills import DrillKind
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


def slots(desk: Desk, number: int, limited: int = 0) -> VenueSlots:
    """One slot that closes now."""
    begin = Millis(desk.now - 10)
    return VenueSlots((CallSlot(number, begin, desk.now, 5, limited),), (BookSlot(number, begin, desk.now, "BTCUSDT", 10),))


def after(desk: Desk, ms: int, number: int, limited: int = 0) -> list[e.IntegrityObserved]:
    """What a tick after so long writes, when this slot closes with it."""
    desk.pass_time(ms)
    decision = desk.give(replace(desk.seen(), slots={VenueName.TESTNET: slots(desk, number, limited)}))
    return [one for one in decision.events if isinstance(one, e.IntegrityObserved)]


def tally(desk: Desk) -> Tally:
    assert desk.state.tally is not None
    return desk.state.tally


def test_the_first_slot_of_a_run_is_written(desk: Desk) -> None:
    (event,) = after(desk, 250, 1)
    assert (event.calls.requests, event.books[0].symbol) == (5, "BTCUSDT")
    assert tally(desk).integrity.calls.requests == 5


def test_what_happened_is_written_and_nothing_else_for_minutes(desk: Desk) -> None:
    after(desk, 250, 1)
    assert after(desk, OBSERVE_EVERY_MS, 2) == []
    (event,) = after(desk, OBSERVE_EVERY_MS, 3, limited=1)
    assert event.calls.limited == 1
    (later,) = after(desk, REPEAT_MS, 4)
    assert (later.calls.limited, later.calls.slots) == (1, 3)


def test_a_drill_does_not_count_against_the_run(desk: Desk) -> None:
    desk.run(1_000)
    after(desk, 250, 1)
    assert desk.ask(Verb.DRILL, subject_of(DrillKind.RATELIMIT), "alice").code == ""
    after(desk, OBSERVE_EVERY_MS, 2, limited=1)
    assert tally(desk).integrity.calls.limited == 0


def test_it_comes_back_from_a_snapshot(desk: Desk) -> None:
    after(desk, 250, 1, limited=2)
    kind = type(desk.state)
    assert unpack([kind], memoryview(b"".join(pack(desk.state)))) == [desk.state]


def test_a_stage_whose_venue_counts_nothing_writes_nothing() -> None:
    desk = Desk().walk_to(Stage.MOCK)
    assert after(desk, 250, 1) == []
