"""The table of faults: what happens in the middle of a validation, and the verdict in which the rehearsal ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.rehearsal.faults import FAULTS, named
from exchange.errors import UsageError
from tests.support.proofs import proven
from tests.support.rehearsing import bars, rehearsed
from tests.support.rig import ROOT

SURVIVED = {name: name for name, fault in FAULTS.items() if not fault.halts_with}
HALTED = {name: name for name, fault in FAULTS.items() if fault.halts_with}


@pytest.mark.parametrize("name", proven(SURVIVED, short=["crash", "lost-answers", "venue-restart"]))
def test_a_deployment_that_survives_a_fault_is_validated(tmp_path: Path, name: str) -> None:
    result = rehearsed(tmp_path / "d", hours=0.05, until="VALIDATED", tapes=(bars(tmp_path / "bars.csv"),), faults=(name,))
    assert (result.struck, result.verdict) == ([name], "VALIDATED")


@pytest.mark.parametrize("name", proven(HALTED, short=["price-crash", "crash-and-silence"]))
def test_a_fault_that_nothing_may_survive_halts_and_says_why(tmp_path: Path, name: str) -> None:
    result = rehearsed(tmp_path / "d", hours=0.05, until="VALIDATED", tapes=(bars(tmp_path / "bars.csv"),), faults=(name,))
    assert result.stage == "HALTED"
    assert FAULTS[name].halts_with in result.verdict


def test_faults_strike_one_after_the_other(tmp_path: Path) -> None:
    faults = ("stream-cut", "version-gaps")
    result = rehearsed(tmp_path / "d", hours=0.05, until="VALIDATED", tapes=(bars(tmp_path / "bars.csv"),), faults=faults)
    assert result.struck == list(faults)


def test_an_unknown_fault_is_refused_with_the_names_of_those_that_exist() -> None:
    with pytest.raises(UsageError) as refused:
        named("crash,meteor")
    assert refused.value.remedy.startswith("Name some of venue-restart")


def test_the_page_has_every_fault_and_what_happens() -> None:
    page = (ROOT / "ops" / "docs" / "rehearsal.md").read_text()
    assert [name for name, fault in FAULTS.items() if f"| `{name}` | {fault.what} |" not in page] == []
