"""Production-shaped deployments. These tests write and read them, and open no socket."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from controller.authority.roster import load_roster
from controller.cli.run.testnet_options import read_accounts
from controller.cli.setup.production import LIVE_REST, LIVE_WS
from controller.settings.deployment import load_settings, read_secret
from exchange.errors import ConfigError
from exchange.mexc.connect import PRODUCTION
from policies import canonical
from policies.authority import Role
from policies.document import load_policy
from policies.stage import Environment, Mode
from tests.support.cli_kit import Run, printed
from tests.support.memory import children_of
from tests.support.receivers import until


def written(run: Run, directory: Path, profile: str, *more: str | Path) -> Path:
    result = run("init", directory, "--profile", profile, *more)
    assert result.exit_code == 0, result.output
    return directory


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    path = tmp_path / "maker.py"
    path.write_text("buy()")
    return path


@pytest.mark.parametrize("profile", ["solo", "team"])
def test_a_complete_deployment_loads_and_names_mexc_alone_as_live(run: Run, tmp_path: Path, bot: Path, profile: str) -> None:
    directory = written(run, tmp_path / "my desk", profile, "--live-key", "mx0abc", "--watchdog-key", "mx0dog", "--bot", bot)
    settings = load_settings(directory)
    assert (settings.controller_id, settings.environment) == ("my-desk", Environment.PRODUCTION)
    assert (settings.live.rest, settings.live.ws) == (PRODUCTION.rest_url, PRODUCTION.stream_url) == (LIVE_REST, LIVE_WS)
    assert settings.testnet.rest.startswith("http://127.0.0.1:")
    assert settings.testnet.run is not None
    assert read_accounts(directory / settings.testnet.run.accounts)[0].api_key == settings.testnet.api_key
    assert settings.signer is not None
    assert (settings.release.name, settings.release.artifact) == ("maker", canonical.digest(b"buy()"))
    assert Path(settings.release.path) == bot
    policy = load_policy((directory / "policy.toml").read_bytes())
    assert (policy.environment, policy.mode) == (Environment.PRODUCTION, Mode(profile))


@pytest.mark.parametrize(
    ("profile", "more", "persons"),
    [
        ("solo", (), {"operator": Role.OPERATOR}),
        ("solo", ("--person", "anna"), {"anna": Role.OPERATOR}),
        ("team", (), {"operator": Role.OPERATOR, "approver": Role.APPROVER}),
        ("team", ("--person", "anna", "--person", "bo"), {"anna": Role.OPERATOR, "bo": Role.APPROVER}),
    ],
)
def test_every_person_gets_a_key(run: Run, tmp_path: Path, profile: str, more: tuple[str, ...], persons: dict[str, Role]) -> None:
    directory = written(run, tmp_path / "new", profile, *more)
    roster = load_roster(directory / "roster.toml")
    assert {person.name: person.role for person in roster.persons} == persons
    assert roster.mode is Mode(profile)
    assert {path.stem for path in (directory / "keys").iterdir()} == set(persons)
    files = [*(directory / "keys").iterdir(), *(directory / "secrets").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_watchdog_needs_a_key_of_its_own_for_real_money(run: Run, tmp_path: Path, bot: Path) -> None:
    for number, own in enumerate(((), ("--watchdog-key", "mx0abc"))):
        directory = written(run, tmp_path / str(number), "solo", "--live-key", "mx0abc", "--bot", bot, *own)
        with pytest.raises(ConfigError, match=r"watchdog\.api_key"):
            load_settings(directory)


@pytest.mark.parametrize(("more", "empty"), [((), "artifact"), (("--bot",), "api_key")])
def test_settings_left_empty_by_init_must_be_filled_in_before_a_start(
    run: Run, tmp_path: Path, bot: Path, more: tuple[str, ...], empty: str
) -> None:
    directory = written(run, tmp_path / "new", "solo", *more, *([bot] if more else []))
    with pytest.raises(ConfigError, match=empty):
        load_settings(directory)
    rows = printed(run("doctor", "--dir", directory, "-o", "json"))
    assert [(row["check"], row["ok"]) for row in rows] == [("settings", False), ("after settings", None)]


def test_production_is_refused_while_the_secret_would_be_in_the_controller(run: Run, tmp_path: Path, bot: Path) -> None:
    directory = written(run, tmp_path / "new", "solo", "--live-key", "mx0abc", "--watchdog-key", "mx0dog", "--bot", bot)
    settings = directory / "gatehouse.toml"
    settings.write_text(settings.read_text().replace("[signer]\nbuys_per_day = 500\n", ""))
    before = set(children_of(os.getpid()))
    started = run("run", "--dir", directory, "-o", "json")
    assert printed(started, error=True)["error"]["code"] == "signer-missing"
    # What loaded beside the start ends with it.
    until(lambda: set(children_of(os.getpid())) <= before, 120)


def test_init_leaves_the_live_secret_to_the_owner(run: Run, tmp_path: Path, bot: Path) -> None:
    directory = written(run, tmp_path / "new", "solo", "--live-key", "mx0abc", "--watchdog-key", "mx0dog", "--bot", bot)
    with pytest.raises(ConfigError, match="empty"):
        read_secret(directory, load_settings(directory).live.secret_file)


@pytest.mark.parametrize("people", [["anna"], ["anna", "anna"], ["anna", "Bo"], ["a", "b", "c"], ["anna", "bo/../x"]])
def test_a_team_is_two_different_persons_with_plain_names(run: Run, tmp_path: Path, people: list[str]) -> None:
    arguments = [argument for name in people for argument in ("--person", name)]
    result = run("init", tmp_path / "new", "--profile", "team", *arguments, "-o", "json")
    assert printed(result, error=True)["error"]["code"] == "wrong-persons"
    assert not (tmp_path / "new").exists()


def test_no_other_host_than_mexc_and_this_machine_is_named(run: Run, tmp_path: Path) -> None:
    text = (written(run, tmp_path / "new", "team") / "gatehouse.toml").read_text()
    assert set(re.findall(r"://([^:/\"]+)", text)) == {"127.0.0.1", "api.mexc.com", "wbs-api.mexc.com"}


def test_the_demo_takes_no_options_of_production(run: Run, tmp_path: Path) -> None:
    assert run("init", tmp_path / "new", "--profile", "demo", "--live-key", "mx0abc").exit_code == 2
