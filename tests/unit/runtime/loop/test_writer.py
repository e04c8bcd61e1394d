"""The writer over a real journal file: durable first, latched at once, and silent for good once it cannot remember."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision, DeniedReply
from controller.core.effects import CancelAll, Effect, Latch, Place
from controller.core.fold.apply import fold
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Entry, Record
from controller.journal.port import JournalWriteFailed
from controller.journal.sqlite import SqliteJournal, read_journal
from controller.runtime.loop import writer as module
from controller.runtime.loop.permit import LIFETIME_NS
from controller.runtime.loop.writer import CommittedBatch
from exchange.errors import Halted, Refused
from exchange.model import Millis, OrderStatus
from exchange.ports import Ack, VenueName
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.shell import Shell, tick


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.tick()
    return desk


@pytest.fixture
def shell(live: Desk, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(live.fork(), tmp_path / "journal.db")
    yield made
    made.journal.close()


async def ticked(shell: Shell) -> None:
    """A second passes, and is sampled."""
    shell.desk.pass_time(1000)
    shell.clock.at = shell.desk.now
    shell.inbox.fact(tick(shell), 0)
    await shell.step()


# Remember first, act last


async def test_the_admission_is_on_disk_before_the_order_is_handed_over(shell: Shell) -> None:
    on_disk: list[list[str]] = []
    shell.on_perform = lambda effect: on_disk.append(shell.kinds_on_disk())
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert [kinds[-1] for kinds in on_disk] == ["order-admitted"]


async def test_a_batch_is_one_transaction_and_one_fold(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    appended: list[int] = []
    append = SqliteJournal.append

    def counted(self: SqliteJournal, records: list[Record], at: Millis) -> object:
        appended.append(len(records))
        return append(self, records, at)

    monkeypatch.setattr(SqliteJournal, "append", counted)
    answers = [shell.ask(shell.desk.requested("0.00002")) for _ in range(4)]
    await shell.step()
    assert appended == [4]
    assert {type((await answer).reply) for answer in answers} == {Admitted}


async def test_the_running_state_is_the_fold_of_the_file(shell: Shell) -> None:
    for answer in [shell.ask(shell.desk.requested("0.00009")) for _ in range(4)]:
        answer.add_done_callback(lambda _: None)
    shell.inbox.fact(tick(shell), 0)
    await shell.step()
    reader = read_journal(shell.path)
    entries = [(event_codec.decode(entry.kind, entry.body), entry.at) for entry in reader.read()]
    reader.close()
    assert fold(State(), entries) == shell.writer.known


async def test_a_decision_without_events_writes_nothing(shell: Shell) -> None:
    await ticked(shell)
    before = shell.journal.head
    shell.inbox.fact(i.VenueReported(VenueName.LIVE, stranger(shell)), 0)
    await shell.step()
    assert shell.journal.head == before


def stranger(shell: Shell) -> object:
    desk = shell.desk.fork()
    return replace(desk.report(desk.placed(desk.order("0.00003")), OrderStatus.NEW), client_id="stranger")


async def test_time_never_goes_back_in_the_journal(shell: Shell) -> None:
    shell.clock.at = Millis(shell.clock.at - 60_000)
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert shell.writer.known.at == shell.desk.now


async def test_watchers_see_a_batch_once_it_is_durable(shell: Shell) -> None:
    seen: list[tuple[int, int]] = []
    shell.writer.watch(lambda batch: seen.append((len(batch.entries), len(shell.kinds_on_disk()))))
    before = len(shell.kinds_on_disk())
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert seen == [(1, before + 1)]


async def test_a_watcher_that_fails_keeps_nothing_from_being_done(shell: Shell) -> None:
    def broken(_: CommittedBatch) -> None:
        raise RuntimeError("a display bug")

    shell.writer.watch(broken)
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert [type(effect) for effect in shell.performed] == [Place]


async def test_an_effect_that_cannot_be_started_keeps_none_from_the_next(shell: Shell) -> None:
    def fussy(effect: Effect) -> None:
        shell.performed.append(effect)
        if type(effect) is not CancelAll:
            raise RuntimeError("no")

    shell.on_perform = fussy
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert any(isinstance(effect, CancelAll) for effect in shell.performed)


# Halting


async def test_the_latch_falls_before_the_journal_is_written(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    await ticked(shell)
    live_while_writing: list[bool] = []
    append = SqliteJournal.append
    permit = shell.permits.current()
    monkeypatch.setattr(
        SqliteJournal, "append", lambda self, records, at: live_while_writing.append(permit.is_live()) or append(self, records, at)
    )
    assert permit.is_live()
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    await shell.step()
    assert live_while_writing == [False]


async def test_a_halt_overtakes_everything_that_waits(shell: Shell) -> None:
    await ticked(shell)
    order = shell.ask(shell.desk.requested("0.00003"))
    shell.inbox.fact(tick(shell), 0)
    shell.inbox.fact(i.HaltAsked("test", "stop"), 7)
    await shell.step()
    reply = (await order).reply
    assert isinstance(reply, DeniedReply)
    assert reply.rule == "stage"
    assert not any(isinstance(effect, Place) for effect in shell.performed)
    assert shell.writer.halt_clock is not None
    assert shell.writer.halt_clock.known_ns == 7


async def test_a_signed_halt_overtakes_too(shell: Shell) -> None:
    command = shell.desk.command(Verb.HALT, Position(Stage.HALTED))
    order = shell.ask(shell.desk.requested("0.00003"))
    halt = shell.ask(i.CommandSubmitted(shell.desk.verified(command, "carol"), anchored=True))
    await shell.step()
    await halt
    assert isinstance((await order).reply, DeniedReply)
    assert shell.writer.known.position.stage is Stage.HALTED


async def test_an_order_admitted_just_before_a_halt_has_no_permit_to_leave(shell: Shell) -> None:
    permits: list[bool] = []
    shell.on_perform = lambda effect: permits.append(shell.permits.current().is_live()) if isinstance(effect, Place) else None
    letters = []
    shell.ask(shell.desk.requested("0.00003"))
    letters += await shell.inbox.take(1)
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    letters += await shell.inbox.take(1)
    shell.writer.step(letters)
    assert permits == [False]


async def test_a_decision_that_fails_halts_in_the_same_batch(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.decide

    def broken(state: State, given: i.Input, now: Millis) -> Decision:
        if isinstance(given, i.Tick):
            raise ZeroDivisionError
        return real(state, given, now)

    monkeypatch.setattr(module, "decide", broken)
    shell.inbox.fact(tick(shell), 0)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert isinstance((await order).reply, DeniedReply)
    assert shell.writer.known.halt_reason == "controller: ZeroDivisionError while deciding Tick"
    assert shell.permits.latched_because
    assert shell.kinds_on_disk()[-2:] == ["stage-changed", "order-denied"]


async def test_whoever_asked_for_a_decision_that_failed_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.decide

    def broken(state: State, given: i.Input, now: Millis) -> Decision:
        if isinstance(given, i.OrderRequested):
            raise ZeroDivisionError
        return real(state, given, now)

    monkeypatch.setattr(module, "decide", broken)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    with pytest.raises(Halted) as refusal:
        await order
    assert refusal.value.code == "decision-failed"
    assert shell.writer.known.position.stage is Stage.HALTED


async def test_a_proposal_that_makes_no_sense_is_refused_and_halts_nothing(shell: Shell) -> None:
    proposal = shell.ask(i.ProposalAsked(Verb.ADVANCE, Position(Stage.MOCK)))
    await shell.step()
    with pytest.raises(Refused):
        await proposal
    assert shell.writer.known.position.stage is Stage.LIVE_EUR10


async def test_a_halt_that_cannot_even_be_decided_latches_for_good(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", broken)
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    await shell.step()
    assert shell.writer.failed_because
    assert shell.permits.latched_because


# When nothing can be remembered


async def failed(shell: Shell) -> asyncio.Future[Decision]:
    """The journal goes away under an order."""
    await ticked(shell)
    shell.performed.clear()
    shell.journal.close()
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    return order


async def test_an_order_that_cannot_be_remembered_is_turned_away_and_never_placed(shell: Shell) -> None:
    order = await failed(shell)
    with pytest.raises(Halted) as refusal:
        await order
    assert refusal.value.code == "journal-failed"
    assert [type(effect) for effect in shell.performed] == [CancelAll]
    assert not shell.writer.known.orders.get("gh-none")


async def test_a_journal_that_failed_latches_and_asks_for_every_cancel(shell: Shell) -> None:
    with pytest.raises(Halted):
        await (await failed(shell))
    assert shell.permits.latched_because
    (cancel,) = shell.performed
    assert isinstance(cancel, CancelAll)
    assert (cancel.venue, cancel.symbols) == (VenueName.LIVE, ("BTCUSDT",))


async def test_a_writer_that_failed_never_acts_again(shell: Shell) -> None:
    with pytest.raises(Halted):
        await (await failed(shell))
    shell.performed.clear()
    known = shell.writer.known
    for _ in range(3):
        shell.inbox.fact(tick(shell), 0)
        order = shell.ask(shell.desk.requested("0.00003"))
        await shell.step()
        with pytest.raises(Halted):
            await order
    assert (shell.performed, shell.writer.known) == ([], known)
    assert not shell.permits.current().is_live()


async def test_a_failed_write_latches_like_a_failed_disk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> tuple[object, ...]:
        raise JournalWriteFailed("database or disk is full", code="journal-write-failed", remedy="Make room.")

    monkeypatch.setattr(SqliteJournal, "append", full)
    await_order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    with pytest.raises(Halted, match="disk is full"):
        await await_order
    assert shell.writer.failed_because == "database or disk is full"


async def test_an_event_that_cannot_be_written_down_is_a_failed_journal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(_: e.Event) -> bytes:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    monkeypatch.setattr(module.e, "encode", unwritable)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    with pytest.raises(Halted):
        await order
    assert not any(isinstance(effect, Place) for effect in shell.performed)


async def test_the_writer_runs_on_after_a_failure_to_turn_everybody_away(shell: Shell) -> None:
    task = asyncio.create_task(shell.writer.run())
    with pytest.raises(Halted):
        await (await failed(shell))
    with pytest.raises(Halted):
        await asyncio.wait_for(shell.ask(shell.desk.requested("0.00003")), 5)
    assert not task.done()
    task.cancel()


# The permit follows the state


async def test_the_permit_is_renewed_with_every_batch_and_dies_without_them(shell: Shell) -> None:
    for _ in range(3):
        await ticked(shell)
        assert shell.permits.current().is_live()
        shell.clock.ns += LIFETIME_NS - 1
    assert shell.permits.current().is_live()
    shell.clock.ns += 1
    assert not shell.permits.current().is_live()


async def test_a_batch_that_wrote_nothing_keeps_no_permit_alive(shell: Shell) -> None:
    await ticked(shell)
    shell.clock.ns += LIFETIME_NS - 1
    entries = shell.journal.head.seq
    shell.inbox.fact(tick(shell), 0)
    await shell.step()
    assert shell.journal.head.seq == entries
    assert shell.permits.current().is_live()
    shell.clock.ns += 1
    assert not shell.permits.current().is_live()


async def test_a_permit_is_dated_from_when_its_batch_began(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    append = SqliteJournal.append

    def slowly(self: SqliteJournal, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        shell.clock.ns += LIFETIME_NS
        return append(self, records, at)

    monkeypatch.setattr(SqliteJournal, "append", slowly)
    await ticked(shell)
    assert not shell.permits.current().is_live()


async def test_an_unarmed_controller_has_no_permit(live: Desk, tmp_path: Path) -> None:
    desk = live.fork()
    desk.boot()
    shell = Shell(desk, tmp_path / "unarmed.db")
    shell.inbox.fact(i.PlacementAnswered(next(iter(desk.state.orders)), Ack("C1", desk.now)), 0)
    await shell.step()
    assert not shell.permits.current().is_live()
    shell.journal.close()


async def test_a_halted_start_has_no_permit(live: Desk, tmp_path: Path) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    shell = Shell(desk, tmp_path / "halted.db")
    await ticked(shell)
    assert shell.permits.latched_because == "test: stop"
    shell.journal.close()


async def test_a_latch_is_never_handed_to_the_shell_as_work(shell: Shell) -> None:
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    await shell.step()
    assert not any(isinstance(effect, Latch) for effect in shell.performed)
