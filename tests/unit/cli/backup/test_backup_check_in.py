"""``gatehouse backup create`` checks in with Sentry: when it begins, and with what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.stage import Stage
from tests.support.cli_kit import Run, write_journal
from tests.support.collectors import Collector, collecting
from tests.support.desk import Desk


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as running:
        monkeypatch.setenv("SENTRY_DSN", running.url.replace("http://", "http://public@") + "/7")
        yield running


def statuses(project: Collector) -> list[str]:
    found = project.check_ins()
    assert len({one["check_in_id"] for one in found}) == 1
    assert all(one["monitor_slug"].endswith("-backup") for one in found)
    return [one["status"] for one in found]


def test_a_copy_that_is_made_and_one_that_is_not(run: Run, deployment: Path, tmp_path: Path, project: Collector) -> None:
    result = run("backup", "create", tmp_path / "copies", "-d", deployment)
    assert result.exit_code != 0
    assert statuses(project) == ["in_progress", "error"]
    project.posts.clear()
    write_journal(Desk().walk_to(Stage.VALIDATED), deployment)
    assert run("backup", "key", tmp_path / "identity").exit_code == 0
    (recipient,) = re.findall(r"age1\w+", (tmp_path / "identity").read_text())
    with (deployment / "gatehouse.toml").open("a") as file:
        file.write(f'[backup]\nrecipients = ["{recipient}"]\n')
    assert run("journal", "key", "-d", deployment).exit_code == 0
    assert run("backup", "create", tmp_path / "copies", "-d", deployment).exit_code == 0
    assert statuses(project) == ["in_progress", "ok"]
