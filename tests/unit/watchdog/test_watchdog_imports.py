"""The watchdog's process shares no code with what it watches, so that one defect does not stop both."""

import subprocess
import sys

import pytest

from tests.support.rig import ROOT

LOADED = "import sys, controller.cli.run.watchdog_run; print('\\n'.join(sys.modules))"


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that the process loads."""
    done = subprocess.run((sys.executable, "-c", LOADED), capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["controller.runtime.loop.writer", "controller.core.decide", "controller.core.state", "controller.bootstrap", "uvicorn"],
)
def test_the_process_does_not_load(loaded: set[str], module: str) -> None:
    assert "controller.watchdog.process" in loaded
    assert module not in loaded
