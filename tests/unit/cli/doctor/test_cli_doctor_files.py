"""``gatehouse doctor`` compares the policy and the release in the files with what a running controller has in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.console.schema import PolicyView, ReleaseView
from controller.core.decisions.governance import release_digest
from controller.settings.deployment import load_settings
from controller.settings.policy_file import read_policy
from policies.document import digest
from tests.support.cli_kit import Run, Served, printed
from tests.support.operator_port import a_status


@pytest.fixture
def running(served: Served) -> Path:
    """A deployment whose controller runs under the policy and the release of its files."""
    settings = load_settings(served.directory)
    release = settings.release
    in_force = release_digest(release.name, release.version, release.artifact)
    served.port.view = a_status(
        policy=PolicyView(name="demo", digest=digest(read_policy(served.directory / settings.policy))),
        release=ReleaseView(name=release.name, version=release.version, digest=in_force),
    )
    return served.directory


def proposals(run: Run, directory: Path) -> dict[str, Any]:
    rows = printed(run("doctor", "--dir", directory, "-o", "json"))
    return next(row for row in rows if row["check"] == "proposals")


def test_files_that_nobody_changed_are_in_force(run: Run, running: Path) -> None:
    row = proposals(run, running)
    assert (row["verdict"], row["found"]) == ("PASS", "the policy and the release in the files are in force")


@pytest.mark.parametrize(
    ("file", "before", "after", "named"),
    [
        ("policy.toml", "price_collar_bps = 100", "price_collar_bps = 95", "the policy"),
        ("gatehouse.toml", 'version = "1"', 'version = "2"', "the release"),
    ],
)
def test_a_file_that_was_changed_since_the_start_is_not_in_force(
    run: Run, running: Path, file: str, before: str, after: str, named: str
) -> None:
    path = running / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))
    row = proposals(run, running)
    assert (row["verdict"], row["found"]) == ("WARN", f"not in force, because it was changed after the start: {named} in the file")
    assert "gatehouse set-policy" in row["fix"]


def test_an_unreadable_policy_is_not_called_in_force(run: Run, running: Path) -> None:
    (running / "policy.toml").write_text("no policy")
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", running, "-o", "json"))}
    assert "proposals" not in rows
    assert "proposals" in rows["after policy"]["found"]


def test_the_testnet_is_started_with_the_key_that_the_policy_names(run: Run, deployment: Path) -> None:
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert f"--identity {deployment / 'secrets/testnet.key'}" in rows["venue testnet"]["fix"]
