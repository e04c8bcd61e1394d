"""Where a command without a target leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.console.schema import ProposeRequest
from controller.core.inputs import HaltAsked
from exchange.errors import UsageError
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.operating import operating
from tests.support.shell import Shell


async def test_an_advance_out_of_a_halt_is_refused_with_the_ways_out(tmp_path: Path) -> None:
    desk = Desk().arm()
    desk.give(HaltAsked("test", "stop"))
    assert desk.state.position.stage is Stage.HALTED
    shell = Shell(desk, tmp_path / "journal.db")
    async with operating(shell) as operator:
        with pytest.raises(UsageError) as refused:
            await operator.propose(ProposeRequest(verb=Verb.ADVANCE, reason="up"), seal=False)
    shell.journal.close()
    assert refused.value.code == "no-target"
    assert "gatehouse reset" in refused.value.remedy
