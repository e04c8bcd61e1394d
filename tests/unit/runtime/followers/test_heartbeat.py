"""The controller's side of the watchdog: when it beats, when it lets no order pass, and how it absorbs the watchdog's log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.core.causes import Cause, HaltClass
from controller.core.effects import AlertKind
from controller.core.inputs import AlertEnded, AlertNoticed, HaltAsked, Input, WatchdogLogRead
from controller.core.lifecycle import Position
from controller.runtime.followers.heartbeat import FRESH_NS, LOST_AFTER_NS, Heartbeat, Link, Ties, watchdog_problem
from controller.runtime.loop.clock import SystemClock
from controller.runtime.loop.inbox import Inbox
from controller.runtime.loop.permit import PermitOffice
from controller.watchdog.lease import SECOND, Phase, Terms
from controller.watchdog.log import LOG_FILE
from controller.watchdog.protocol import Answer
from exchange.model import Millis
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.kennel import Books, Kennel, kennel
from tests.support.shell import SetClock

NOW = 1_000 * SECOND
LOCAL = Ties(Path("w.sock"), "", 10, required=False)
NEEDED = replace(LOCAL, required=True)
REMOTE = Ties(("10.0.0.2", 8730), "token", 10, required=False)


def answer(**fields: Any) -> Answer:
    usual: dict[str, Any] = {
        "phase": Phase.WATCHING,
        "beat": 1,
        "lease_ms": 10_000,
        "head_seq": 1,
        "head_hash": "sha256:00",
        "fired_seq": 0,
        "served": ["live", "testnet"],
        "read_age_ms": 10,
        "problem": "",
    }
    return Answer(**(usual | fields))


def link(age_s: float = 0.2, *, connected: bool = True, watched: frozenset[VenueName] | None = None, **fields: Any) -> Link:
    at = NOW - int(age_s * SECOND)
    venues = frozenset({VenueName.LIVE, VenueName.TESTNET}) if watched is None else watched
    return Link(connected, "" if connected else "it died", answer(**fields), at, at, venues)


@pytest.mark.parametrize(
    ("known", "ties", "venue", "says"),
    [
        pytest.param(link(), NEEDED, VenueName.LIVE, "", id="it answers"),
        pytest.param(Link(), LOCAL, VenueName.TESTNET, "has not answered", id="it never answered"),
        pytest.param(Link(), NEEDED, VenueName.MOCK, "", id="nothing leaves the process"),
        pytest.param(link(4.9), NEEDED, VenueName.LIVE, "", id="just within half a lease"),
        pytest.param(link(5.1), LOCAL, VenueName.TESTNET, "has confirmed nothing", id="silent for half a lease"),
        pytest.param(link(phase=Phase.FIRING), LOCAL, VenueName.TESTNET, "fired", id="it is cancelling"),
        pytest.param(link(phase=Phase.FIRED), LOCAL, VenueName.TESTNET, "fired", id="it fired"),
        pytest.param(link(fired_seq=8), LOCAL, VenueName.TESTNET, "not absorbed", id="it fired and was released"),
        pytest.param(link(fired_seq=7), LOCAL, VenueName.TESTNET, "", id="what fired is absorbed"),
        pytest.param(link(99, connected=False), LOCAL, VenueName.LIVE, "", id="no process, not required"),
        pytest.param(link(connected=False), NEEDED, VenueName.LIVE, "no watchdog runs", id="no process, required"),
        pytest.param(link(connected=False), NEEDED, VenueName.TESTNET, "", id="no process, no real money"),
        pytest.param(link(99, connected=False), REMOTE, VenueName.TESTNET, "has confirmed", id="it may live behind a partition"),
        pytest.param(link(watched=frozenset()), LOCAL, VenueName.LIVE, "does not watch", id="it does not know the venue yet"),
        pytest.param(link(watched=frozenset(), served=["live"]), NEEDED, VenueName.TESTNET, "", id="a venue it never serves"),
        pytest.param(link(watched=frozenset(), served=[]), NEEDED, VenueName.LIVE, "does not watch", id="no key for real money"),
        pytest.param(link(problem="bad key"), NEEDED, VenueName.LIVE, "bad key", id="its key does not work"),
        pytest.param(link(read_age_ms=61_000), NEEDED, VenueName.LIVE, "61 s ago", id="it cannot see the orders"),
    ],
)
def test_what_the_watchdog_says_about_placing(known: Link, ties: Ties, venue: VenueName, says: str) -> None:
    problem = watchdog_problem(known, ties, venue, 7, NOW)
    assert says in problem
    assert bool(says) == bool(problem)


def at_testnet() -> Desk:
    desk = Desk()
    desk.walk_to(Stage.TESTNET_VALIDATING)
    return desk


def with_an_order() -> Desk:
    desk = at_testnet()
    desk.placed(desk.order("0.00003"))
    return desk


@dataclass
class Side:
    """A controller's side: what it puts into the inbox is decided at once, on a real state."""

    dog: Kennel
    desk: Desk
    heartbeat: Heartbeat
    decided_ns: int | None
    inputs: list[Input]
    permits: PermitOffice

    async def until(self, wanted: Callable[[], bool]) -> None:
        for _ in range(2_000):
            self.decided_ns = None if self.decided_ns is None else SystemClock().monotonic_ns()
            self.permits.renew()
            if wanted():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"it did not come to that: {self.heartbeat.view().line}")


