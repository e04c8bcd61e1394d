"""The collector rests while a process loads, and works in every process that runs on (ADR 79)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.setup.deployment import DEFAULT_PORTS, write_deployment
from controller.cli.verbs import PROCESSES
from tests.support.rig import ROOT

LOADS = """
import gc, json
usual = gc.get_threshold()
from controller.cli.loading import begin_loading, loaded
begin_loading()
import controller.settings.deployment
from pydantic.plugin import _loader
before = gc.get_threshold()[0]
loaded()
found = {"usual": usual, "loading": before, "after": gc.get_threshold(), "kept": gc.get_freeze_count(), "plugins": _loader._plugins}
print(json.dumps(found))
"""
LOADED = 42
REACHES = f"""
import os, sys
import controller.cli.loading as loading
loading.loaded = lambda: os._exit({LOADED})
sys.argv[1:] = {{arguments!r}}
from controller.__main__ import main
main()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "desk"
    write_deployment(place, DEFAULT_PORTS)
    return place


def test_the_collector_rests_while_a_process_loads_and_then_works_as_usual() -> None:
    done = subprocess.run((sys.executable, "-c", LOADS), capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    assert found["loading"] > 100 * found["usual"][0]
    assert found["after"] == found["usual"]
    assert found["kept"] > 10_000


def test_pydantic_looks_for_no_plugin() -> None:
    done = subprocess.run((sys.executable, "-c", LOADS), capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout)["plugins"] is None


@pytest.mark.parametrize("verb", PROCESSES)
def test_every_process_that_runs_on_lets_the_collector_work(verb: str, directory: Path) -> None:
    options = {"witness": ["--dir", str(directory / "witness"), "--log", "none"], "fleet": [str(directory)], "testnet": []}
    arguments = [verb, *options.get(verb, ["--dir", str(directory)])]
    text = REACHES.format(arguments=arguments)
    done = subprocess.run((sys.executable, "-c", text), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == LOADED, done.stderr
