"""The writer over a journal under a lease: nothing waits for a hung server but what must, and permits end before the lease."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from controller.deciding.draft import Decision
from controller.effects import CancelAll, Effect, Place
from controller.inputs import HaltAsked
from controller.journal.chain import Entry, Record, Row
from controller.journal.lease import PERMIT_NS, RENEW_NS, TERM_NS, Lease
from controller.journal.port import JournalTakenOver
from controller.journal.sqlite import SqliteJournal
from controller.runtime import writer as module
from controller.runtime.writer import Failure, Writer
from exchange.errors import Halted
from exchange.model import Millis
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.shell import Shell, tick

HALT = HaltAsked(by="operator", reason="enough")


class Leased:
    """A real journal file behind a server that can fall silent, and a lease."""

    def __init__(self, journal: SqliteJournal) -> None:
        self._journal = journal
        self.answers = Event()
        self.answers.set()
        self.renewed = 0
        self.taken_over = False

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        self._wait()
        return self._journal.append(records, at)

    def renew(self) -> None:
        self._wait()
        self.renewed += 1

    def lease(self) -> Lease:
        return Lease(1, str(self.renewed))

    def rows_after(self, seq: int) -> list[Row]:
        raise AssertionError(f"nothing here follows from {seq}")

    def _wait(self) -> None:
        assert self.answers.wait(10)
        if self.taken_over:
            raise JournalTakenOver("epoch 2 has taken the journal over from epoch 1", code="journal-fenced", remedy="Stop.")

    def rows(self) -> Iterator[list[Row]]:
        raise AssertionError("nothing here reads everything")

    def integrity(self) -> tuple[str, ...]:
        return ()

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)


class LeasedShell(Shell):
    """A writer on a leased journal, running."""

    def __init__(self, desk: Desk, path: Path) -> None:
        super().__init__(desk, path)
        self.leased = Leased(self.journal)
        self.failures: list[Failure] = []
        self.halting: list[str] = []
        self.writer = Writer(
            journal=self.leased,  # type: ignore[arg-type]
            state=desk.state,
            clock=self.clock,
            permits=self.permits,
            inbox=self.inbox,
            perform=self._perform,
            failing=self.failures.append,
            halting=self.halting.append,
        )

    async def tick(self) -> None:
        """One tick decided and durable."""
        batches = asyncio.Event()
        self.writer.watch(lambda _: batches.set())
        self.inbox.fact(tick(self), self.clock.monotonic_ns())
        await asyncio.wait_for(batches.wait(), 5)

    def place(self, quantity: str) -> asyncio.Future[Decision]:
        return self.ask(self.desk.requested(quantity))


async def turns() -> None:
    """Let everything that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.tick()
    return desk


@pytest.fixture
async def shell(live: Desk, tmp_path: Path) -> AsyncIterator[LeasedShell]:
    made = LeasedShell(live.fork(), tmp_path / "journal.db")
    running = asyncio.create_task(made.writer.run())
    await made.tick()
    yield made
    made.leased.answers.set()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    made.journal.close()


# A server that does not answer


async def test_a_halt_latches_while_an_append_hangs_and_what_was_under_way_is_not_placed(shell: LeasedShell) -> None:
    permit = shell.permits.current()
    assert permit.is_live()
    shell.leased.answers.clear()
    answer = shell.place("0.00003")
    await turns()
    shell.inbox.fact(HALT, shell.clock.monotonic_ns())
    assert not permit.is_live()
    assert shell.halting == ["operator: enough"]
    live: list[bool] = []
    shell.on_perform = lambda effect: live.append(shell.permits.current().is_live()) if isinstance(effect, Place) else None
    shell.leased.answers.set()
    await answer
    await asyncio.wait_for(until(lambda: shell.writer.known.position.stage is Stage.HALTED), 5)
    assert live == [False]
    assert shell.permits.latched_because.endswith("enough")
    kinds = shell.kinds_on_disk()
    assert kinds.index("order-admitted") < kinds.index("stage-changed", kinds.index("order-admitted"))


