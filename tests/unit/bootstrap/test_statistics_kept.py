"""A start computes the statistics of the run beside the controller, and proposals ask for them first."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from controller.bootstrap.statistics import keep_statistics
from controller.console.schema import ProposeRequest
from controller.core.effects import Alert
from controller.core.inputs import StatisticsComputed
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.operating import operating
from tests.support.shell import Shell


def ignored(_: Alert) -> None:
    """Nobody is told."""


async def test_they_are_computed_until_the_controller_ends() -> None:
    assembly: Any = SimpleNamespace(writer=SimpleNamespace(state=Desk().state), operator=SimpleNamespace(measured=None))
    async with AsyncExitStack() as stack:
        keep_statistics(assembly, ignored, stack)
        (task,) = [one for one in asyncio.all_tasks() if one.get_name() == "statistics of the run"]
        assert assembly.operator.before_proposal.__self__.__class__.__name__ == "Statistics"
    assert task.done()


async def test_a_proposal_waits_for_them_before_the_writer_is_asked(tmp_path: Path) -> None:
    desk = Desk().arm()
    desk.trade(6)
    desk.run(40_000)
    shell = Shell(desk, tmp_path / "journal.db")
    seen: list[tuple[Verb, int]] = []

    async def before(verb: Verb) -> None:
        seen.append((verb, shell.writer.state.seq))

    async with operating(shell) as operator:
        operator.before_proposal = before
        await operator.propose(ProposeRequest(verb=Verb.ADVANCE, reason="up"), seal=True)
        ((verb, seq),) = seen
        assert verb is Verb.ADVANCE
        assert seq < shell.writer.state.seq
    shell.journal.close()


async def test_the_writer_takes_the_figures_over(tmp_path: Path) -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.run(2_000)
    shell = Shell(desk, tmp_path / "journal.db")
    state = desk.state
    assert state.tally is not None
    report = StatisticsComputed(state.tally.started_at, state.seq, state.at, 0, "", (), "the statistics failed: MemoryError")
    async with operating(shell) as operator:
        await operator.measured(report)
        assert shell.writer.state.measured is not None
        assert shell.writer.state.measured.error == "the statistics failed: MemoryError"
    shell.journal.close()
