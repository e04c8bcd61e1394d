"""The trading clients that are tried, with their versions, from ``clients.toml``. ``bot-config`` and ``make bots`` read them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

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
    """One client. ``package`` is what pip calls it, ``python`` the least Python that can install it."""

    name: ClientName
    title: str
    package: str
    version: str
    python: str
    also: tuple[str, ...] = ()

    @property
    def requirements(self) -> str:
        """What pip installs, a line for each."""
        return "\n".join((f"{self.package}=={self.version}", *self.also))


def load_clients() -> dict[ClientName, Client]:
    """Every client of the data file, in its order."""
    tables = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return {ClientName(name): _client(ClientName(name), table) for name, table in tables.items()}


def _client(name: ClientName, table: dict[str, Any]) -> Client:
    return Client(name, **(table | {"also": tuple(table.get("also", ()))}))
