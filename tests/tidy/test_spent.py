"""``ops/spent.py`` prints the processor time of a command and ends with the command's exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ops.spent import line, used


def test_the_line_is_in_minutes() -> None:
    assert line("make test", 678.4) == "make test: 11.3 CPU-minutes"


def test_the_time_of_a_command_is_counted_when_it_has_ended() -> None:
    before = used()
    subprocess.run([sys.executable, "-I", "-c", "import time\nwhile time.process_time() < 0.2: pass"], check=True)
    assert used() - before >= 0.2


@pytest.mark.parametrize(("program", "code"), [("raise SystemExit(5)", 5), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_it_returns_the_exit_code_and_prints_the_cost_last(program: str, code: int) -> None:
    command = [sys.executable, "-m", "ops.spent", "make test", sys.executable, "-I", "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stdout.endswith("make test: 0.0 CPU-minutes\n")
