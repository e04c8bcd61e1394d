"""Writes the deployment of a rehearsal: settings, policy, roster, and every key and secret from the seed.

What is made from a seed is no secret: everybody with the seed has it too. Such a deployment is of the environment `rehearsal`,
whose keys sign for nothing else, and its addresses are of this machine.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import public_key, save_key
from controller.authority.roster import KeyType, roster_key
from controller.bootstrap.journal import CHECKPOINT_KEY_FILE
from controller.settings.deployment import FILE_NAME
from controller.settings.new_directory import make_new_directory
from exchange.statement import public_line
from policies.authority import Role

HOST = "127.0.0.1"
GATEWAY, CONSOLE = f"http://{HOST}:8700", f"http://{HOST}:8701"
VENUES = {"testnet": f"http://{HOST}:8710", "live": f"http://{HOST}:8711"}
PERSONS = {"alice": Role.OPERATOR, "bob": Role.APPROVER}
BOT = "rehearsed"
TESTNET_KEY = "secrets/testnet.key"
DOLLARS = "100"


@dataclass(frozen=True, slots=True)
class Account:
    """The account gatehouse has at one venue."""

    name: str
    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Folder:
    """The deployment, and what its operators, its bot and its venues need."""

    directory: Path
    accounts: dict[str, Account]
    persons: dict[str, Ed25519PrivateKey]
    bot_key: str
    bot_secret: str
    control_token: str


def write_folder(directory: Path, policy: str, release: bytes, rng: Random) -> Folder:
    """Write a deployment into an empty directory. ``policy`` is its text without the testnet's key; ``release`` is the bot's code.

    Raises:
        UsageError: the directory is not empty, or cannot be made.
    """
    make_new_directory(directory)
    accounts = {name: Account(name, "mx0" + _token(rng, 16), _token(rng, 32)) for name in VENUES}
    persons = {name: _key(rng) for name in PERSONS}
    folder = Folder(directory, accounts, persons, "gh" + _token(rng, 16), _token(rng, 32), _token(rng, 32))
    for account in accounts.values():
        _private(directory / f"secrets/{account.name}.secret", account.secret)
    _private(directory / "secrets/bot.secret", folder.bot_secret)
    _private(directory / "secrets/control.token", folder.control_token)
    testnet = _key(rng)
    save_key(testnet, directory / TESTNET_KEY)
    for name, key in persons.items():
        save_key(key, directory / "keys" / f"{name}.key")
    (directory / "var").mkdir(mode=0o700)
    save_key(_key(rng), directory / "var" / CHECKPOINT_KEY_FILE)
    table = f'\n[testnet]\nkey = "{public_line(testnet.public_key())}"\n'
    (directory / "policy.toml").write_text(policy + table, encoding="utf-8")
    (directory / "roster.toml").write_text(_roster(persons), encoding="utf-8")
    (directory / FILE_NAME).write_text(_settings(folder, release), encoding="utf-8")
    return folder


def _token(rng: Random, size: int) -> str:
    return rng.randbytes(size).hex()


def _key(rng: Random) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))


def _private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _roster(persons: dict[str, Ed25519PrivateKey]) -> str:
    text = 'version = 1\nmode = "team"\n'
    for person, private in persons.items():
        key = roster_key(public_key(private).line, KeyType.FILE)
        text += f'\n[[persons]]\nname = "{person}"\nrole = "{PERSONS[person]}"\n'
        text += f'keys = [{{ id = "{key.id}", type = "{key.type}", public = "{key.public}" }}]\n'
    return text


def _settings(folder: Folder, release: bytes) -> str:
    sections = "".join(
        f"""
[{name}]
rest = "{VENUES[name]}"
ws = "{VENUES[name].replace("http", "ws", 1)}/ws"
api_key = "{account.key}"
secret_file = "secrets/{name}.secret"
"""
        for name, account in folder.accounts.items()
    )
    return f"""# A rehearsed deployment. Every key in this folder follows from the seed, so nothing in it is secret.
controller_id = "rehearsal"
environment = "rehearsal"
mock_balances = {{ USDT = "{DOLLARS}" }}

[release]
name = "{BOT}"
version = "1"
artifact = "sha256:{hashlib.sha256(release).hexdigest()}"

[gateway]
host = "{HOST}"
port = 8700

[console]
host = "{HOST}"
port = 8701
{sections}
[signer]

[watchdog]
enabled = true
lease_s = 30

[[bots]]
name = "{BOT}"
key = "{folder.bot_key}"
secret_file = "secrets/bot.secret"
"""