async def test_a_latch_that_fell_meanwhile_does_not_open_again_when_the_append_before_it_succeeds(shell: LeasedShell) -> None:
    seen: list[bool] = []
    shell.writer.watch(lambda _: seen.append(shell.permits.current().is_live()))
    shell.leased.answers.clear()
    shell.place("0.00003")
    await turns()
    shell.inbox.fact(HALT, shell.clock.monotonic_ns())
    shell.leased.answers.set()
    await asyncio.wait_for(until(lambda: shell.writer.known.position.stage is Stage.HALTED), 5)
    assert seen == [False, False]


async def test_a_server_that_stays_silent_ends_the_writer_cancels_what_is_open_and_remembers_the_halt(
    shell: LeasedShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.05)
    performed: list[Effect] = []
    shell.on_perform = performed.append
    shell.leased.answers.clear()
    order = shell.place("0.00003")
    await turns()
    halt = shell.inbox.request(HALT, shell.clock.monotonic_ns())
    for asked in (order, halt):
        with pytest.raises(Halted, match="gave no answer within"):
            await asyncio.wait_for(asked, 5)
    assert [type(effect) for effect in performed] == [CancelAll]
    assert [(failure.halted, failure.taken_over) for failure in shell.failures] == [(True, False)]
    assert not shell.permits.current().is_live()


async def test_a_server_that_stays_silent_without_a_halt_leaves_no_halt_behind(
    shell: LeasedShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.05)
    shell.leased.answers.clear()
    with pytest.raises(Halted):
        await asyncio.wait_for(shell.place("0.00003"), 5)
    (failure,) = shell.failures
    assert (failure.halted, failure.epoch) == (False, shell.desk.state.epoch)
    assert failure.alone_until_ns == shell.clock.ns + TERM_NS


async def test_a_writer_that_was_taken_over_from_touches_nothing_that_is_open(shell: LeasedShell) -> None:
    performed: list[Effect] = []
    shell.on_perform = performed.append
    shell.leased.taken_over = True
    with pytest.raises(Halted, match="epoch 2"):
        await asyncio.wait_for(shell.place("0.00003"), 5)
    assert performed == []
    assert [failure.taken_over for failure in shell.failures] == [True]


# The lease


async def test_a_permit_lives_from_before_the_renewal_was_sent_and_no_longer(shell: LeasedShell) -> None:
    sent = shell.clock.ns
    shell.leased.answers.clear()
    shell.place("0.00003")
    await turns()
    shell.clock.ns += 3_000_000_000
    shell.leased.answers.set()
    await asyncio.wait_for(until(lambda: len(shell.writer.known.open) == 1), 5)
    permit = shell.permits.current()
    shell.clock.ns = sent + PERMIT_NS - 1
    assert permit.is_live()
    shell.clock.ns = sent + PERMIT_NS
    assert not permit.is_live()


async def test_a_writer_with_nothing_to_append_renews_its_lease(shell: LeasedShell) -> None:
    before = shell.leased.renewed
    shell.clock.ns += RENEW_NS
    length = shell.journal.head.seq
    shell.inbox.fact(tick(shell), shell.clock.ns)
    await asyncio.wait_for(until(lambda: shell.leased.renewed > before), 5)
    await turns()
    assert shell.journal.head.seq == length
    assert shell.permits.current().is_live()


async def test_a_tick_that_needs_no_renewal_does_not_lengthen_the_permit(shell: LeasedShell) -> None:
    sent = shell.clock.ns
    shell.clock.ns += RENEW_NS - 1
    renewed = shell.leased.renewed
    await shell.tick()
    assert shell.leased.renewed == renewed
    permit = shell.permits.current()
    shell.clock.ns = sent + PERMIT_NS
    assert not permit.is_live()


async def until(wanted: Callable[[], bool]) -> None:
    while not wanted():  # noqa: ASYNC110 - what is awaited happens in a thread and in the writer, in any order
        await asyncio.sleep(0.005)
