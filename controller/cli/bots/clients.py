"""The trading clients that are tried, with their versions, from ``clients.toml``. ``bot-config`` and ``make bots`` read them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DATA = Path(__file__).with_name("clients.toml")


class ClientName(StrEnum):
    """A client for which there is a recipe."""

    CCXT = "ccxt"
    CCXT_PRO = "ccxt-pro"
    FREQTRADE = "freqtrade"
    HUMMINGBOT = "hummingbot"
    PYMEXC = "pymexc"
    LUMIBOT = "lumibot"


@dataclass(frozen=True, slots=True)
class Client:
    """One client. ``package`` is its name on PyPI, ``python`` the least Python that can install it."""

    name: ClientName
    title: str
    package: str
    version: str
    python: str

    @property
    def requirement(self) -> str:
        """What pip installs."""
        return f"{self.package}=={self.version}"


def load_clients() -> dict[ClientName, Client]:
    """Every client of the data file, in its order."""
    tables = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return {ClientName(name): Client(ClientName(name), **table) for name, table in tables.items()}
