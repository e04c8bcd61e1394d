"""``gatehouse init --systemd``: settings, places and modes that fit the packaged units."""

from __future__ import annotations

import os
import pwd
import re
import stat
from pathlib import Path

import pytest

from controller.cli.run.testnet_options import read_accounts
from controller.cli.setup import units
from controller.settings.deployment import load_settings, read_secret
from tests.support.cli_kit import Run
from tests.support.tidiness import ROOT

UNITS = ROOT / "ops" / "systemd"


@pytest.fixture(autouse=True)
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /etc/gatehouse."""
    monkeypatch.setattr(units, "ETC", tmp_path / "etc")
    return tmp_path / "etc"


def written(run: Run, directory: Path, profile: str, *more: str) -> Path:
    result = run("init", directory, "--profile", profile, "--systemd", *more)
    assert result.exit_code == 0, result.output
    return directory


@pytest.mark.parametrize(("profile", "more"), [("demo", ()), ("solo", ("--live-key", "mx0abc", "--watchdog-key", "mx0dog"))])
def test_each_process_is_a_unit_of_its_own(run: Run, tmp_path: Path, etc: Path, profile: str, more: tuple[str, ...]) -> None:
    directory = written(run, tmp_path / "desk", profile, *more)
    text = (directory / "gatehouse.toml").read_text(encoding="utf-8")
    (directory / "gatehouse.toml").write_text(text.replace('artifact = ""', f'artifact = "sha256:{"0" * 64}"'), encoding="utf-8")
    settings = load_settings(directory)
    assert settings.data == "var"
    assert settings.signer is not None
    assert settings.signer.socket == "/run/gatehouse-signer/desk/signer.sock"
    assert settings.watchdog.address == "127.0.0.1:8730"
    assert settings.testnet.run is None
    assert read_accounts(etc / "desk/testnet-accounts.toml")[0].api_key == settings.testnet.api_key


def test_only_root_reads_what_systemd_passes_on(run: Run, tmp_path: Path, etc: Path) -> None:
    directory = written(run, tmp_path / "desk", "demo")
    assert stat.S_IMODE((etc / "desk").stat().st_mode) == 0o700
    files = [path for path in (etc / "desk").iterdir() if path.name != "testnet.env"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert [path.name for path in (directory / "secrets").iterdir()] == ["bot.secret"]


def test_each_credential_that_a_unit_loads_is_written(run: Run, tmp_path: Path, etc: Path) -> None:
    written(run, tmp_path / "desk", "demo")
    loaded = re.findall(r"^LoadCredential=(.*):/etc/gatehouse/%i/(.*)$", text_of_units(), re.MULTILINE)
    assert len(loaded) > 8
    assert {(name, name) for name, _ in loaded} == set(loaded)
    assert {name for name, _ in loaded} == {path.name for path in (etc / "desk").iterdir()} - {"testnet.env"}


def test_the_stand_in_for_mexc_has_files_of_its_own(run: Run, tmp_path: Path, etc: Path) -> None:
    directory = written(run, tmp_path / "desk", "demo")
    settings, live = load_settings(directory), etc / "desk-live"
    assert read_accounts(live / "testnet-accounts.toml")[0].api_key == settings.live.api_key
    assert "--port 8711" in (live / "testnet.env").read_text(encoding="ascii")


def test_a_credential_is_found_by_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "passed").mkdir()
    (tmp_path / "passed/live.secret").write_text("from systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "passed"))
    assert read_secret(tmp_path, "/etc/gatehouse/desk/live.secret") == "from systemd"


def test_a_name_that_no_unit_can_have_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("init", tmp_path / "My Desk", "--profile", "demo", "--systemd")
    assert (result.exit_code, (tmp_path / "My Desk").exists()) == (2, False)


def test_production_is_looked_at_before_it_is_started(run: Run, tmp_path: Path) -> None:
    said = run("init", tmp_path / "desk", "--profile", "solo", "--systemd").output
    assert said.index("gatehouse doctor") < said.index("systemctl enable --now gatehouse@desk") < said.index("gatehouse status")
    assert "reach-mexc.conf" in said


def text_of_units() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in UNITS.glob("*.service"))


def test_what_comes_next_is_what_systemd_starts(run: Run, tmp_path: Path) -> None:
    said = run("init", tmp_path / "desk", "--profile", "demo", "--systemd").output
    following = said.partition("Next, as root:")[2].splitlines()
    commands = [line.strip().partition(" --dir")[0] for line in following if line.strip()]
    assert commands == [
        "systemctl enable --now gatehouse-testnet@desk-live",
        "gatehouse doctor",
        "systemctl enable --now gatehouse@desk",
        "gatehouse status",
    ]


@pytest.mark.parametrize("verb", ["status", "doctor"])
def test_a_remedy_names_the_unit_that_has_to_be_started(run: Run, tmp_path: Path, verb: str) -> None:
    directory = written(run, tmp_path / "desk", "demo")
    said = run(verb, "--dir", directory)
    wanted = {"status": "systemctl start gatehouse@desk", "doctor": "systemctl start gatehouse-testnet@desk"}
    assert wanted[verb] in " ".join(said.output.split())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_a_restore_puts_back_is_the_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "USER", "daemon")
    daemon = pwd.getpwnam("daemon")
    files = [tmp_path / name for name in ("gatehouse.toml", "var/archives/1", "bots/maker.gh1.secret", "secrets/bot.secret")]
    for file in files:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
    units.hand_to_units(tmp_path)
    assert [file.stat().st_uid for file in files] == [0, daemon.pw_uid, daemon.pw_uid, daemon.pw_uid]
    assert (files[0].stat().st_gid, stat.S_IMODE(files[0].stat().st_mode)) == (daemon.pw_gid, 0o640)
    assert stat.S_IMODE(files[2].stat().st_mode) == 0o600
