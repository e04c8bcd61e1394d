"""The gate ``live-ready`` asks how old the last green drill of each kind is."""

from __future__ import annotations

import pytest

from exchange.model import DataSource, Millis
from gates.drills import GreenDrill, drill_metrics
from gates.engine import GateResult, evaluate
from gates.evidence import bundle
from gates.verdict import Verdict
from policies.drills import DRILLS, GREEN_FOR_MS, DrillKind
from policies.rules import GateName
from tests.unit.gates.gate_kit import good_run, subject
from tests.unit.policies.policy_kit import example

TEAM = example("team")
RUN = good_run(TEAM)
ASKED = [kind for kind, spec in DRILLS.items() if spec.metric is not None]


def judged(kind: DrillKind, age_ms: int | None, source: DataSource = DataSource.LIVE) -> GateResult:
    """The gate when every drill is an hour old, except one that is of this age or was never run."""
    green = {one: GreenDrill(Millis(RUN.last_at - 3_600_000), DataSource.LIVE, accelerated=False) for one in DrillKind}
    del green[kind]
    if age_ms is not None:
        green[kind] = GreenDrill(Millis(RUN.last_at - age_ms), source, accelerated=False)
    more = drill_metrics(green, RUN.last_at, RUN.source, TEAM.environment, accelerated=False)
    evidence = bundle(GateName.LIVE_READY, subject(TEAM, GateName.LIVE_READY), RUN, TEAM, 42, more)
    return evaluate(GateName.LIVE_READY, TEAM, evidence, RUN.last_at)


def verdict(kind: DrillKind, age_ms: int | None, source: DataSource = DataSource.LIVE) -> Verdict:
    (rule,) = [rule for rule in judged(kind, age_ms, source).rules if rule.metric is DRILLS[kind].metric]
    return rule.verdict


@pytest.mark.parametrize("kind", ASKED)
def test_a_drill_is_green_for_seven_days_and_no_longer(kind: DrillKind) -> None:
    assert (verdict(kind, GREEN_FOR_MS), verdict(kind, GREEN_FOR_MS + 1)) == (Verdict.PASS, Verdict.FAIL)


@pytest.mark.parametrize("kind", ASKED)
def test_a_drill_that_never_ran_opens_no_gate(kind: DrillKind) -> None:
    assert verdict(kind, None) is Verdict.NO_DATA
    assert not judged(kind, None).passed


def test_a_drill_on_simulated_data_opens_no_production_gate() -> None:
    assert verdict(DrillKind.STALE, 0, DataSource.SYNTHETIC) is Verdict.INVALID


def test_every_drill_but_a_halt_is_asked_for() -> None:
    assert set(DrillKind) - set(ASKED) == {DrillKind.HALT}
