"""Every property of the model can fail: without the protection it is about, Spin finds the violation."""

from __future__ import annotations

import re

import pytest

from ops.model.check import MUTANTS, Mutant, explore, missing
from tests.support.counting import Counted
from tests.support.proofs import proven

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"the model cannot be run without {missing()}")


@pytest.mark.parametrize("mutant", proven({one.switch: one for one in MUTANTS}, short=["SEND_FIRST", "LOST_BREACH"]))
def test_spin_finds_the_violation_when_a_protection_is_removed(mutant: Mutant, counted: Counted) -> None:
    found = explore(mutant.where, mutant.switch).problem
    assert re.search(mutant.says, found), found or "nothing was found"
    counted("model mutants", kind=mutant.switch)
