"""The writer with a leased journal: a halt does not wait for a hung server, and permits end before the lease does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from controller.core.effects import CancelAll, Effect, Place
from controller.core.inputs import HaltAsked
from controller.journal.lease import PERMIT_NS, RENEW_NS, TERM_NS
from controller.runtime.loop import writer as module
from exchange.errors import Halted
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.leased import LeasedShell, turns, until
from tests.support.shell import tick

HALT = HaltAsked(by="operator", reason="enough")


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


async def test_a_halt_latches_while_an_append_hangs_and_its_order_is_not_placed(shell: LeasedShell) -> None:
    permit = shell.permits.current()
    assert permit.is_live()
    shell.leased.answers.clear()
    answer = shell.place("0.00003")
    await turns()
    shell.inbox.fact(HALT, shell.clock.monotonic_ns())
    assert not permit.is_live()
    assert shell.halts == ["operator: enough"]
    live: list[bool] = []
    shell.on_perform = lambda effect: live.append(shell.permits.current().is_live()) if isinstance(effect, Place) else None
    shell.leased.answers.set()
    await answer
    await asyncio.wait_for(until(lambda: shell.writer.state.position.stage is Stage.HALTED), 5)
    assert live == [False]
    assert shell.permits.latched_because.endswith("enough")
    kinds = shell.kinds_on_disk()
    assert kinds.index("order-admitted") < kinds.index("stage-changed", kinds.index("order-admitted"))


async def test_an_append_that_succeeds_does_not_undo_a_later_latch(shell: LeasedShell) -> None:
    live: list[bool] = []
    shell.writer.add_follower(lambda _: live.append(shell.permits.current().is_live()))
    shell.leased.answers.clear()
    shell.place("0.00003")
    await turns()
    shell.inbox.fact(HALT, shell.clock.monotonic_ns())
    shell.leased.answers.set()
    await asyncio.wait_for(until(lambda: shell.writer.state.position.stage is Stage.HALTED), 5)
    assert live == [False, False]


async def test_a_silent_server_fails_the_writer_cancels_and_keeps_the_halt(
    shell: LeasedShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.05)
    performed: list[Effect] = []
    shell.on_perform = performed.append
    shell.leased.answers.clear()
    order = shell.place("0.00003")
    await turns()
    halt = shell.inbox.request(HALT, shell.clock.monotonic_ns())
    for answer in (order, halt):
        with pytest.raises(Halted, match="gave no answer within"):
            await asyncio.wait_for(answer, 5)
    assert [type(effect) for effect in performed] == [CancelAll]
    assert [(failure.halted, failure.taken_over) for failure in shell.failures] == [(True, False)]
    assert not shell.permits.current().is_live()


async def test_a_silent_server_without_a_halt_records_no_halt(shell: LeasedShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.05)
    shell.leased.answers.clear()
    with pytest.raises(Halted):
        await asyncio.wait_for(shell.place("0.00003"), 5)
    (failure,) = shell.failures
    assert (failure.halted, failure.epoch) == (False, shell.desk.state.epoch)
    assert failure.exclusive_until_ns == shell.clock.ns + TERM_NS


async def test_a_writer_that_was_replaced_does_not_touch_open_orders(shell: LeasedShell) -> None:
    performed: list[Effect] = []
    shell.on_perform = performed.append
    shell.leased.taken_over = True
    with pytest.raises(Halted, match="epoch 2"):
        await asyncio.wait_for(shell.place("0.00003"), 5)
    assert performed == []
    assert [failure.taken_over for failure in shell.failures] == [True]


# The lease


async def test_a_permit_is_dated_from_before_the_renewal_was_sent(shell: LeasedShell) -> None:
    sent = shell.clock.ns
    shell.leased.answers.clear()
    shell.place("0.00003")
    await turns()
    shell.clock.ns += 3_000_000_000
    shell.leased.answers.set()
    await asyncio.wait_for(until(lambda: len(shell.writer.state.open) == 1), 5)
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
