"""Every order and fill of the venue, by the keys of MEXC's queries (mexc-spot-v3.md §4.9-4.11). The engine calls it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from exchange.matching.events import FillEvidence, FillRecord
from exchange.matching.resting import LiveOrder
from exchange.model import Fill, Millis

_FIRST_ID = 505_979_017_439_002_624
_SEED_SPAN = 10**15
_SPAN = 400 * _SEED_SPAN
"""Ids have as many digits as MEXC's, wherever in this span they begin."""


class Registry:
    """Orders and fills in order of arrival, and their ids: opaque text derived from the sequence and from where ids begin."""

    def __init__(self, seed: int, ids: str = "") -> None:
        """``ids`` names what no other venue has, and ids begin where it says; empty: at a place that belongs to the seed."""
        drawn = int.from_bytes(hashlib.sha256(ids.encode()).digest()[:16]) if ids else seed * _SEED_SPAN
        self._base = _FIRST_ID + drawn % _SPAN
        self._orders: dict[str, list[LiveOrder]] = defaultdict(list)
        self._by_id: dict[str, LiveOrder] = {}
        self._by_client: dict[tuple[str, str], LiveOrder] = {}
        self._open: dict[str, dict[str, LiveOrder]] = defaultdict(dict)
        self._fills: dict[str, list[Fill]] = defaultdict(list)
        self._log: list[FillRecord] = []
        self._digest = hashlib.sha256()

    def order_id(self, sequence: int) -> str:
        """The id of the order placed as number ``sequence``, in the form MEXC uses today (mexc-spot-v3.md §4.1)."""
        return f"C02__{self._base + sequence}{sequence * 37 % 1000:03d}"

    def trade_id(self, order: LiveOrder) -> str:
        """The id of an order's next fill (mexc-spot-v3.md §7.6)."""
        return f"{order.order_id.removeprefix('C02__')}X{order.fills}"

    def add(self, order: LiveOrder) -> None:
        """Add a new order; its client id now refers to it."""
        self._orders[order.account].append(order)
        self._by_id[order.order_id] = order
        self._open[order.account][order.order_id] = order
        if order.client_id:
            self._by_client[order.account, order.client_id] = order

    def record_of(self, order_id: str) -> LiveOrder:
        """The order with this id, to be read only. Raises ``KeyError``."""
        return self._by_id[order_id]

    def every_order(self) -> tuple[LiveOrder, ...]:
        """Every order of every account, in the order they were placed."""
        return tuple(sorted(self._by_id.values(), key=lambda order: order.sequence))

    def close(self, order: LiveOrder) -> None:
        """Note that an order can no longer trade."""
        self._open[order.account].pop(order.order_id, None)

    def has_client_id(self, account: str, client_id: str) -> bool:
        """Whether the account ever used this client id."""
        return (account, client_id) in self._by_client

    def find(self, account: str, symbol: str, *, order_id: str | None = None, client_id: str | None = None) -> LiveOrder | None:
        """An account's order by the exchange's id, which wins, or by client id (the latest that used it)."""
        order = self._by_id.get(order_id) if order_id is not None else self._by_client.get((account, client_id or ""))
        if order is None or order.account != account or order.rules.symbol != symbol:
            return None
        return order

    def open_count(self, account: str) -> int:
        """How many orders of the account can still trade."""
        return len(self._open[account])

    def open_orders(self, account: str, symbol: str | None = None) -> list[LiveOrder]:
        """The account's orders that can still trade, newest first."""
        return [order for order in reversed(self._open[account].values()) if symbol in {None, order.rules.symbol}]

    def orders(self, account: str, symbol: str, since: Millis, until: Millis, limit: int) -> list[LiveOrder]:
        """The account's orders created in the window, both ends included, newest first."""
        chosen = (o for o in reversed(self._orders[account]) if o.rules.symbol == symbol and since <= o.created_at <= until)
        return list(islice(chosen, limit))

    def fills(self, account: str, symbol: str, *, order_id: str | None, since: Millis, until: Millis) -> Iterator[Fill]:
        """The account's fills in the window, both ends included, newest first."""
        for fill in reversed(self._fills[account]):
            if fill.symbol == symbol and since <= fill.at <= until and order_id in {None, fill.order_id}:
                yield fill

    def record(self, account: str, fill: Fill, evidence: FillEvidence) -> None:
        """Add a fill with its evidence, and hash both into the digest."""
        self._fills[account].append(fill)
        self._log.append(FillRecord(account, fill, evidence))
        self._digest.update(self._log[-1].line().encode() + b"\n")

    def log(self) -> Sequence[FillRecord]:
        """Every fill of every account with its evidence, oldest first."""
        return tuple(self._log)

    def digest(self) -> str:
        """SHA-256 over the lines of every fill so far, in order, as hex."""
        return self._digest.hexdigest()
