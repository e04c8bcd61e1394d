"""Making a deployment, and checking one."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from controller.authority.roster import load_roster
from controller.journal.chain import Head
from controller.runtime.followers.high_water import HighWater, MarkOwner, mark_elsewhere
from controller.runtime.followers.latchfile import LatchFile, LatchMark, latch_elsewhere
from controller.settings.deployment import load_settings, read_secret
from policies.authority import Role
from policies.document import load_policy
from policies.stage import Environment
from tests.support.cli_kit import Run, printed


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_writes_a_deployment_that_loads(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "new"
    assert run("init", directory, "--profile", "demo").exit_code == 0
    settings = load_settings(directory)
    assert settings.environment is Environment.REHEARSAL
    assert load_policy((directory / settings.policy).read_bytes()).environment is Environment.REHEARSAL
    assert {person.name: person.role for person in load_roster(directory / settings.roster).persons} == {
        "alice": Role.OPERATOR,
        "bob": Role.APPROVER,
    }


def test_init_of_the_demo_says_how_its_venues_are_started(run: Run, tmp_path: Path) -> None:
    shown = run("init", tmp_path / "new", "--profile", "demo").stdout
    commands = [line.split() for line in shown.splitlines() if line.startswith("  gatehouse")]
    assert [command[1] for command in commands] == ["testnet", "testnet", "run", "status"]
    assert all(Path(command[-1]).is_file() for command in commands[:2])


def test_every_secret_file_has_mode_0600(deployment: Path) -> None:
    files = [*(deployment / "keys").iterdir(), *(deployment / "secrets").iterdir()]
    assert len(files) == 9
    assert {mode(path) for path in files} == {0o600}
    assert {mode(deployment / name) for name in ("keys", "secrets")} == {0o700}


def test_no_secret_is_in_the_settings(deployment: Path) -> None:
    text = (deployment / "gatehouse.toml").read_text()
    for name in ("secrets/bot.secret", "secrets/testnet.secret", "secrets/live.secret"):
        assert read_secret(deployment, name) not in text


def test_two_deployments_share_no_secret(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("init", tmp_path / name, "--profile", "demo")
    assert not {path.read_bytes() for path in (tmp_path / "a/secrets").iterdir()} & {
        path.read_bytes() for path in (tmp_path / "b/secrets").iterdir()
    }


def test_init_forgets_what_ran_in_the_same_place(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    state, folder = tmp_path / "state" / "gatehouse", tmp_path / "new"
    for name in (str(folder), "/elsewhere"):
        owner = MarkOwner("demo", frozenset({name}), frozenset())
        HighWater((), held=False, outside=mark_elsewhere(state, "demo", f"sha256:{len(name)}"), owner=owner).begin(Head(1, "", 1))
    LatchFile(tmp_path / "latch", latch_elsewhere(state, folder)).put(LatchMark("enough", 0, halted=True))
    assert run("init", folder, "--profile", "demo").exit_code == 0
    assert sorted(path.name for path in state.rglob("*") if path.is_file()) == ["demo-10", "demo-10.owner"]


def test_init_refuses_a_directory_that_is_not_empty(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    result = run("init", tmp_path, "--profile", "demo")
    assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_doctor_passes_a_new_deployment_but_names_missing_venues(run: Run, deployment: Path) -> None:
    result = run("doctor", "--dir", deployment, "-o", "json")
    rows = {row["check"]: row for row in printed(result)}
    assert result.exit_code == 1
    assert all(rows[name]["ok"] for name in ("settings", "policy", "eur rate", "roster", "fsync", "key alice.key"))
    assert not rows["venue live"]["ok"]
    assert "gatehouse testnet" in rows["venue live"]["fix"]


def test_doctor_expects_no_testnet_where_run_starts_one(run: Run, deployment: Path) -> None:
    path = deployment / "gatehouse.toml"
    path.write_text(path.read_text() + "[testnet.run]\n")
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert (rows["venue testnet"]["ok"], rows["venue live"]["ok"]) == (True, False)
    assert "`gatehouse run` starts it" in rows["venue testnet"]["found"]


def doctors_row(run: Run, deployment: Path, check: str) -> tuple[str, str]:
    """The verdict and the finding of one check."""
    (row,) = (one for one in json.loads(run("doctor", "-d", deployment, "-o", "json").stdout) if one["check"] == check)
    return row["verdict"], row["found"]


def test_doctor_computes_the_bots_digest_again(run: Run, deployment: Path, tmp_path: Path) -> None:
    bot, settings = tmp_path / "bot", deployment / "gatehouse.toml"
    bot.mkdir()
    (bot / "main.py").write_text("buy()")
    before = load_settings(deployment).release.artifact
    assert doctors_row(run, deployment, "release")[1].endswith("[release] names no path")
    settings.write_text(settings.read_text().replace("[release]", f'[release]\npath = "{bot}"'))
    computed = run("release", "digest", bot).stdout.strip()
    assert doctors_row(run, deployment, "release") == ("FAIL", f"{bot} has the digest {computed}, and [release] names {before}")
    settings.write_text(settings.read_text().replace(before, computed))
    assert doctors_row(run, deployment, "release")[0] == "PASS"


def test_doctor_finds_a_secret_that_others_can_read(run: Run, deployment: Path) -> None:
    (deployment / "secrets" / "live.secret").chmod(0o644)
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert not rows["secret secrets/live.secret"]["ok"]
    assert rows["secret secrets/live.secret"]["fix"].startswith("Run `chmod 600 ")


def test_doctor_refuses_a_policy_of_another_environment(run: Run, deployment: Path) -> None:
    team = Path(__file__).parents[4] / "policies" / "examples" / "team.toml"
    (deployment / "policy.toml").write_bytes(team.read_bytes())
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert "production" in rows["policy"]["found"]


def test_a_key_shows_its_public_half_only(run: Run, deployment: Path) -> None:
    path = deployment / "keys" / "alice.key"
    result = run("keys", "show", path, "-o", "json")
    assert printed(result)["public"].startswith("ssh-ed25519 ")
    assert "PRIVATE" not in result.output


def test_a_new_key_is_private_and_never_overwrites_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "k"
    assert run("keys", "new", path).exit_code == 0
    before = path.read_bytes()
    assert mode(path) == 0o600
    assert run("keys", "new", path).exit_code == 2
    assert path.read_bytes() == before


def test_the_roster_is_shown_with_its_digest(run: Run, deployment: Path) -> None:
    shown = printed(run("roster", "show", "--dir", deployment, "-o", "json"))
    assert [person["name"] for person in shown["persons"]] == ["alice", "bob"]
    assert shown["digest"] == load_roster(deployment / "roster.toml").digest


def test_policy_check_names_the_line_that_is_wrong(run: Run, deployment: Path) -> None:
    path = deployment / "policy.toml"
    path.write_text(path.read_text().replace("live = 10", "live = 11"))
    result = run("policy", "check", path)
    assert result.exit_code == 2
    assert "caps.live" in result.stderr


def test_policy_show_lists_every_limit(run: Run, deployment: Path) -> None:
    text = run("policy", "show", "--dir", deployment).stdout
    for words in ("caps.live", "limits.price_collar_bps", "guards.drawdown_fraction"):
        assert words in text
