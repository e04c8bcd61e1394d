"""The writer with a real journal file: durable first, latched at once, and inactive for good once the journal fails."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from controller.core import event_codec
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision
from controller.core.decisions.held import Held
from controller.core.effects import CancelAll, Effect, Latch, Place
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.journal.chain import Entry, Record
from controller.journal.lease import RENEW_NS
from controller.journal.port import JournalWriteFailed
from controller.journal.sqlite import SqliteJournal, read_journal
from controller.runtime.loop import writer as module
from controller.runtime.loop.permit import LIFETIME_NS
from controller.runtime.loop.writer import CommittedBatch, Failure
from exchange.errors import Halted, Refused
from exchange.model import Millis, OrderStatus
from exchange.ports import Ack, VenueName
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.folding import fold
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


async def tick_and_step(shell: Shell) -> None:
    """Let a second pass, and decide the tick that samples it."""
    shell.desk.pass_time(1000)
    shell.clock.at = shell.desk.now
    shell.inbox.fact(tick(shell), 0)
    await shell.step()


# Journal first, act last


async def test_the_admission_is_on_disk_before_the_order_is_performed(shell: Shell) -> None:
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
    assert fold(State(), entries) == shell.writer.state


async def test_a_decision_without_events_writes_nothing(shell: Shell) -> None:
    await tick_and_step(shell)
    before = shell.journal.head
    shell.inbox.fact(i.VenueReported(VenueName.TESTNET, foreign_order(shell)), 0)
    await shell.step()
    assert shell.journal.head == before


def foreign_order(shell: Shell) -> object:
    desk = shell.desk.fork()
    return replace(desk.report(desk.placed(desk.order("0.00003")), OrderStatus.NEW), client_id="stranger")


async def test_time_never_goes_back_in_the_journal(shell: Shell) -> None:
    shell.clock.at = Millis(shell.clock.at - 60_000)
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert shell.writer.state.at == shell.desk.now


async def test_followers_get_a_batch_once_it_is_durable(shell: Shell) -> None:
    batches: list[tuple[int, int]] = []
    shell.writer.add_follower(lambda batch: batches.append((len(batch.entries), len(shell.kinds_on_disk()))))
    before = len(shell.kinds_on_disk())
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert batches == [(1, before + 1)]


async def test_a_follower_that_fails_does_not_stop_the_effects(shell: Shell) -> None:
    def broken(_: CommittedBatch) -> None:
        raise RuntimeError("a display bug")

    shell.writer.add_follower(broken)
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert [type(effect) for effect in shell.performed] == [Place]


async def test_an_effect_that_fails_does_not_stop_the_next_one(shell: Shell) -> None:
    def failing_perform(effect: Effect) -> None:
        shell.performed.append(effect)
        if type(effect) is not CancelAll:
            raise RuntimeError("no")

    shell.on_perform = failing_perform
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert any(isinstance(effect, CancelAll) for effect in shell.performed)


# Halting


async def test_the_latch_falls_before_the_journal_is_written(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    await tick_and_step(shell)
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


async def test_a_halt_overtakes_every_queued_input(shell: Shell) -> None:
    await tick_and_step(shell)
    order = shell.ask(shell.desk.requested("0.00003"))
    shell.inbox.fact(tick(shell), 0)
    shell.inbox.fact(i.HaltAsked("test", "stop"), 7)
    await shell.step()
    reply = (await order).reply
    assert isinstance(reply, Deny)
    assert reply.rule == "stage"
    assert not any(isinstance(effect, Place) for effect in shell.performed)
    assert shell.writer.halt_clock is not None
    assert shell.writer.halt_clock.known_ns == 7


async def test_a_signed_halt_overtakes_too(shell: Shell) -> None:
    command = shell.desk.command(Verb.HALT, Position(Stage.HALTED))
    order = shell.ask(shell.desk.requested("0.00003"))
    halt = shell.ask(i.CommandSubmitted(shell.desk.verified(command, "carol"), anchored=True, seen=shell.desk.seen()))
    await shell.step()
    await halt
    assert isinstance((await order).reply, Deny)
    assert shell.writer.state.position.stage is Stage.HALTED


async def test_an_order_admitted_just_before_a_halt_has_no_live_permit(shell: Shell) -> None:
    permits: list[bool] = []
    shell.on_perform = lambda effect: permits.append(shell.permits.current().is_live()) if isinstance(effect, Place) else None
    inputs = []
    shell.ask(shell.desk.requested("0.00003"))
    inputs += await shell.inbox.take(1)
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    inputs += await shell.inbox.take(1)
    shell.writer.step(inputs)
    assert permits == [False]


async def test_a_decision_that_fails_halts_in_the_same_batch(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.decide

    def broken(state: State, input_: i.Input, now: Millis, held: Held) -> Decision:
        if isinstance(input_, i.Tick):
            raise ZeroDivisionError
        return real(state, input_, now, held)

    monkeypatch.setattr(module, "decide", broken)
    shell.inbox.fact(tick(shell), 0)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    assert isinstance((await order).reply, Deny)
    assert shell.writer.state.halt_reason == "controller: ZeroDivisionError while deciding Tick"
    assert shell.permits.latched_because
    assert shell.kinds_on_disk()[-2:] == ["stage-changed", "order-denied"]


async def test_the_caller_of_a_decision_that_failed_gets_the_reason(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.decide

    def broken(state: State, input_: i.Input, now: Millis, held: Held) -> Decision:
        if isinstance(input_, i.OrderRequested):
            raise ZeroDivisionError
        return real(state, input_, now, held)

    monkeypatch.setattr(module, "decide", broken)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    with pytest.raises(Halted) as refusal:
        await order
    assert refusal.value.code == "decision-failed"
    assert shell.writer.state.position.stage is Stage.HALTED


async def test_an_impossible_proposal_is_refused_and_halts_nothing(shell: Shell) -> None:
    proposal = shell.ask(i.ProposalAsked(Verb.ADVANCE, Position(Stage.MOCK)))
    await shell.step()
    with pytest.raises(Refused):
        await proposal
    assert shell.writer.state.position.stage is Stage.LIVE_EUR10


async def test_a_halt_that_cannot_even_be_decided_latches_for_good(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", broken)
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    await shell.step()
    assert shell.writer.failed_because
    assert shell.permits.latched_because


# When the journal fails


async def failed(shell: Shell) -> asyncio.Future[Decision]:
    """Close the journal, then ask for an order."""
    await tick_and_step(shell)
    shell.performed.clear()
    shell.journal.close()
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    return order


async def test_an_order_that_cannot_be_journalled_is_refused_and_not_placed(shell: Shell) -> None:
    order = await failed(shell)
    with pytest.raises(Halted) as refusal:
        await order
    assert refusal.value.code == "journal-failed"
    assert [type(effect) for effect in shell.performed] == [CancelAll]
    assert not shell.writer.state.orders.get("gh-none")


async def test_a_failed_journal_latches_and_asks_for_every_cancel(shell: Shell) -> None:
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
    before = shell.writer.state
    for _ in range(3):
        shell.inbox.fact(tick(shell), 0)
        order = shell.ask(shell.desk.requested("0.00003"))
        await shell.step()
        with pytest.raises(Halted):
            await order
    assert (shell.performed, shell.writer.state) == ([], before)
    assert not shell.permits.current().is_live()


async def test_a_failed_write_latches_like_a_failed_disk(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> tuple[object, ...]:
        raise JournalWriteFailed("database or disk is full", code="journal-write-failed", remedy="Make room.")

    monkeypatch.setattr(SqliteJournal, "append", full)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    with pytest.raises(Halted, match="disk is full"):
        await order
    assert shell.writer.failed_because == "database or disk is full"


async def test_a_journal_file_that_was_replaced_counts_as_a_halt(shell: Shell) -> None:
    failures: list[Failure] = []
    shell.writer._on_failure = failures.append
    (shell.path.parent / "older").write_bytes(shell.path.read_bytes())
    (shell.path.parent / "older").replace(shell.path)
    shell.inbox.fact(i.VenueReported(VenueName.TESTNET, foreign_order(shell)), 0)
    await shell.step()
    assert [(failure.halted, failure.taken_over) for failure in failures] == [(True, False)]
    assert f"{shell.path} was removed or replaced" in failures[0].reason
    assert shell.permits.latched_because
    assert [type(effect) for effect in shell.performed] == [CancelAll]


async def test_an_event_that_cannot_be_encoded_counts_as_a_failed_journal(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(_: e.Event) -> bytes:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    monkeypatch.setattr(module.event_codec, "encode", unwritable)
    order = shell.ask(shell.desk.requested("0.00003"))
    await shell.step()
    with pytest.raises(Halted):
        await order
    assert not any(isinstance(effect, Place) for effect in shell.performed)


async def test_a_failed_writer_runs_on_and_refuses_every_request(shell: Shell) -> None:
    task = asyncio.create_task(shell.writer.run())
    with pytest.raises(Halted):
        await (await failed(shell))
    with pytest.raises(Halted):
        await asyncio.wait_for(shell.ask(shell.desk.requested("0.00003")), 5)
    assert not task.done()
    task.cancel()


# The permit follows the state


async def test_every_batch_renews_the_permit_and_it_expires_without_them(shell: Shell) -> None:
    for _ in range(3):
        await tick_and_step(shell)
        assert shell.permits.current().is_live()
        shell.clock.ns += LIFETIME_NS - 1
    assert shell.permits.current().is_live()
    shell.clock.ns += 1
    assert not shell.permits.current().is_live()


async def test_a_batch_that_wrote_nothing_does_not_renew_the_permit(shell: Shell) -> None:
    await tick_and_step(shell)
    shell.clock.ns += RENEW_NS - 1
    entries = shell.journal.head.seq
    shell.inbox.fact(tick(shell), 0)
    await shell.step()
    assert shell.journal.head.seq == entries
    shell.clock.ns += LIFETIME_NS - RENEW_NS
    assert shell.permits.current().is_live()
    shell.clock.ns += 1
    assert not shell.permits.current().is_live()


async def test_a_synced_write_without_an_entry_renews_the_permit(shell: Shell) -> None:
    await tick_and_step(shell)
    shell.clock.ns += RENEW_NS
    entries = shell.journal.head.seq
    shell.inbox.fact(tick(shell), 0)
    await shell.step()
    assert shell.journal.head.seq == entries
    shell.clock.ns += LIFETIME_NS - 1
    assert shell.permits.current().is_live()
    shell.clock.ns += 1
    assert not shell.permits.current().is_live()


async def test_a_fenced_writer_with_nothing_to_write_finds_out(shell: Shell) -> None:
    await tick_and_step(shell)
    other = apsw.Connection(str(shell.path))
    other.execute("UPDATE controller SET epoch = epoch + 1")
    other.close()
    shell.clock.ns += RENEW_NS
    shell.inbox.fact(tick(shell), 0)
    await shell.step()
    assert "has taken the journal over" in shell.writer.failed_because
    assert not shell.permits.current().is_live()


async def test_a_planned_stop_journals_what_is_held_back(shell: Shell) -> None:
    for _ in range(3):
        await tick_and_step(shell)
    seen, entries = shell.writer.seen, len(shell.kinds_on_disk())
    assert seen.tally != shell.writer.state.tally
    assert seen.seq == shell.writer.state.seq == entries
    shell.writer.write_held()
    assert shell.writer.state.tally == shell.writer.seen.tally == seen.tally
    assert shell.kinds_on_disk()[entries:] == ["sampled"]


async def test_a_permit_is_dated_from_when_its_batch_began(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    append = SqliteJournal.append

    def slowly(self: SqliteJournal, records: Sequence[Record], at: Millis) -> tuple[Entry, ...]:
        shell.clock.ns += LIFETIME_NS
        return append(self, records, at)

    monkeypatch.setattr(SqliteJournal, "append", slowly)
    await tick_and_step(shell)
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
    await tick_and_step(shell)
    assert shell.permits.latched_because == "test: stop"
    shell.journal.close()


async def test_a_latch_is_not_passed_to_the_performer(shell: Shell) -> None:
    shell.inbox.fact(i.HaltAsked("test", "stop"), 0)
    await shell.step()
    assert not any(isinstance(effect, Latch) for effect in shell.performed)
