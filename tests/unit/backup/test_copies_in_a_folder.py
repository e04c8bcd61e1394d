"""Which copies of a folder belong to a deployment, in which order they were made, and which of them are removed."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.backup.create import create_backup
from controller.backup.files import Owner, copies_in, copy_name, key_digits, newest, owner_of
from controller.backup.sealed import new_identity
from controller.cli.setup.deployment import Ports, write_deployment
from controller.journal.last_backup import CopyMade, record_verified
from exchange.model import Millis
from policies.stage import Stage
from tests.support.cli_kit import write_journal
from tests.support.desk import Desk

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY_MS = 86_400_000
ME, OTHER = Owner("desk", key_digits("mine")), Owner("desk", key_digits("another's"))


def put(folder: Path, owner: Owner, at: datetime, entries: int = 1) -> Path:
    path = folder / copy_name(owner, at, entries, folder)
    path.touch()
    return path


def test_a_copy_made_after_the_clock_went_back_is_the_newest(tmp_path: Path) -> None:
    before = put(tmp_path, ME, NOON)
    after = put(tmp_path, ME, NOON - timedelta(days=3))
    assert copies_in(tmp_path, ME) == [before, after]
    assert newest(tmp_path, ME) == after


def test_two_deployments_of_one_name_do_not_see_each_other(tmp_path: Path) -> None:
    mine, others = put(tmp_path, ME, NOON), put(tmp_path, OTHER, NOON + timedelta(hours=1))
    assert copies_in(tmp_path, ME) == [mine]
    assert newest(tmp_path, ME) == mine
    assert owner_of(others) == OTHER


def test_a_copy_of_an_earlier_version_is_shown_and_surely_nobodys(tmp_path: Path) -> None:
    old = tmp_path / "gatehouse-desk-20261129T120000000Z-000000000007.tar.gz.age"
    old.touch()
    assert copies_in(tmp_path, ME) == [old]
    assert copies_in(tmp_path, ME, surely=True) == []


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    directory = tmp_path / "deployment"
    write_deployment(directory, Ports())
    (directory / "var").mkdir()
    write_journal(Desk().walk_to(Stage.TESTNET_VALIDATING), directory)
    (directory / "keys" / "alice.key").rename(directory / "var" / "checkpoint.key")
    with (directory / "gatehouse.toml").open("a") as file:
        file.write(f'[backup]\nrecipients = ["{new_identity()[1]}"]\n')
    return directory


def test_days_of_a_schedule_keep_the_verified_copy(deployment: Path, tmp_path: Path) -> None:
    """A copy a day for ten days, three are kept, and only the first one was ever opened."""
    copies, made = tmp_path / "copies", []
    for day in range(10):
        done = create_backup(deployment, copies, now=lambda day=day: Millis(DAY_MS * (20_000 + day)), keep=3)  # type: ignore[misc]
        made.append(done.path)
        if day == 0:
            found = done.manifest
            record_verified(deployment / "var", CopyMade(done.path.name, Millis(1), found.journal.entries, found.until))
    assert copies_in(copies) == [made[0], *made[-3:]]


def test_a_clock_that_is_set_back_removes_no_newer_copy(deployment: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    create_backup(deployment, copies, now=lambda: Millis(DAY_MS * 20_000), keep=1)
    last = create_backup(deployment, copies, now=lambda: Millis(DAY_MS * 19_000), keep=1)
    assert copies_in(copies) == [last.path]
    assert last.manifest.created_ms == DAY_MS * 19_000


def test_retention_leaves_the_copies_of_another_deployment(deployment: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    others = put(copies, Owner("demo", key_digits("another's")), NOON - timedelta(days=1))
    create_backup(deployment, copies, now=lambda: Millis(int(NOON.timestamp() * 1000)), keep=1)
    assert others.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_copy_that_root_makes_can_be_read_by_the_controllers_user(deployment: Path, tmp_path: Path) -> None:
    os.chown(deployment / "var", 65_534, 65_534)
    made = create_backup(deployment, tmp_path / "copies", now=lambda: Millis(DAY_MS * 20_000))
    assert {path.stat().st_uid for path in (made.path, made.path.parent)} == {65_534}
