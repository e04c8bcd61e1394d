"""``gatehouse run`` starts the signer before it loads the controller, which then takes that process over (ADR 59)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.bootstrap.signer import SignerProcess
from controller.cli.run.signer_first import start_signer
from controller.cli.setup.deployment import DEFAULT_PORTS, write_deployment
from controller.settings.deployment import Settings, SignerSettings, load_settings
from controller.signer.protocol import Kind
from controller.signer.spawn import DESCRIPTOR
from tests.support.memory import runs


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "desk"
    write_deployment(place, DEFAULT_PORTS)
    return place


def settings(directory: Path, signer: SignerSettings | None) -> Settings:
    return load_settings(directory).model_copy(update={"signer": signer})


def test_the_process_that_was_started_first_is_taken_over(directory: Path) -> None:
    spawned = start_signer(directory, settings(directory, SignerSettings()))
    assert spawned is not None
    process = SignerProcess(directory, SignerSettings(), print, spawned)
    process.start()
    try:
        assert process.pid == spawned.pid
        process.link.ask(Kind.LEAD, 0, b"1")
    finally:
        process.close()
    assert not runs(spawned.pid)


def test_a_signer_ends_when_the_start_does_not_come_to_it(directory: Path) -> None:
    spawned = start_signer(directory, settings(directory, SignerSettings()))
    assert spawned is not None
    spawned.connection.close()
    assert os.waitpid(spawned.pid, 0) == (spawned.pid, 0)


@pytest.mark.parametrize("signer", [None, SignerSettings(socket="signer.sock")], ids=["none", "another user's"])
def test_no_signer_is_started_where_this_deployment_has_none(directory: Path, signer: SignerSettings | None) -> None:
    assert start_signer(directory, settings(directory, signer)) is None


def test_no_second_signer_is_started_after_secrets_were_hidden(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DESCRIPTOR, "7")
    assert start_signer(directory, settings(directory, SignerSettings())) is None
