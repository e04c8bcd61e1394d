"""Reads currencies and their networks (mexc-spot-v3.md §2.8, §8.1). The client's account calls use it."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.wire.fields import Fields, as_list


@dataclass(frozen=True, slots=True)
class Network:
    """One network of a currency, and whether it accepts deposits and withdrawals now."""

    name: str
    deposits: bool
    withdrawals: bool


@dataclass(frozen=True, slots=True)
class Currency:
    """One currency of ``capital/config/getall``."""

    coin: str
    name: str
    networks: tuple[Network, ...]


def parse_currencies(decoded: object) -> tuple[Currency, ...]:
    """Read ``capital/config/getall``. Raises ``MalformedReply``."""
    return tuple(_currency(Fields("currency", item)) for item in as_list("currencies", decoded))


def _currency(fields: Fields) -> Currency:
    networks = fields.items("networkList") if fields.has("networkList") else ()
    return Currency(fields.text("coin"), fields.text_or_empty("name"), tuple(_network(Fields("network", one)) for one in networks))


def _network(fields: Fields) -> Network:
    return Network(
        name=fields.text_or_empty("network") or fields.text_or_empty("netWork"),
        deposits=fields.flag_or("depositEnable", default=False),
        withdrawals=fields.flag_or("withdrawEnable", default=False),
    )
