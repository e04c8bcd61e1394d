"""What stops something on a journal across the network: a halt that cannot be decided, and one that is only practised."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from controller.core import inputs as i
from controller.core.decide import decide
from controller.core.decisions.draft import Decision
from controller.core.decisions.drills import HALT_DRILL
from controller.core.decisions.held import Held
from controller.core.effects import Effect, Place
from controller.core.state import State
from controller.runtime.loop import writer as module
from exchange.errors import Halted
from exchange.model import Millis
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.leased import LeasedShell, turns

HALT = i.HaltAsked(by="operator", reason="enough")


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.tick()
    return desk


@pytest.fixture(scope="module")
def validating() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


@asynccontextmanager
async def running(desk: Desk, directory: Path) -> AsyncIterator[LeasedShell]:
    shell = LeasedShell(desk.fork(), directory / "journal.db")
    writing = asyncio.create_task(shell.writer.run())
    await shell.tick()
    try:
        yield shell
    finally:
        shell.leased.answers.set()
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        shell.journal.close()


async def test_a_failed_halt_decision_leaves_no_order_to_place(live: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(state: State, command: i.Input, now: Millis, held: Held) -> Decision:
        if command is HALT:
            raise RuntimeError("a halt that cannot be decided")
        return decide(state, command, now, held)

    monkeypatch.setattr(module, "decide", failing)
    async with running(live, tmp_path) as shell:
        performed: list[Effect] = []
        shell.on_perform = performed.append
        shell.leased.answers.clear()
        order = shell.place("0.00003")
        await turns()
        shell.inbox.fact(HALT, shell.clock.monotonic_ns())
        assert shell.writer.failed_because
        shell.leased.answers.set()
        with suppress(Halted):
            await asyncio.wait_for(order, 5)
        assert [effect for effect in performed if isinstance(effect, Place)] == []
        assert not shell.permits.current().is_live()
        assert len(shell.failures) == 1


async def test_a_drill_latches_and_is_not_marked_as_a_halt(validating: Desk, tmp_path: Path) -> None:
    async with running(validating, tmp_path) as shell:
        drill = shell.desk.command(Verb.DRILL, shell.desk.state.position, subject=HALT_DRILL)
        await shell.ask(i.CommandSubmitted(shell.desk.verified(drill, "alice"), anchored=True, seen=shell.desk.seen()))
        assert shell.writer.state.drill is not None
        assert shell.permits.latched_because
        assert shell.halts == []
