"""The packaged units: hardened so far that systemd's own analysis has little left to say, and each process a unit of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.proofs import long_form
from tests.support.tidiness import ROOT

UNITS = sorted((ROOT / "ops/systemd").glob("*.service"))
OPENED = ROOT / "ops/systemd/reach-mexc.conf"
THRESHOLD = "15"
"""An exposure of 1.5 of 10."""


def name(path: Path) -> str:
    return path.stem


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def analysed(path: Path) -> str:
    assert shutil.which("systemd-analyze"), "apt-get install systemd (make tools does it)"
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-600:] + run.stderr
    return run.stderr


@long_form(short="test_a_unit_says_itself_how_it_is")
@pytest.mark.parametrize("path", UNITS, ids=name)
def test_a_unit_exposes_little(path: Path) -> None:
    assert not re.search("[Ii]nvalid|[Uu]nknown", analysed(path))


@long_form(short="test_a_unit_says_itself_how_it_is")
@pytest.mark.parametrize("path", [one for one in UNITS if "signer" not in one.name], ids=name)
def test_a_unit_that_may_reach_mexc_exposes_little(path: Path, tmp_path: Path) -> None:
    opened = tmp_path / path.name
    opened.write_text(f"{text(path)}\n{text(OPENED)}", encoding="utf-8")
    analysed(opened)


@pytest.mark.parametrize("path", UNITS, ids=name)
def test_a_unit_says_itself_how_it_is(path: Path) -> None:
    lines = text(path).splitlines()
    assert {"Type=notify", "NotifyAccess=main"} <= set(lines)
    assert any(line.startswith("WatchdogSec=") for line in lines)


def test_the_signer_has_no_network() -> None:
    lines = text(ROOT / "ops/systemd/gatehouse-signer@.service").splitlines()
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "IPAddressDeny=any"} <= set(lines)


def test_only_the_signer_gets_the_exchange_secrets_of_orders() -> None:
    with_live = [path.name for path in UNITS if ":/etc/gatehouse/%i/live.secret" in text(path)]
    assert with_live == ["gatehouse-signer@.service"]


def test_each_process_has_a_user_of_its_own() -> None:
    users = re.findall(r"^User=(.*)$", "".join(map(text, UNITS)), re.MULTILINE)
    assert len(users) == len(set(users)) == len(UNITS) == 4
