"""The commands that the page offers to paste do what it says, on a free port."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.rig import ROOT, free_port

PAGE = ROOT / "ops" / "docs" / "testnet-alone.md"


@pytest.mark.e2e
def test_the_pasted_commands_trade_on_a_testnet(tmp_path: Path) -> None:
    section = PAGE.read_text(encoding="utf-8")
    found = re.search(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    assert found is not None
    prepare, _, commands = found[1].partition("\n")
    assert prepare == "make .venv/.ready"
    port = free_port()
    script = commands.replace("8710", str(port)).replace("testnet.log", "/dev/null").replace("var/testnet-alone", str(tmp_path))
    script = script.replace("gatehouse testnet ", f"gatehouse testnet --port {port} ")
    done = subprocess.run(["bash", "-euc", script], check=False, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "filled: closed" in done.stdout
    assert "resting: [True]" in done.stdout
