"""A production deployment's directory: MEXC for real money, a local testnet to prove the bot on first, and one or two persons.

What only its owner can know is left empty: the API key of the exchange account and the bot's digest, unless they are given. The
settings do not load until they are filled in, so nothing starts half configured.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.cli.setup.deployment import (
    BOT_SECRET,
    CONTROL_TOKEN,
    DEFAULT_PORTS,
    HOST,
    LocalVenue,
    Ports,
    accounts_text,
    local_venue,
    make_directory,
    private_file,
    roster_text,
)
from controller.cli.shared import places
from controller.settings.deployment import FILE_NAME
from exchange.errors import UsageError
from policies import canonical
from policies.authority import Role
from policies.stage import Mode

LIVE_REST = "https://api.mexc.com"
LIVE_WS = "wss://wbs-api.mexc.com/ws"
"""MEXC itself (mexc-spot-v3.md §1.1); a test holds them against the client's own."""

_PERSONS: Mapping[Mode, tuple[str, ...]] = {Mode.SOLO: ("operator",), Mode.TEAM: ("operator", "approver")}
_DOLLARS = "100"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``gatehouse init`` was told. Empty where it was told nothing; ``bot`` is the file the bot is started from."""

    mode: Mode
    persons: Sequence[str] = ()
    live_key: str = ""
    bot: Path | None = None


def write_production(directory: Path, wanted: Wanted, ports: Ports = DEFAULT_PORTS) -> list[tuple[str, str]]:
    """Write everything into an empty directory; what was written and what it is for.

    Raises:
        UsageError: the directory is not empty or cannot be made, the persons do not fit the profile, or the bot cannot be read.
    """
    persons, artifact = _persons(wanted), _artifact(wanted.bot)
    make_directory(directory)
    testnet = local_venue("testnet", ports.testnet, _DOLLARS)
    private_file(directory / "secrets/testnet.secret", testnet.secret + "\n")
    private_file(directory / "secrets/testnet-accounts.toml", accounts_text(testnet))
    private_file(directory / BOT_SECRET, secrets.token_hex(32) + "\n")
    private_file(directory / CONTROL_TOKEN, secrets.token_hex(32) + "\n")
    private_file(directory / "secrets/live.secret", "")
    (directory / "policy.toml").write_bytes(places.example_policy(wanted.mode.value).read_bytes())
    (directory / "roster.toml").write_text(roster_text(directory, persons), encoding="utf-8")
    (directory / FILE_NAME).write_text(_settings(directory.name, ports, testnet, wanted, artifact), encoding="utf-8")
    return [
        (FILE_NAME, "process settings" + ("" if wanted.live_key and artifact else "; fill in what is empty")),
        ("policy.toml", "what is allowed, and what each gate asks; renew its eur_rate"),
        ("roster.toml", "who may sign" + ("; list a security key before going live" if wanted.mode is Mode.TEAM else "")),
        *(
            (f"keys/{person}.key", f"{person}'s signing key ({role}); keep it on {person}'s own machine")
            for person, role in persons.items()
        ),
        ("secrets/live.secret", "put the secret of the MEXC API key here: spot trading only, no withdrawal, your address only"),
        (BOT_SECRET, "the secret of the bot's gateway key"),
        ("secrets/testnet.secret", "the secret of the testnet venue's key"),
        ("secrets/testnet-accounts.toml", "the account the testnet venue is started with"),
        (CONTROL_TOKEN, "opens the testnet venue's control endpoint"),
    ]


def _persons(wanted: Wanted) -> dict[str, Role]:
    names, needed = tuple(wanted.persons) or _PERSONS[wanted.mode], len(_PERSONS[wanted.mode])
    if len(names) != needed or len(set(names)) != needed or not all(_is_name(name) for name in names):
        raise UsageError(
            f"the profile {wanted.mode} has {needed} different person{'s' if needed > 1 else ''}, named in small letters",
            code="wrong-persons",
            remedy=f"Give --person {needed} time{'s' if needed > 1 else ''}; `gatehouse set-roster` changes them later.",
        )
    return {name: Role.OPERATOR if number == 0 else Role.APPROVER for number, name in enumerate(names)}


def _is_name(name: str) -> bool:
    return name.isascii() and name.replace("-", "").isalnum() and name.islower() and name[0].isalpha() and len(name) <= 32


def _artifact(bot: Path | None) -> str:
    if bot is None:
        return ""
    try:
        return canonical.digest(bot.read_bytes())
    except OSError as error:
        raise UsageError(f"{bot} cannot be read: {error.strerror}", code="file-unreadable", remedy="Give the bot's file.") from None


def _settings(name: str, ports: Ports, testnet: LocalVenue, wanted: Wanted, artifact: str) -> str:
    controller_id = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower()).strip("-")
    bot = wanted.bot.stem if wanted.bot is not None else "bot"
    return f"""# Real money can be reached: the live venue is MEXC's own address and nothing else.
controller_id = "{controller_id[:63] or "gatehouse"}"
environment = "production"
mock_balances = {{ USDT = "{_DOLLARS}" }}

# The bot. `artifact` is the SHA-256 of what you run: gatehouse init --bot FILE, or sha256sum. A change starts again at MOCK.
[release]
name = "{bot}"
version = "1"
artifact = "{artifact}"

[gateway]
host = "{HOST}"
port = {ports.gateway}

[console]
host = "{HOST}"
port = {ports.console}

# The local testnet, on MEXC's live market:
# gatehouse testnet --port {testnet.port} --feed mexc-live --accounts secrets/testnet-accounts.toml
[testnet]
rest = "http://{HOST}:{testnet.port}"
ws = "ws://{HOST}:{testnet.port}/ws"
api_key = "{testnet.key}"
secret_file = "secrets/testnet.secret"

# A sub-account holding the stage's budget and no more caps a loss physically.
[live]
rest = "{LIVE_REST}"
ws = "{LIVE_WS}"
api_key = "{wanted.live_key}"
secret_file = "secrets/live.secret"

[[bots]]
name = "bot"
key = "{secrets.token_hex(16)}"
secret_file = "{BOT_SECRET}"

# [[checkpoints]] names where signed checkpoints of the journal go, at best two places that this host cannot rewrite: a git remote,
# a locked bucket, a witness, a webhook, a directory. ops/docs/checkpoints.md has the five lines for each.
"""
