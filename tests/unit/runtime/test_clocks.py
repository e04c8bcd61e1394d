"""A venue's clock is measured on a schedule of its own, as exactly as its answers allow, and its last good reading is kept."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from controller.runtime.loop.inbox import Inbox
from controller.runtime.venues.clocks import CLOCK_SURE_MS, SAMPLES, ClockMeter, ClockSeen, Offset, Silence
from controller.runtime.venues.markets import Markets
from exchange.errors import VenueError
from exchange.model import DataSource, Millis, SymbolRules
from exchange.ports import ClockReading, VenueName
from policies.guards import ClockOffset, Measured, clock_fresh_ms
from policies.schema import Policy
from tests.support.desk import demo_policy
from tests.support.stopped_clock import StoppedClock
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

POLICY = demo_policy()
FRESH_MS = clock_fresh_ms(POLICY)
DOWN = VenueError("no reply", code="venue-silent", remedy="wait")


def policy() -> Policy:
    return POLICY


@dataclass
class TimeServer:
    """Answers with its time, ``offset_ms`` behind the clock, after as many ms as it is given; an error ends the answers."""

    clock: Any
    answers: list[int | VenueError] = field(default_factory=lambda: [0])
    offset_ms: int = 250
    asked_at: list[int] = field(default_factory=list)
    name: VenueName = VenueName.TESTNET

    async def server_time(self) -> Millis:
        self.asked_at.append(self.clock.now())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, VenueError):
            raise answer
        await asyncio.sleep(answer / 2_000)
        served = Millis(self.clock.now() - self.offset_ms)
        await asyncio.sleep(answer / 2_000)
        return served


class Clocked(TimeServer):
    """A client with an estimate of its own: it was made at ``read_at``."""

    read_at: Millis | None = None

    @property
    def clock_reading(self) -> ClockReading | None:
        return None if self.read_at is None else ClockReading(40, self.clock.now() - self.read_at, 5)


def measured(venue: TimeServer, loop: VirtualTimeLoop, run_s: float) -> tuple[ClockMeter, ClockSeen]:
    """Let the meter run; what it knows at the end."""
    meter = ClockMeter(venue, venue.clock, policy)  # type: ignore[arg-type]

    async def go() -> ClockSeen:
        running = asyncio.create_task(meter.run())
        await asyncio.sleep(run_s)
        running.cancel()
        return meter.seen()

    return meter, run_in_virtual_time(go(), loop)


def server(*answers: int | VenueError, kind: type[TimeServer] = TimeServer) -> tuple[TimeServer, VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    return kind(VirtualClock(loop), list(answers) or [0]), loop


def test_the_clock_is_measured_with_several_questions_on_its_own_schedule() -> None:
    venue, loop = server()
    _, seen = measured(venue, loop, 21)
    # The deadline of this policy is 15 s, so a measurement is due every 5 s and not only every 10 s.
    start = venue.asked_at[0]
    assert [at - start for at in venue.asked_at] == [at for at in (0, 5_000, 10_000, 15_000, 20_000) for _ in range(SAMPLES)]
    assert seen.fresh == Offset(250, Millis(start + 20_000), 2)
    assert seen.good == Measured(ClockOffset(250, 2), Millis(start + 20_000))


def test_a_long_deadline_is_measured_every_ten_seconds() -> None:
    venue, loop = server()
    patient = SimpleNamespace(guards=POLICY.guards.model_copy(update={"blind_deadline_ms": 30_000}))
    meter = ClockMeter(venue, venue.clock, lambda: patient)  # type: ignore[arg-type, return-value]

    async def go() -> None:
        running = asyncio.create_task(meter.run())
        await asyncio.sleep(25)
        running.cancel()

    run_in_virtual_time(go(), loop)
    assert [at - venue.asked_at[0] for at in venue.asked_at[::SAMPLES]] == [0, 10_000, 20_000]


def test_the_quickest_of_several_answers_is_kept_with_its_uncertainty() -> None:
    venue, loop = server(64, 32, 96, 96)
    _, seen = measured(venue, loop, 1)
    assert seen.fresh is not None
    assert seen.fresh.uncertainty_ms == 16 + 2


@pytest.mark.parametrize("answers", [(DOWN,), (2 * CLOCK_SURE_MS + 10,)], ids=["no answer", "slow answers"])
def test_a_clock_that_is_not_known_well_is_measured_again_soon(answers: tuple[Any, ...]) -> None:
    venue, loop = server(*answers)
    measured(venue, loop, 3)
    # The next measurement of one that is known well would be due after 5 s.
    assert len(venue.asked_at) > (1 if answers[0] is DOWN else SAMPLES)


def test_a_venue_that_is_silent_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    venue, loop = server(DOWN)
    with caplog.at_level(logging.WARNING):
        measured(venue, loop, 9)
    assert len(venue.asked_at) > 2
    assert [record.__dict__["fields"]["code"] for record in caplog.records] == ["venue-silent"]


def test_the_last_good_measurement_is_kept_while_the_venue_is_silent() -> None:
    venue, loop = server(0, 0, 0, DOWN)
    _, seen = measured(venue, loop, FRESH_MS / 1000 + 0.001)
    begun = venue.asked_at[0]
    assert (seen.fresh, seen.good) == (None, Measured(ClockOffset(250, 2), Millis(begun)))


def test_answers_too_slow_to_judge_by_leave_the_last_good_one() -> None:
    venue, loop = server(0, 0, 0, 2_000)
    _, seen = measured(venue, loop, 12)
    assert seen.fresh is not None
    assert seen.fresh.uncertainty_ms == 1_002
    assert seen.good == Measured(ClockOffset(250, 2), Millis(venue.asked_at[0]))


def test_the_clients_own_estimate_is_used_and_followed() -> None:
    venue, loop = server(kind=Clocked)
    assert isinstance(venue, Clocked)
    venue.read_at = Millis(venue.clock.now() - 2_000)
    _, seen = measured(venue, loop, 1)
    assert seen.fresh == Offset(40, venue.read_at, 5)
    venue.read_at = None


def test_an_estimate_that_was_dropped_leaves_what_was_measured_last() -> None:
    venue, loop = server(kind=Clocked)
    assert isinstance(venue, Clocked)
    venue.read_at = venue.clock.now()
    meter, _ = measured(venue, loop, 1)
    venue.read_at = None
    assert meter.seen().good == Measured(ClockOffset(40, 5), Millis(venue.asked_at[0]))


@dataclass
class StepClock:
    """A clock that is set by ``wall_ms`` while the venue is asked; ``monotonic_ms`` pass in that time."""

    wall_ms: int
    monotonic_ms: int
    asked: int = 0

    def now(self) -> Millis:
        return Millis(1_700_000_000_000 + self.wall_ms * self.asked)

    def monotonic_ns(self) -> int:
        return self.monotonic_ms * self.asked * 1_000_000


@pytest.mark.parametrize(
    ("wall_ms", "monotonic_ms", "offset"),
    [
        (100, 100, Offset(50, Millis(1_700_000_000_100), 52)),
        (-400, 100, None),
        (100, -100, None),
        (2_000, 100, Offset(1_000, Millis(1_700_000_002_000), 1_950)),
        (103, 100, Offset(51, Millis(1_700_000_000_103), 53)),
    ],
    ids=["not set", "set back", "impossible", "set forward", "slewed"],
)
async def test_a_clock_that_is_set_while_the_venue_is_asked_is_no_measurement(
    wall_ms: int, monotonic_ms: int, offset: Offset | None
) -> None:
    clock = StepClock(wall_ms, monotonic_ms)

    class Asked:
        async def server_time(self) -> Millis:
            clock.asked = 1
            return Millis(1_700_000_000_000)

    meter = ClockMeter(Asked(), clock, policy)  # type: ignore[arg-type]
    assert await meter._ask() == offset


def test_a_measurement_from_before_our_clock_was_set_back_is_none() -> None:
    venue, loop = server()
    meter, seen = measured(venue, loop, 1)
    assert seen.fresh is not None
    set_back = SimpleNamespace(now=lambda: Millis(venue.clock.now() - 3_600_000), monotonic_ns=venue.clock.monotonic_ns)
    meter._clock = set_back  # type: ignore[assignment]
    # The last good one is dated by the monotonic clock, so it is as old as it was.
    assert meter.seen() == ClockSeen(None, Measured(ClockOffset(250, 2), Millis(venue.asked_at[0] - 3_600_000)))


def test_a_tick_has_the_present_measurement_and_the_last_good_one() -> None:
    clock: Any = SimpleNamespace(now=lambda: Millis(5_000), monotonic_ns=lambda: 0)
    good = Measured(ClockOffset(7, 2), Millis(4_000))
    clocks = {
        VenueName.LIVE: lambda: ClockSeen(None, good),
        VenueName.TESTNET: lambda: ClockSeen(Offset(3, Millis(4_900), 5), None),
    }
    inbox = Inbox()
    markets = Markets(feeds={}, rules={}, accelerated={}, symbols=(), clock=clock, inbox=inbox, clocks=clocks)
    markets.shift_clock(VenueName.TESTNET, 100)
    tick = markets.measured_now()
    assert (tick.clock_offset_ms, tick.clock_uncertainty_ms) == ({VenueName.TESTNET: 103}, {VenueName.TESTNET: 5})
    assert tick.clock_good == {VenueName.LIVE: good}


def test_a_venue_that_does_not_tell_its_time_is_silent_until_it_does() -> None:
    loop = VirtualTimeLoop()
    venue = TimeServer(VirtualClock(loop), [DOWN, DOWN, 0])
    began = venue.clock.now()

    async def go() -> list[ClockSeen]:
        meter = ClockMeter(venue, venue.clock, policy)
        running, seen = asyncio.create_task(meter.run()), [meter.seen()]
        for seconds in (1, 2, 20):
            await asyncio.sleep(seconds)
            seen.append(meter.seen())
        running.cancel()
        return seen

    found = [one.silence for one in run_in_virtual_time(go(), loop)]
    assert found == [None, Silence(began, "no reply"), Silence(began, "no reply"), None]


def test_a_market_counts_once_its_venue_is_known() -> None:
    clock, inbox = StoppedClock(1_000), Inbox()
    feeds = {
        name: SimpleNamespace(source=DataSource.LIVE, quote=lambda _: "a quote") for name in (VenueName.TESTNET, VenueName.LIVE)
    }
    rules: dict[VenueName, dict[str, SymbolRules]] = {name: {} for name in feeds}
    known = {VenueName.TESTNET: False}
    markets = Markets(feeds=feeds, rules=rules, accelerated=known, symbols=("BTCUSDT",), clock=clock, inbox=inbox, clocks={})  # type: ignore[arg-type]
    assert (set(markets.quotes(VenueName.TESTNET)), markets.quotes(VenueName.MOCK)) == ({"BTCUSDT"}, {})
    known[VenueName.LIVE] = False
    assert set(markets.quotes(VenueName.MOCK)) == {"BTCUSDT"}
