"""The claim of an account at witnesses: a live twin stops a start and halts a run; a dead one and a silent witness do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.core.effects import Alert
from controller.journal.claim_note import LEASE_S, RENEW_S
from controller.journal.targets.witness_claims import Claimed, ClaimReply, HeldByAnother, NoClaims, WitnessStarting
from controller.runtime.followers.remote_claims import Claimant, RemoteClaims
from controller.witness.claims import ClaimBook
from exchange.errors import Refused, Unreachable
from tests.support.logbook import Logbook
from tests.support.virtual_time import VirtualClock, VirtualTimeLoop, run_in_virtual_time

LOG = Logbook()
ACCOUNT = f"sha256:{'0a' * 32}"


@dataclass
class RealBook:
    """The witness's own book, without a network. ``down`` makes it silent."""

    clock: VirtualClock
    name: str = "witness w"
    down: bool = False
    claims: bool = True
    book: ClaimBook = field(init=False)

    def __post_init__(self) -> None:
        self.restart(ago_s=LEASE_S)

    def restart(self, ago_s: int = 0) -> None:
        self.book = ClaimBook({LOG.key.name: LOG.key}, self.clock.monotonic_ns() - ago_s * 1_000_000_000)

    async def ask(self, note: str) -> ClaimReply:
        if self.down:
            raise Unreachable("no answer in 10 s", code="target-unreachable", remedy="Start it.")
        if not self.claims:
            return NoClaims()
        answer = self.book.ask(note.encode(), now_ns=self.clock.monotonic_ns(), now_s=self.clock.now() // 1000)
        if answer.status == 200:
            return Claimed()
        kind, _, seconds = answer.line.partition(" ")
        return HeldByAnother(int(seconds)) if kind == "held" else WitnessStarting(int(seconds))


@dataclass
class World:
    loop: VirtualTimeLoop
    clock: VirtualClock
    witness: RealBook
    alerts: list[Alert] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def controller(self, holder: str) -> RemoteClaims:
        claimant = Claimant(LOG.owner, ACCOUNT, holder * 64, LOG.private)
        return RemoteClaims(lambda: claimant, [self.witness], self.clock, self.alerts.append)

    async def runs(self, controller: RemoteClaims, seconds: float) -> None:
        """Let a controller renew for so long, then kill it."""
        work = asyncio.create_task(controller.run(self.lost.append))
        await asyncio.sleep(seconds)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def played(scene: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    loop = VirtualTimeLoop()
    clock = VirtualClock(loop)
    world = World(loop, clock, RealBook(clock))
    run_in_virtual_time(scene(world), loop)
    return world


def test_a_start_beside_a_live_controller_is_refused() -> None:
    async def scene(world: World) -> None:
        first, copy = world.controller("a"), world.controller("b")
        await first.acquire()
        running = asyncio.create_task(first.run(world.lost.append))
        await asyncio.sleep(40)
        with pytest.raises(Refused) as refused:
            await copy.acquire()
        assert refused.value.code == "account-claimed"
        assert world.loop.passed_s < 40 + RENEW_S + 5
        running.cancel()

    assert played(scene).lost == []


def test_a_start_after_a_dead_controller_waits_for_its_lease() -> None:
    waits: list[str] = []

    async def scene(world: World) -> None:
        first = world.controller("a")
        await first.acquire()
        await world.runs(first, 20)
        await world.controller("b").acquire(waits.append)
        assert world.loop.passed_s < 20 + LEASE_S + 5

    assert played(scene).alerts == []
    assert "another controller claimed this account" in waits[0]


def test_a_controller_that_stopped_leaves_the_account_free() -> None:
    async def scene(world: World) -> None:
        first = world.controller("a")
        await first.acquire()
        await first.release()
        await world.controller("b").acquire()
        assert world.loop.passed_s == 0

    played(scene)


def test_a_controller_whose_account_was_taken_halts() -> None:
    async def scene(world: World) -> None:
        first, copy = world.controller("a"), world.controller("b")
        await first.acquire()
        await asyncio.sleep(LEASE_S + 1)
        await copy.acquire()
        await world.runs(first, RENEW_S + 1)

    assert ["another controller trades on this account" in reason for reason in played(scene).lost] == [True]


def test_a_lost_account_is_claimed_again_before_orders_leave() -> None:
    async def scene(world: World) -> None:
        first, copy = world.controller("a"), world.controller("b")
        await first.acquire()
        await asyncio.sleep(LEASE_S + 1)
        await copy.acquire()
        running = asyncio.create_task(first.run(world.lost.append))
        other = asyncio.create_task(copy.run(lambda _: None))
        await asyncio.sleep(5 * LEASE_S)
        assert first.problem
        other.cancel()
        await copy.release()
        await asyncio.sleep(2 * RENEW_S)
        assert first.problem == ""
        running.cancel()

    assert len(played(scene).lost) == 1


def test_no_order_goes_to_the_real_venue_before_the_witness_answers() -> None:
    async def scene(world: World) -> None:
        world.witness.down = True
        first = world.controller("a")
        assert first.problem
        await first.acquire()
        assert "no answer in 10 s" in first.problem
        world.witness.down = False
        await world.runs(first, 5)
        assert first.problem == ""

    assert len(played(scene).alerts) == 1


def test_a_witness_that_is_silent_for_an_hour_stops_nothing() -> None:
    async def scene(world: World) -> None:
        first = world.controller("a")
        await first.acquire()
        world.witness.down = True
        await world.runs(first, 3600)
        assert first.problem == ""

    world = played(scene)
    assert (len(world.alerts), world.lost) == (1, [])
    assert "cannot keep another host" in world.alerts[0].detail


def test_a_short_silence_of_a_witness_alerts_nobody() -> None:
    async def scene(world: World) -> None:
        first = world.controller("a")
        await first.acquire()
        world.witness.down = True
        await world.runs(first, LEASE_S - RENEW_S)

    assert played(scene).alerts == []


def test_a_restarted_witness_keeps_the_account_for_its_holder() -> None:
    async def scene(world: World) -> None:
        first, copy = world.controller("a"), world.controller("b")
        await first.acquire()
        world.witness.restart()
        await copy.acquire()
        assert "has just started" in copy.problem
        renewing = asyncio.create_task(first.run(world.lost.append))
        lost: list[str] = []
        claiming = asyncio.create_task(copy.run(lost.append))
        await asyncio.sleep(60)
        assert "another controller trades on this account" in lost[0]
        renewing.cancel()
        claiming.cancel()

    assert played(scene).lost == []


def test_a_start_does_not_wait_for_a_witness_that_has_just_started() -> None:
    async def scene(world: World) -> None:
        world.witness.restart()
        first = world.controller("a")
        await first.acquire()
        assert (world.loop.passed_s, first.problem != "") == (0, True)
        await world.runs(first, LEASE_S + 3)
        assert first.problem == ""

    assert played(scene).alerts == []


def test_a_witness_without_claims_stops_nothing() -> None:
    async def scene(world: World) -> None:
        world.witness.claims = False
        first = world.controller("a")
        await first.acquire()
        assert first.problem == ""
        await world.runs(first, 100)

    world = played(scene)
    assert (world.alerts, world.lost) == ([], [])


def test_a_deployment_without_witnesses_claims_nothing() -> None:
    async def scene(world: World) -> None:
        claims = RemoteClaims(lambda: Claimant(LOG.owner, ACCOUNT, "a" * 64, LOG.private), [], world.clock, world.alerts.append)
        await claims.acquire()
        assert claims.problem == ""
        await claims.release()

    played(scene)
