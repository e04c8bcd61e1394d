"""Production by the commands that operators type, on an installed gatehouse in a private world; `make dress` walks all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dress.units import units, users
from tests.support.ordinary import world
from tests.support.proofs import long_form

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(reason := world.why_not()), reason=reason or "private namespaces are allowed"),
]


def _rehearsed(*options: str, within_s: int) -> str:
    played = subprocess.run(
        (sys.executable, "-m", "tests.support.dress.run", *options),
        capture_output=True,
        text=True,
        timeout=within_s,
        env=os.environ | {"PYTHONPATH": str(world.ROOT)},
        check=False,
    )
    assert played.returncode == 0, played.stdout[-6000:] + played.stderr[-3000:]
    return played.stdout


def test_every_unit_runs_the_command_as_a_user_of_the_package(tmp_path: Path) -> None:
    """What the rehearsal starts the units with is in the files that the package installs."""
    made = {name: group for name, group, _ in users()}
    for unit in units("solo", tmp_path / "gatehouse", tmp_path).values():
        assert unit.setting("ExecStart").startswith("/usr/bin/gatehouse ")
        assert made[unit.setting("User")] == unit.setting("Group")


@long_form(short="test_every_unit_runs_the_command_as_a_user_of_the_package")
@pytest.mark.timeout(600)
def test_an_operator_sets_up_and_doctor_refuses_false_venues() -> None:
    said = _rehearsed("--mode", "solo", "--look", within_s=540)
    assert "solo: every step as expected" in said
    assert "| before | 0 | 0 | 0 |" in said


@long_form(short="test_every_unit_runs_the_command_as_a_user_of_the_package")
@pytest.mark.timeout(1200)
def test_an_operator_goes_to_the_testnet_and_mexc_gets_no_order() -> None:
    said = _rehearsed("--mode", "solo", "--short", within_s=1100)
    assert "solo: every step as expected" in said
    assert "| TESTNET_VALIDATING | 0 |" in said
