"""Signing away from the controller: with ssh-keygen and the recipe of the docs only, and with a token."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.authority.keys import generate_key, public_key, save_key
from controller.authority.roster import KeyType, RosterKey, roster_key
from tests.support import softhsm
from tests.support.rig import ROOT, Rig, rig

RECIPE = re.search(r"```sh\n(.*?)```", (ROOT / "ops" / "docs" / "signing.md").read_text(), re.DOTALL)
ROLES = {"alice": "operator", "bob": "approver", "carol": "approver"}


def roster(version: int, keys: dict[str, RosterKey]) -> str:
    text = f"version = {version}\n"
    for name, key in keys.items():
        listed = f'{{ id = "{key.id}", type = "{key.type}", public = "{key.public}" }}'
        text += f'[[persons]]\nname = "{name}"\nrole = "{ROLES[name]}"\nkeys = [{listed}]\n'
    return text


def ssh_key(directory: Path, name: str, kind: str, passphrase: str = "") -> RosterKey:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", name, "-f", directory / name], check=True)
    return roster_key((directory / f"{name}.pub").read_text())


def new_key() -> RosterKey:
    return roster_key(public_key(generate_key()).line, KeyType.FILE)


async def run_program(arguments: list[str | Path], environment: dict[str, str] | None = None, *, cwd: Path = ROOT) -> str:
    """Run a program to its end. Returns its output."""
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def gatehouse(deployment: Rig, *arguments: str | Path, environment: dict[str, str] | None = None) -> Any:
    line: list[str | Path] = [sys.executable, "-m", "controller", *arguments, "-d", deployment.directory, "-o", "json"]
    return json.loads(await run_program(line, environment))


@pytest.fixture
async def stopped(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(tmp_path / "deployment") as built:
        yield built


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shell script of ops/docs/signing.md, as a person would copy it."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed, and the recipe needs it")
    assert RECIPE is not None
    script = tmp_path_factory.mktemp("recipe") / "sign.sh"
    script.write_text(RECIPE[1])
    assert len(RECIPE[1].splitlines()) <= 10
    return script


async def proposed(deployment: Rig, keys: dict[str, RosterKey], command: Path) -> dict[str, Any]:
    """A proposed command that two persons must sign: it adds Carol to the roster."""
    await deployment.armed()
    (deployment.directory / "next.toml").write_text(roster(2, {**keys, "carol": new_key()}))
    subject = deployment.directory / "next.toml"
    return dict(await gatehouse(deployment, "propose", "set-roster", "-r", "Carol joins", "--subject", subject, "--file", command))


async def persons(deployment: Rig) -> tuple[str, ...]:
    return tuple((await deployment.status())["roster"]["persons"])


async def test_two_people_sign_with_only_ssh_keygen_and_the_recipe_of_the_docs(stopped: Rig, recipe: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    keys = {"alice": ssh_key(away, "alice", "ed25519"), "bob": ssh_key(away, "bob", "ecdsa")}
    (stopped.directory / "roster.toml").write_text(roster(1, keys))
    await stopped.start()
    command = away / "command.json"
    proposal = await proposed(stopped, keys, command)
    for name in keys:
        shown = await run_program(["sh", recipe, command, away / name], {"PYTHONPATH": ""}, cwd=away)
        assert proposal["payload_digest"] in shown
        assert '"reason":"Carol joins"' in shown
    await gatehouse(stopped, "sign", command, "--attach", away / "command.json.alice.sig")
    await gatehouse(stopped, "approve", command, "--attach", away / "command.json.bob.sig")
    assert await persons(stopped) == ("alice", "bob", "carol")


async def test_a_key_in_a_token_changes_the_roster_of_a_running_controller(stopped: Rig, tmp_path: Path) -> None:
    if softhsm.module() is None:
        pytest.skip("libsofthsm2.so is not installed (Debian: softhsm2), so there is no token to sign with")
    token = softhsm.soft_token()
    (tmp_path / "pin").write_text(softhsm.PIN)
    (tmp_path / "pin").chmod(0o600)
    environment = token.environment | {"GATEHOUSE_PIN_FILE": str(tmp_path / "pin")}
    uri = token.new_key("secp384r1")
    entry = await gatehouse_alone("keys", "import", uri, environment=environment)
    private = generate_key()
    save_key(private, tmp_path / "alice")
    alice = roster_key(public_key(private).line, KeyType.FILE)
    keys = {"alice": alice, "bob": roster_key(entry["public"], KeyType(entry["type"]))}
    (stopped.directory / "roster.toml").write_text(roster(1, keys))
    await stopped.start()
    command = tmp_path / "command.json"
    await proposed(stopped, keys, command)
    await gatehouse(stopped, "sign", command, "--key", tmp_path / "alice")
    await gatehouse(stopped, "approve", command, "--key", uri, environment=environment)
    assert await persons(stopped) == ("alice", "bob", "carol")


async def gatehouse_alone(*arguments: str | Path, environment: dict[str, str] | None = None) -> Any:
    return json.loads(await run_program([sys.executable, "-m", "controller", *arguments, "-o", "json"], environment))