class _Decided(Inbox):
    def __init__(self, side: Callable[[], Side]) -> None:
        super().__init__()
        self._side = side

    def fact(self, input_: Input, known_ns: int) -> None:
        self._side().inputs.append(input_)
        self._side().desk.give(input_)


@asynccontextmanager
async def beating(folder: Path, books: Books | None = None, *, desk: Desk | None = None, lease_s: int = 2) -> AsyncIterator[Side]:
    desk = desk or at_testnet()
    built: list[Side] = []
    terms = Terms(lease_s * SECOND, 3600 * SECOND)
    async with kennel(folder, books or Books(), name=desk.state.controller_id, terms=terms) as dog:
        ties = Ties(dog.address, "", lease_s, required=True)
        clock = SystemClock()
        heartbeat = Heartbeat(ties, lambda: desk.state, lambda: built[0].decided_ns, _Decided(lambda: built[0]), clock)
        permits = PermitOffice(clock, 1)
        permits.require(heartbeat.problem)
        built.append(Side(dog, desk, heartbeat, clock.monotonic_ns(), [], permits))
        task = asyncio.create_task(heartbeat.run())
        try:
            yield built[0]
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_no_order_passes_before_the_first_answer_and_then_it_does(tmp_path: Path) -> None:
    async with beating(tmp_path) as side:
        side.permits.renew()
        assert not side.permits.current().is_live()
        await side.until(lambda: side.permits.current().is_live())
        assert side.dog.watchdog.phase is Phase.WATCHING


async def test_a_writer_that_is_late_sends_no_beat(tmp_path: Path) -> None:
    async with beating(tmp_path) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        assert side.decided_ns is not None
        side.decided_ns -= FRESH_NS
        for _ in range(2_000):
            if side.dog.watchdog.phase is Phase.FIRED:
                break
            await asyncio.sleep(0.02)
        assert side.dog.watchdog.phase is Phase.FIRED
        assert not side.permits.current().is_live()


async def test_a_controller_that_cannot_cancel_its_orders_counts_as_silent(tmp_path: Path) -> None:
    async with beating(tmp_path, Books({"BTCUSDT": 1}), desk=with_an_order()) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        side.heartbeat.cannot_cancel = lambda: "nothing is signed"
        await side.until(lambda: side.desk.state.halt_cause is Cause.WATCHDOG)
        await side.until(lambda: side.dog.watchdog.phase is Phase.FIRED)
        assert side.dog.books.orders == {}
        fired = side.dog.watchdog._log.fired_seq
        later = SystemClock().monotonic_ns() + 3 * SECOND
        await side.until(lambda: SystemClock().monotonic_ns() > later)
        assert (side.dog.watchdog.phase, side.dog.watchdog._log.fired_seq) == (Phase.FIRED, fired)
        side.heartbeat.cannot_cancel = lambda: ""
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)


async def test_a_controller_without_open_orders_has_nothing_to_cancel(tmp_path: Path) -> None:
    async with beating(tmp_path) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        side.heartbeat.cannot_cancel = lambda: "nothing is signed"
        vouched = side.heartbeat._link.vouched_ns
        await side.until(lambda: side.heartbeat._link.vouched_ns > vouched + 2 * SECOND)
        assert side.dog.watchdog.phase is Phase.WATCHING


async def test_a_permit_is_refused_by_the_clock_alone(tmp_path: Path) -> None:
    async with beating(tmp_path) as side:
        await side.until(lambda: side.permits.current().is_live())
        permit = side.permits.current()
        side.heartbeat._clock = _Later(1.1)
        assert not permit.is_live()


