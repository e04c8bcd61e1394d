"""The model of two controllers, explored to its last state: no order, move or command that must not be, and every breach halts."""

from __future__ import annotations

import re

import pytest

from ops.model.check import CONFIGURATIONS, HALTS_TOO, HERE, MUTANTS, Configuration, explore, missing
from ops.model.generate import PAGE, edges
from tests.support.counting import Counted
from tests.support.proofs import proven

needs_spin = pytest.mark.skipif(bool(missing()), reason=f"the model cannot be run without {missing()}")


def test_the_edges_of_the_model_are_the_edges_of_the_product() -> None:
    assert (HERE / PAGE).read_text(encoding="utf-8") == edges(), f"run `make docs`: {PAGE} is out of date"


@needs_spin
@pytest.mark.timeout(600)
@pytest.mark.parametrize("configuration", proven({one.name: one for one in CONFIGURATIONS}, short=[HALTS_TOO.name]))
def test_no_forbidden_state_of_the_model_is_reachable(configuration: Configuration, counted: Counted) -> None:
    result = explore(configuration)
    assert result.problem == ""
    assert result.states > 10_000
    counted("model states", result.states, kind=configuration.name)


def test_every_protection_of_the_model_has_a_mutant() -> None:
    switches = set(re.findall(r"(?:#ifn?def|defined\()\s*(\w+)", (HERE / "gatehouse.pml").read_text(encoding="utf-8")))
    bounds = {"COMMANDS", "ORDERS", "FAULTS", "BREACHES", "SOLO", "LIVE", "MUTANT", "NO_ORDERS", "NO_COMMANDS", "FROM_LIVE"}
    assert switches - bounds == {mutant.switch for mutant in MUTANTS}
