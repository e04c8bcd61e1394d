"""A secret's file that others can read is refused; a credential that systemd hands over is not, however its mode looks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exchange.private_files import can_be_read_by_others


def exposed(path: Path, mode: int) -> bool:
    path.touch()
    path.chmod(mode)
    return can_be_read_by_others(path, path.stat())


@pytest.mark.parametrize(("mode", "wanted"), [(0o600, False), (0o400, False), (0o440, True), (0o604, True)])
def test_a_file_that_others_can_read_is_found(tmp_path: Path, mode: int, wanted: bool) -> None:
    assert exposed(tmp_path / "control.token", mode) is wanted


@pytest.mark.skipif(os.geteuid() != 0, reason="a credential belongs to root")
@pytest.mark.parametrize(("mode", "wanted"), [(0o440, False), (0o400, False), (0o444, True), (0o460, True)])
def test_a_credential_may_show_its_access_list_as_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, wanted: bool
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert exposed(tmp_path / "control.token", mode) is wanted
