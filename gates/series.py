"""What the statistics of a run are computed from: its equity on a fixed grid, its ended orders and its round trips.

The fold collects them in the state; ``gates.performance`` computes the metrics of families B and C from them
(execution-safety.md §4). Amounts of one order are in the quote asset, what belongs to the whole run is in EUR.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Generic, TypeVar

from exchange.model import Millis, OrderType, Side

GRID_MS = 300_000
"""One point of the equity curve for each five minutes, at whole multiples of it since the epoch (UTC)."""

_CHUNK = 256
_encode = json.JSONEncoder(separators=(",", ":")).encode
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Column(Generic[_Item]):
    """An immutable sequence that grows at its end.

    Appending copies at most one chunk and the list of chunks. A full chunk is compressed text, so that a run with a million orders
    takes tens of megabytes. The items are of a type that ``_READERS`` lists.
    """

    chunks: tuple[str, ...] = ()
    tail: tuple[_Item, ...] = ()

    def with_item(self, item: _Item) -> Column[_Item]:
        """This with one more item."""
        tail = (*self.tail, item)
        return Column((*self.chunks, _packed(tail)), ()) if len(tail) == _CHUNK else Column(self.chunks, tail)

    def __iter__(self) -> Iterator[_Item]:
        """All items, the oldest first."""
        for chunk in self.chunks:
            yield from _unpacked(chunk)
        yield from self.tail

    def __len__(self) -> int:
        """How many items there are."""
        return len(self.chunks) * _CHUNK + len(self.tail)

    def digest(self) -> str:
        """Return ``sha256:<hex>`` of all items. It does not depend on how they are compressed."""
        digest = hashlib.sha256()
        for item in self:
            digest.update(_row(item).encode() + b"\n")
        return f"sha256:{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The run at one instant of the grid, from the last sample at or before it.

    ``equity_eur`` is marked to the market, with deposits and withdrawals taken out. ``mid`` is the mid price of the first symbol,
    absent where it was not known. ``fees_eur`` and ``slippage_eur`` are what the fills of the run have cost until then; slippage is
    against the mid price at the decision and may be negative.
    """

    at: Millis
    equity_eur: Decimal
    mid: Decimal | None
    fees_eur: Decimal
    slippage_eur: Decimal


@dataclass(frozen=True, slots=True)
class Execution:
    """An order of the run that has ended at its venue, filled or not.

    ``mid`` is the mid price at the decision, from the quote that the limits judged; ``mid_at_end`` the one when it ended, absent
    where it was not known. ``ordered`` and ``filled`` are quantities of the base asset, ``filled_quote`` what they cost or brought,
    ``fee_quote`` the fees of its fills in the quote asset. ``acked_after_ms``: from the decision to the venue's answer.
    """

    symbol: str
    side: Side
    type: OrderType
    admitted_at: Millis
    ended_at: Millis
    mid: Decimal
    mid_at_end: Decimal | None
    ordered: Decimal
    filled: Decimal
    filled_quote: Decimal
    fee_quote: Decimal
    acked_after_ms: int | None


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What was bought and sold again, first in first out: the sale of a quantity ends one.

    ``pnl_quote`` is net of the fees of both sides; ``cost_quote`` is what the bought part cost without fees.
    """

    symbol: str
    opened_at: Millis
    closed_at: Millis
    cost_quote: Decimal
    pnl_quote: Decimal


@dataclass(frozen=True, slots=True)
class Decision:
    """The bot asked for an order ``at``: ``side`` is BUY or SELL. In a replay ``at`` is the time of the data it decided from."""

    at: Millis
    symbol: str
    side: str


@dataclass(frozen=True, slots=True)
class DeniedAgain:
    """From ``since`` to ``at`` the bot asked for ``count`` orders that were denied like one before."""

    since: Millis
    at: Millis
    symbol: str
    count: int


@dataclass(frozen=True, slots=True)
class RunSeries:
    """All of it, for one run of one stage. ``quote_per_eur`` is the policy's rate, which converts amounts in the quote asset."""

    started_at: Millis
    cap_eur: Decimal
    quote_per_eur: Decimal
    equity: Column[EquityPoint] = Column()
    executions: Column[Execution] = Column()
    round_trips: Column[RoundTrip] = Column()

    def digest(self) -> str:
        """Return ``sha256:<hex>`` of everything in it: the same for everybody who folds the same journal."""
        parts = (
            str(int(self.started_at)),
            _number(self.cap_eur),
            _number(self.quote_per_eur),
            *(column.digest() for column in (self.equity, self.executions, self.round_trips)),
        )
        return f"sha256:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


def _optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


_MAYBE = _optional(Decimal)
_READERS: Mapping[type, tuple[Callable[[Any], Any], ...]] = {
    EquityPoint: (Millis, Decimal, _MAYBE, Decimal, Decimal),
    Execution: (
        str, Side, OrderType, Millis, Millis, Decimal, _MAYBE, Decimal, Decimal, Decimal, Decimal, _optional(int),
    ),
    RoundTrip: (str, Millis, Millis, Decimal, Decimal),
    Decision: (Millis, str, str),
    DeniedAgain: (Millis, Millis, str, int),
}  # fmt: skip
"""How each field of an item is read from JSON, in the order of the fields."""

_BY_NAME = {kind.__name__: kind for kind in _READERS}


def _number(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _row(item: Any) -> str:
    values = (getattr(item, one.name) for one in fields(item))
    return _encode([_number(value) if isinstance(value, Decimal) else value for value in values])


def _packed(items: tuple[Any, ...]) -> str:
    rows = ",".join(map(_row, items))
    text = f'["{type(items[0]).__name__}",[{rows}]]'
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def _unpacked(chunk: str) -> Iterator[Any]:
    name, rows = json.loads(zlib.decompress(base64.b64decode(chunk)))
    kind = _BY_NAME[name]
    readers = _READERS[kind]
    for row in rows:
        yield kind(*(read(value) for read, value in zip(readers, row, strict=True)))
