"""A desk whose documents are those of a deployment's directory, so that a start of that deployment goes on from its journal."""

from __future__ import annotations

import re
from pathlib import Path

from controller.authority.keys import load_key
from controller.authority.roster import load_roster
from controller.bootstrap.read import read_deployment
from controller.cli.shared import places
from controller.telemetry.redact import Redactor
from tests.support.desk import BOT_KEYS, Desk


def desk_of(directory: Path, *, version: str) -> Desk:
    """A desk for the demo deployment in ``directory``, as the version ``version`` of gatehouse would run it."""
    (directory / "policy.toml").write_bytes(places.demo_policy().read_bytes())
    settings = directory / "gatehouse.toml"
    (bot,) = re.findall(r'\[\[bots\]\]\nname = "([^"]+)"\nkey = "[^"]+"', settings.read_text())
    named = re.sub(rf'name = "{bot}"\nkey = "[^"]+"', f'name = "demo-bot"\nkey = "{BOT_KEYS["demo-bot"]}"', settings.read_text())
    settings.write_text(named)
    deployment = read_deployment(directory, Redactor())
    boot = deployment.boot
    desk = Desk(deployment.policy)
    desk.roster = load_roster(directory / "roster.toml")
    desk.keys = {name: load_key(directory / "keys" / f"{name}.key") for name in ("alice", "bob")}
    desk.accounts, desk.release, desk.bots = dict(boot.accounts), boot.release, boot.bots
    desk.version = version
    return desk
