"""Finds in a deployment's files where its gateway is, which key a bot has, and where that key's secret is."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from controller.bootstrap.bot_secrets import made_keys
from controller.cli.bots.forms import Access
from controller.settings.deployment import Settings
from exchange.errors import UsageError
from policies.schema import Policy


def access_of(directory: Path, settings: Settings, policy: Policy, bot: str, key: str = "") -> tuple[Access, Path]:
    """The bot's access, and the file of its secret, which is not read. ``key`` chooses where the bot has several.

    Raises:
        UsageError: the bot has no key here, or several and none is chosen.
    """
    keys = {one.key: directory / one.secret_file for one in settings.bots if one.name == bot}
    keys = {made.key: made.path for made in made_keys(directory, bot)} | keys
    chosen = [one for one in keys if key in {"", one}]
    if len(chosen) != 1:
        what = f"{bot} has {len(keys)} keys here: {', '.join(keys)}" if keys else f"{bot} has no key here"
        remedy = (
            "Choose one with --api-key; `gatehouse status` says which is in use."
            if keys
            else f"Name a bot of {_names(settings)}, or make a key: `gatehouse keys bot {bot}`."
        )
        raise UsageError(what, code="which-bot-key", remedy=remedy)
    quote = policy.eur_rate.asset
    pairs = tuple(f"{symbol.removesuffix(quote)}/{quote}" for symbol in policy.symbols)
    address = f"http://{_reachable(settings.gateway.host)}:{settings.gateway.port}"
    return Access(address, bot, chosen[0], pairs), keys[chosen[0]].resolve()


def _names(settings: Settings) -> str:
    return ", ".join(sorted({one.name for one in settings.bots})) or "gatehouse.toml"


def _reachable(host: str) -> str:
    """The host as a bot on this machine writes it: a server that listens on every address is on loopback too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"
