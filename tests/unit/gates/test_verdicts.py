"""A gate is open only if every rule passes; there is no other way."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import Refused
from gates.registry import GATES, UNGATED, gate_for, stages_of
from gates.verdict import SEVERITY, Verdict, combine
from policies.authority import Verb
from policies.rules import GateName
from policies.stage import Stage


@given(st.lists(st.sampled_from(Verdict), max_size=8))
def test_a_gate_passes_only_if_it_has_rules_and_all_of_them_pass(verdicts: list[Verdict]) -> None:
    assert (combine(verdicts) is Verdict.PASS) == (bool(verdicts) and all(verdict is Verdict.PASS for verdict in verdicts))


@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=8))
def test_another_rule_never_improves_a_verdict(verdicts: list[Verdict]) -> None:
    assert SEVERITY.index(combine(verdicts)) >= SEVERITY.index(combine(verdicts[1:])) or len(verdicts) == 1


def test_a_gate_without_rules_is_invalid() -> None:
    assert combine([]) is Verdict.INVALID


def test_the_severity_order_has_every_verdict_once() -> None:
    assert sorted(SEVERITY) == sorted(Verdict)


def test_a_failed_measurement_does_not_hide_a_violation() -> None:
    assert combine([Verdict.ERROR, Verdict.FAIL, Verdict.NO_DATA]) is Verdict.FAIL


@pytest.mark.parametrize("verb", sorted(UNGATED))
@pytest.mark.parametrize("stage", Stage)
def test_a_move_down_needs_no_gate_at_any_stage(verb: Verb, stage: Stage) -> None:
    assert gate_for(verb, stage) is None


@pytest.mark.parametrize(("verb", "stage"), [pair for pair in product(Verb, Stage) if pair not in GATES and pair[0] not in UNGATED])
def test_an_undeclared_move_up_is_refused_not_ungated(verb: Verb, stage: Stage) -> None:
    with pytest.raises(Refused):
        gate_for(verb, stage)


def test_every_gate_guards_an_edge() -> None:
    assert set(GATES.values()) == set(GateName)
    assert all(stages_of(gate) for gate in GateName)
    assert stages_of(GateName.RAMP_STEP) == {Stage.LIVE_EUR10, Stage.RAMPING}
