"""Writes the demo's deployment: two persons, one bot, two local venues and new secrets. ``init`` and ``demo`` call this."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.authority.keys import generate_key, public_key, save_key
from controller.authority.roster import KeyType, roster_key
from controller.cli.shared import places
from controller.runtime.followers.high_water import forget_folder
from controller.runtime.followers.latchfile import latch_elsewhere
from controller.settings.deployment import FILE_NAME
from controller.settings.new_directory import make_new_directory
from controller.settings.state_directory import state_directory
from exchange.statement import public_line
from policies.authority import Role
from policies.stage import Mode

HOST = "127.0.0.1"
PERSONS = {"alice": Role.OPERATOR, "bob": Role.APPROVER}
CONTROL_TOKEN = "secrets/control.token"  # noqa: S105 - a file name
TESTNET_KEY = "secrets/testnet.key"
BOT_SECRET = "secrets/bot.secret"  # noqa: S105 - a file name


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    gateway: int = 8700
    console: int = 8701
    testnet: int = 8710
    live: int = 8711


DEFAULT_PORTS = Ports()


@dataclass(frozen=True, slots=True)
class LocalVenue:
    """One local venue and the account gatehouse has there."""

    name: str
    port: int
    key: str
    secret: str
    dollars: str


def key_file(directory: Path, person: str) -> Path:
    """A person's private key."""
    return directory / "keys" / f"{person}.key"


def accounts_file(directory: Path, venue: str) -> Path:
    """The accounts a local venue is started with."""
    return directory / "secrets" / f"{venue}-accounts.toml"


def write_deployment(directory: Path, ports: Ports) -> list[tuple[str, str]]:
    """Write every file into an empty directory. Returns each file and what it is for.

    Raises:
        UsageError: the directory is not empty or cannot be made.
    """
    make_directory(directory)
    venues = (local_venue("testnet", ports.testnet, "100"), local_venue("live", ports.live, "100"))
    bot_key = secrets.token_hex(16)
    for venue in venues:
        private_file(directory / f"secrets/{venue.name}.secret", venue.secret + "\n")
        private_file(accounts_file(directory, venue.name), accounts_text(venue))
    private_file(directory / BOT_SECRET, secrets.token_hex(32) + "\n")
    private_file(directory / CONTROL_TOKEN, secrets.token_hex(32) + "\n")
    write_policy(directory, places.demo_policy(), TESTNET_KEY)
    (directory / "roster.toml").write_text(roster_text(directory, PERSONS, Mode.TEAM), encoding="utf-8")
    (directory / FILE_NAME).write_text(_settings(ports, venues, bot_key), encoding="utf-8")
    return [
        (FILE_NAME, "process settings"),
        ("policy.toml", "the limits, and what each gate requires"),
        ("roster.toml", "who may sign"),
        *((f"keys/{person}.key", f"{person}'s signing key ({role})") for person, role in PERSONS.items()),
        (BOT_SECRET, "the secret of the bot's gateway key"),
        *((f"secrets/{venue.name}.secret", f"the secret of the {venue.name} venue's key") for venue in venues),
        *((f"secrets/{venue.name}-accounts.toml", f"the account the {venue.name} venue is started with") for venue in venues),
        (TESTNET_KEY, "the key with which the testnet venue signs its statements; the policy names its public half"),
        (CONTROL_TOKEN, "the token of the local venues' control endpoint"),
    ]


def write_policy(directory: Path, example: Path, key_file: str) -> None:
    """Write the policy with the public half of a new testnet key, whose private half goes into ``key_file``, mode 0600."""
    path = directory / key_file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = generate_key()
    save_key(private, path)
    (directory / "policy.toml").write_text(example.read_text(encoding="utf-8") + testnet_table(private), encoding="utf-8")


def testnet_table(private: Ed25519PrivateKey) -> str:
    """The section of a policy that names a testnet's key."""
    return f"""
# The testnet whose evidence counts: the public half of its own key. Another key needs `gatehouse set-policy`, and the validation
# begins anew.
[testnet]
key = "{public_line(private.public_key())}"
"""


def make_directory(directory: Path) -> None:
    """Make an empty directory with folders for keys and secrets, and forget what was there before.

    Raises:
        UsageError: it is not empty or cannot be made.
    """
    make_new_directory(directory)
    _forget_former(directory)


def _forget_former(directory: Path) -> None:
    """Forget an earlier deployment in the same place, so that the first start of the new one does not look for its journal."""
    if (elsewhere := state_directory()) is None:
        return
    # Where that is not allowed, the first start halts and says which journal it misses.
    with suppress(OSError):
        forget_folder(elsewhere, str(directory.resolve()))
        latch_elsewhere(elsewhere, directory).unlink(missing_ok=True)


def local_venue(name: str, port: int, dollars: str) -> LocalVenue:
    """A local venue with a new key."""
    return LocalVenue(name, port, "mx0" + secrets.token_hex(16), secrets.token_hex(32), dollars)


def private_file(path: Path, text: str) -> None:
    """Write a secret with mode 0600; an existing file is never overwritten."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def accounts_text(venue: LocalVenue) -> str:
    """The account a local venue is started with."""
    return f"""[[account]]
name = "{venue.name}"
api_key = "{venue.key}"
secret = "{venue.secret}"
balances = {{ USDT = "{venue.dollars}" }}
"""


def roster_text(directory: Path, persons: Mapping[str, Role], mode: Mode) -> str:
    """A roster with a new key file for each person."""
    text = f'version = 1\nmode = "{mode}"\n'
    for person, role in persons.items():
        private = generate_key()
        save_key(private, key_file(directory, person))
        key = roster_key(public_key(private).line, KeyType.FILE)
        text += f'\n[[persons]]\nname = "{person}"\nrole = "{role}"\n'
        text += f'keys = [{{ id = "{key.id}", type = "{key.type}", public = "{key.public}" }}]\n'
    return text


def _settings(ports: Ports, venues: tuple[LocalVenue, ...], bot_key: str) -> str:
    release = hashlib.sha256(places.demo_bot().read_bytes()).hexdigest()
    sections = "".join(
        f"""
[{venue.name}]
rest = "http://{HOST}:{venue.port}"
ws = "ws://{HOST}:{venue.port}/ws"
api_key = "{venue.key}"
secret_file = "secrets/{venue.name}.secret"
"""
        for venue in venues
    )
    return f"""# A rehearsal: only addresses of this machine are accepted.
controller_id = "demo"
environment = "rehearsal"
mock_balances = {{ USDT = "100" }}

[release]
name = "demo-maker"
version = "1"
artifact = "sha256:{release}"

[gateway]
host = "{HOST}"
port = {ports.gateway}

[console]
host = "{HOST}"
port = {ports.console}
{sections}
# The dead man's switch: a second process cancels what is open when this controller falls silent.
[watchdog]
enabled = true
lease_s = 30

[[bots]]
name = "maker"
key = "{bot_key}"
secret_file = "{BOT_SECRET}"
"""
