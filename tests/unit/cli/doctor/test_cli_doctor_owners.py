"""``gatehouse doctor`` as root: what the controller's own user cannot read fails, with the command that repairs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from controller.cli.doctor.owners import check_owners
from controller.settings.deployment import Settings, load_settings
from tests.support.cli_kit import Run

SERVICE = 65_534
"""A user that every Debian has: nobody."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees what another user cannot")


@pytest.fixture
def deployment(run: Run, tmp_path: Path) -> Path:
    """A deployment as the units have it: root's documents, and a data folder and secrets of the service."""
    directory = tmp_path / "desk"
    assert run("init", directory, "--profile", "demo").exit_code == 0
    settings = load_settings(directory)
    (directory / settings.data).mkdir(exist_ok=True)
    for path in (directory / settings.data, directory / "secrets", *(directory / "secrets").iterdir()):
        os.chown(path, SERVICE, SERVICE)
    for path in (directory, directory / "gatehouse.toml", directory / "policy.toml", directory / "roster.toml"):
        os.chown(path, 0, SERVICE)
        path.chmod(0o750 if path.is_dir() else 0o640)
    return directory


def settings(directory: Path) -> Settings:
    return load_settings(directory)


def test_what_the_service_can_read_passes(deployment: Path) -> None:
    assert [row.verdict for row in check_owners(deployment, settings(deployment))] == ["PASS"]


@pytest.mark.parametrize("name", ["policy.toml", "roster.toml", "gatehouse.toml", "var/latch", "bots/maker.gh1.secret"])
def test_a_file_that_the_service_cannot_read_fails_until_repaired(deployment: Path, name: str) -> None:
    (deployment / name).parent.mkdir(exist_ok=True)
    (deployment / name).touch()
    os.chown(deployment / name, 0, 0)
    (deployment / name).chmod(0o600)
    (row,) = check_owners(deployment, settings(deployment))
    assert row.verdict == "FAIL"
    assert str(deployment / name) in row.found
    for command in row.fix.split("`")[1::2]:
        subprocess.run(command, shell=True, check=True)
    assert [row.verdict for row in check_owners(deployment, settings(deployment))] == ["PASS"]


def test_a_deployment_of_roots_own_has_no_such_row(deployment: Path) -> None:
    os.chown(deployment / "var", 0, 0)
    assert check_owners(deployment, settings(deployment)) == []
