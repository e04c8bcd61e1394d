"""A short rehearsal on the recorded tape: the real parts take a bot to real money, and what they leave verifies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.rehearsal.run import Result
from tests.support.rehearsing import TAPE, rehearsed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A deployment that was rehearsed up to real money."""
    directory = tmp_path_factory.mktemp("whole") / "d"
    return directory, rehearsed(directory, hours=0.02)


def test_the_operators_walk_from_mock_to_real_money(whole: tuple[Path, Result]) -> None:
    _, result = whole
    assert result.signed == ["advance TESTNET_VALIDATING", "advance VALIDATED", "advance LIVE_€10"]
    assert (result.stage, result.verdict) == ("LIVE_€10", "LIVE_€10")


@pytest.mark.parametrize("verb", ["journal verify --allow-unwitnessed", "report"])
def test_the_verbs_of_a_deployment_work_on_what_it_left(whole: tuple[Path, Result], verb: str) -> None:
    command = [sys.executable, "-m", "controller", *verb.split(), "--dir", str(whole[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(1200)  # two whole processes that compute, which share a core with every deployment of the tests beside it
def test_processes_with_other_hash_seeds_write_the_same_journal(tmp_path: Path) -> None:
    heads = set()
    for hash_seed in ("1", "2"):
        directory = tmp_path / hash_seed
        command = [sys.executable, "-m", "controller", "rehearse", str(directory), "--tape", str(TAPE), "--hours", "0.02"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        subprocess.run([*command, "--seed", "7", "-o", "json"], env=environment, capture_output=True, check=True)
        heads.add(json.loads((directory / "rehearsal.json").read_text())["journal_head"])
    assert len(heads) == 1


def test_another_seed_writes_another_journal(tmp_path: Path) -> None:
    heads = {rehearsed(tmp_path / str(seed), hours=0.01, seed=seed, until="MOCK").journal_head for seed in (1, 2)}
    assert len(heads) == 2


def test_the_evidence_says_that_it_is_simulated_and_accelerated(tmp_path: Path) -> None:
    seen: list[dict[str, object]] = []
    result = rehearsed(tmp_path / "d", hours=0.01, until="TESTNET_VALIDATING", on_look=lambda _, status: seen.append(status))
    assert result.source == "recorded-l2"
    assert all(status["simulated"] for status in seen)
