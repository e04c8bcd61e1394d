"""Writes a production deployment: MEXC for real money, a local testnet to validate the bot, one or two persons. ``init`` calls it.

The API key of the exchange account and the bot's digest are empty unless the options set them. The settings do not load until
they are filled in, so the controller cannot start half configured.
"""

from __future__ import annotations

import json
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
    write_policy,
)
from controller.cli.shared import places
from controller.settings.artifact import artifact_digest
from controller.settings.deployment import FILE_NAME
from exchange.errors import ConfigError, UsageError
from policies.authority import Role
from policies.stage import Mode

LIVE_REST = "https://api.mexc.com"
LIVE_WS = "wss://wbs-api.mexc.com/ws"
"""MEXC itself (mexc-spot-v3.md §1.1); a test holds them against the client's own."""

_PERSONS: Mapping[Mode, tuple[str, ...]] = {Mode.SOLO: ("operator",), Mode.TEAM: ("operator", "approver")}
_DOLLARS = "100"
TESTNET_KEY = "var/testnet/testnet.key"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of ``gatehouse init``, empty where not set. ``bot`` is the bot's file."""

    mode: Mode
    persons: Sequence[str] = ()
    live_key: str = ""
    bot: Path | None = None
    watchdog_key: str = ""


def write_production(directory: Path, wanted: Wanted, ports: Ports = DEFAULT_PORTS) -> list[tuple[str, str]]:
    """Write every file into an empty directory. Returns each file and what it is for.

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
    private_file(directory / "secrets/watchdog.secret", "")
    write_policy(directory, places.example_policy(wanted.mode.value), TESTNET_KEY)
    (directory / "roster.toml").write_text(roster_text(directory, persons, wanted.mode), encoding="utf-8")
    (directory / FILE_NAME).write_text(_settings(directory.name, ports, testnet, wanted, artifact), encoding="utf-8")
    return [
        (
            FILE_NAME,
            "process settings"
            + ("" if wanted.live_key and wanted.watchdog_key and artifact else "; fill in what is empty")
            + "; before LIVE name a checkpoint target outside this folder",
        ),
        ("policy.toml", "the limits, and what each gate requires; check that its eur_rate is near today's"),
        ("roster.toml", "who may sign" + ("; list a security key before going live" if wanted.mode is Mode.TEAM else "")),
        *(
            (f"keys/{person}.key", f"{person}'s signing key ({role}); keep it on {person}'s own machine")
            for person, role in persons.items()
        ),
        (
            "secrets/live.secret",
            "put the secret of the MEXC API key here: spot trading and viewing withdrawals, nothing else, from your IP address",
        ),
        ("secrets/watchdog.secret", "put the secret of a second API key of the same account here: spot trading only"),
        (BOT_SECRET, "the secret of the bot's gateway key"),
        ("secrets/testnet.secret", "the secret of the testnet venue's key"),
        ("secrets/testnet-accounts.toml", "the account the testnet venue is started with"),
        (TESTNET_KEY, "the key with which the testnet signs its statements; the policy names its public half"),
        (CONTROL_TOKEN, "the token of the testnet venue's control endpoint"),
    ]


def _persons(wanted: Wanted) -> dict[str, Role]:
    names, needed = tuple(wanted.persons) or _PERSONS[wanted.mode], len(_PERSONS[wanted.mode])
    if len(names) != needed or len(set(names)) != needed or not all(_is_name(name) for name in names):
        raise UsageError(
            f"the profile {wanted.mode} has {needed} different person{'s' if needed > 1 else ''}, named in small letters",
            code="wrong-persons",
            remedy=f"Use --person {needed} time{'s' if needed > 1 else ''}; a later version of roster.toml can list others.",
        )
    return {name: Role.OPERATOR if number == 0 else Role.APPROVER for number, name in enumerate(names)}


def _is_name(name: str) -> bool:
    return name.isascii() and name.replace("-", "").isalnum() and name.islower() and name[0].isalpha() and len(name) <= 32


def _artifact(bot: Path | None) -> str:
    if bot is None:
        return ""
    try:
        return artifact_digest(bot)
    except ConfigError as error:
        raise UsageError(error.message, code="file-unreadable", remedy="Check the path after --bot.") from None


_BACKUP = """# LIVE needs a backup that was restored within 7 days: `gatehouse drill restore --key KEY` does that beside
# the running bot. `gatehouse backup key FILE` makes the identity that opens copies, and prints the recipient. ops/docs/backup.md.
# [backup]
# recipients = ["age1..."]
# directory = "/mnt/copies"
# identity_file = "secrets/backup-identity"
"""


def _settings(name: str, ports: Ports, testnet: LocalVenue, wanted: Wanted, artifact: str) -> str:
    controller_id = "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower()).strip("-")
    bot = wanted.bot.stem if wanted.bot is not None else "bot"
    path = json.dumps(str(wanted.bot.resolve()) if wanted.bot is not None else "", ensure_ascii=False)
    return f"""# Real money can be reached: the live venue is MEXC's own address and nothing else.
controller_id = "{controller_id[:63] or "gatehouse"}"
environment = "production"
mock_balances = {{ USDT = "{_DOLLARS}" }}

# The bot. `artifact` is the digest of what you run: `gatehouse release digest PATH`. Another bot starts again at MOCK, and counts
# once a set-release is signed (ops/docs/release.md). With `path` the controller compares what is there.
[release]
name = "{bot}"
version = "1"
artifact = "{artifact}"
path = {path}

[gateway]
host = "{HOST}"
port = {ports.gateway}

[console]
host = "{HOST}"
port = {ports.console}

[testnet]
rest = "http://{HOST}:{testnet.port}"
ws = "ws://{HOST}:{testnet.port}/ws"
api_key = "{testnet.key}"
secret_file = "secrets/testnet.secret"

# `gatehouse run` keeps this local testnet, on MEXC's live market. Its accounts and orders are in var/testnet.
[testnet.run]
feed = "mexc-live"
accounts = "secrets/testnet-accounts.toml"

# Use a sub-account that holds only the stage's budget: it cannot lose more. Bind its key to this host's address on MEXC's page, for
# a key without one ends after 90 days, and say so: api_key_ends = "never". Else name the time, as in 2027-01-31T00:00:00Z, and
# `gatehouse doctor` warns 5 days before.
[live]
rest = "{LIVE_REST}"
ws = "{LIVE_WS}"
api_key = "{wanted.live_key}"
secret_file = "secrets/live.secret"

# The dead man's switch: a second process, with a second API key of the same account, cancels what is open when this controller
# falls silent for the lease. ops/docs/watchdog.md says how to run it on another host.
[watchdog]
enabled = true
lease_s = 30
api_key = "{wanted.watchdog_key}"
secret_file = "secrets/watchdog.secret"

# A process of its own holds the two exchange secrets and signs; `gatehouse run` starts it. The buys with real money that it signs
# in 25 hours add up to at most buys_per_day times the cap, whether they fill or not: 500 is a buy of a tenth of the cap every
# 18 seconds. Raise it for a bot that places more. Its other limits: ops/docs/signer.md.
[signer]
buys_per_day = 500

{_BACKUP}
[[bots]]
name = "bot"
key = "{secrets.token_hex(16)}"
secret_file = "{BOT_SECRET}"

# Signed checkpoints of the journal go to places that this host cannot rewrite, best to two of them. LIVE needs at least one outside
# this folder. The easiest is a directory that another machine mounts: witnesses = ["/mnt/nas/checkpoints"], above the first table.
# A git remote, a locked bucket or a witness proves more: ops/docs/checkpoints.md has the five lines of [[checkpoints]] for each.
"""