class _Later(SystemClock):
    """The clock of a process that was stopped for a while."""

    def __init__(self, seconds: float) -> None:
        self._ns = int(seconds * SECOND)

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self._ns


async def test_a_log_that_fired_halts_and_releases_the_watchdog(tmp_path: Path) -> None:
    async with beating(tmp_path, Books({"BTCUSDT": 2})) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        side.decided_ns = None
        await side.dog.until(lambda: side.dog.watchdog.phase is Phase.FIRED)
        side.decided_ns = SystemClock().monotonic_ns()
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        state = side.desk.state
        assert (state.position, state.halt_cause) == (Position(Stage.HALTED), Cause.WATCHDOG)
        assert side.dog.books.orders == {}


async def test_what_was_absorbed_does_not_halt_again(tmp_path: Path) -> None:
    async with beating(tmp_path) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        side.decided_ns = None
        await side.dog.until(lambda: side.dog.watchdog.phase is Phase.FIRED)
        side.decided_ns = SystemClock().monotonic_ns()
        await side.until(lambda: side.desk.state.watchdog_seq >= 4)
    assert [one.fired for one in side.inputs if isinstance(one, WatchdogLogRead)].count(True) == 1


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda lines: lines[:1], id="cut"),
        pytest.param(lambda lines: [lines[0].replace('"at":', '"at":1'), *lines[1:]], id="edited"),
        pytest.param(lambda lines: [], id="removed"),
    ],
)
async def test_a_log_that_is_not_the_one_absorbed_before_halts_as_integrity_once(
    tmp_path: Path, alter: Callable[[list[str]], list[str]]
) -> None:
    desk = at_testnet()
    async with beating(tmp_path, desk=desk) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        await side.until(lambda: side.desk.state.watchdog_seq == 1)
        side.decided_ns = None
        await side.dog.until(lambda: side.dog.watchdog.phase is Phase.FIRED)
        side.decided_ns = SystemClock().monotonic_ns()
        await side.until(lambda: side.desk.state.watchdog_seq >= 4)
    log = tmp_path / LOG_FILE
    log.write_text("".join(line + "\n" for line in alter(log.read_text().splitlines())))
    fresh = at_testnet()
    fresh.give(WatchdogLogRead(seq=desk.state.watchdog_seq, hash=desk.state.watchdog_head, entries=1))
    async with beating(tmp_path, desk=fresh) as side:
        await side.until(lambda: fresh.state.halt_class is HaltClass.INTEGRITY)
        await side.until(lambda: fresh.state.watchdog_seq < 4 and side.dog.watchdog.phase is Phase.WATCHING)
        halts = [one for one in side.inputs if isinstance(one, HaltAsked) or (isinstance(one, WatchdogLogRead) and one.broken)]
        assert len(halts) == 1


async def test_a_goodbye_ends_the_watch(tmp_path: Path) -> None:
    async with beating(tmp_path) as side:
        await side.until(lambda: side.dog.watchdog.phase is Phase.WATCHING)
        side.decided_ns = None
        await side.heartbeat.goodbye()
        assert side.dog.watchdog.phase is Phase.WAITING


async def test_without_a_watchdog_the_view_says_so(tmp_path: Path) -> None:
    state = at_testnet().state
    ties = Ties(tmp_path / "none.sock", "", 10, required=True)
    heartbeat = Heartbeat(ties, lambda: state, lambda: None, Inbox(), SystemClock())
    task = asyncio.create_task(heartbeat.run())
    for _ in range(500):
        if "No such file" in heartbeat.view().line:
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert "NOT CONNECTED" in heartbeat.view().line
    assert "No such file" in heartbeat.view().problem


async def test_a_watchdog_that_stays_away_is_alerted_once_until_it_answers(tmp_path: Path) -> None:
    desk, clock, inputs = at_testnet(), SetClock(Millis(1)), list[Input]()

    class Kept(Inbox):
        def fact(self, input_: Input, known_ns: int) -> None:
            inputs.append(input_)
            desk.give(input_)

    heartbeat = Heartbeat(replace(LOCAL, address=tmp_path / "none"), lambda: desk.state, lambda: None, Kept(), clock)
    for _ in range(5):
        clock.ns += LOST_AFTER_NS // 2
        heartbeat._note_loss("refused")
    heartbeat._note_reached()
    heartbeat._note_reached()
    assert [type(one) for one in inputs] == [AlertNoticed, AlertEnded]
    (alert,) = [one for one in desk.state.alerts if one.kind is AlertKind.WATCHDOG_LOST]
    assert alert.cleared_at is not None
