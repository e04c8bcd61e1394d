"""Turns captures in Binance's format into tapes. ``gatehouse tape convert`` calls it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal

from exchange.book import Book
from exchange.errors import GatehouseError, IntegrityError
from exchange.model import MarketTrade, Millis, Side
from exchange.tape import DepthDelta, DepthSnapshot, Levels, TapeRecord, TapeTrade

_NANOS_PER_MILLI = 1_000_000
_TRADE, _SNAPSHOT, _DELTA = 0, 1, 2
_Message = tuple[Millis, dict[str, object]]


def convert_binance(lines: Iterable[str], symbol: str, *, band: Decimal | None = None) -> list[TapeRecord]:
    """The records in a capture of Binance's spot streams: one REST depth snapshot, ``depth`` diffs and ``trade`` messages.

    Each line is the receive time in ns, a space and the raw message; other streams are skipped. Diffs are ordered by event time
    ``E`` and trades by match time ``T``, a trade before a diff of the same ms. ``U``/``u`` become the versions; the first diff is
    cut to begin right after the snapshot, and what came before the snapshot is dropped. ``m`` true means the buyer was the maker.

    ``band`` keeps only levels within that fraction of the snapshot's mid price (0.02 = 2 %), the same bounds for the whole
    capture, so that a level is either always in the tape or never.

    Raises:
        IntegrityError: no snapshot, diffs that do not chain, or a book that leaves the middle half of the band.
    """
    snapshot: _Message | None = None
    diffs: list[_Message] = []
    trades: list[_Message] = []
    for received_at, message in _messages(lines):
        body = message.get("data", message)
        if not isinstance(body, dict):
            raise _unusable("a message without an object inside")
        if "lastUpdateId" in body:
            snapshot = (received_at, body)
        elif body.get("e") == "depthUpdate":
            diffs.append((received_at, body))
        elif body.get("e") == "trade":
            trades.append((received_at, body))
    if snapshot is None:
        raise _unusable("it has no depth snapshot")
    try:
        return _assemble(symbol, snapshot, diffs, trades, band)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise _unusable(f"a field of a message is missing or unreadable: {error!r}") from error


def _assemble(
    symbol: str, snapshot: _Message, diffs: list[_Message], trades: list[_Message], band: Decimal | None
) -> list[TapeRecord]:
    version = _int(snapshot[1]["lastUpdateId"])
    bids, asks = _levels(snapshot[1]["bids"]), _levels(snapshot[1]["asks"])
    bounds = _bounds(bids[0][0], asks[0][0], band)
    later = sorted((diff for diff in diffs if _int(diff[1]["u"]) > version), key=lambda diff: _int(diff[1]["u"]))
    if not later:
        raise _unusable("no depth diff follows the snapshot")
    start = _int(later[0][1]["E"])
    first = DepthSnapshot(symbol, version, _within(bids, bounds), _within(asks, bounds), Millis(start), snapshot[0])
    records: list[tuple[int, int, int, TapeRecord]] = [(start, _SNAPSHOT, 0, first)]
    for received_at, body in later:
        beginning, end, at = _int(body["U"]), _int(body["u"]), _int(body["E"])
        if beginning > version + 1 or (len(records) > 1 and beginning != version + 1):
            raise _unusable(f"a depth diff begins at {beginning}, after {version}")
        bid_changes, ask_changes = _within(_levels(body["b"]), bounds), _within(_levels(body["a"]), bounds)
        delta = DepthDelta(symbol, version + 1, end, bid_changes, ask_changes, Millis(at), received_at)
        records.append((at, _DELTA, end, delta))
        version = end
    for received_at, body in trades:
        at = _int(body["T"])
        if at >= start:
            number = _int(body["t"])
            side = Side.SELL if body["m"] is True else Side.BUY
            trade = MarketTrade(symbol, _decimal(body["p"]), _decimal(body["q"]), side, Millis(at), str(number))
            # The tape starts from the snapshot; drop everything before it.
            order = (at, _TRADE if at > start else _DELTA, number)
            records.append((*order, TapeTrade(trade, received_at)))
    ordered = [record for *_, record in sorted(records, key=lambda item: item[:3])]
    if bounds is not None:
        _require_inside(ordered, bounds)
    return ordered


def _messages(lines: Iterable[str]) -> Iterator[tuple[Millis, dict[str, object]]]:
    for number, line in enumerate(lines, 1):
        stamp, _, text = line.strip().partition(" ")
        try:
            message = json.loads(text)
            received_at = Millis(int(stamp) // _NANOS_PER_MILLI)
        except ValueError as error:
            raise _unusable(f"line {number} is not a receive time and a message") from error
        if not isinstance(message, dict):
            raise _unusable(f"line {number} is not an object")
        yield received_at, message


def _bounds(bid: Decimal, ask: Decimal, band: Decimal | None) -> tuple[Decimal, Decimal] | None:
    if band is None:
        return None
    mid = (bid + ask) / 2
    return mid * (1 - band), mid * (1 + band)


def _within(levels: Levels, bounds: tuple[Decimal, Decimal] | None) -> Levels:
    return levels if bounds is None else tuple(level for level in levels if bounds[0] <= level[0] <= bounds[1])


def _require_inside(records: list[TapeRecord], bounds: tuple[Decimal, Decimal]) -> None:
    """The market must stay in the middle half of the band; nearer to its edge the book would miss levels."""
    low, high = bounds
    quarter = (high - low) / 4
    book = Book(records[0].symbol)
    for record in records:
        if isinstance(record, DepthSnapshot):
            book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
            quote = book.quote(record.at)
            if quote is None or quote.bid < low + quarter or quote.ask > high - quarter:
                raise _unusable(f"the book of version {record.to_version} is empty, crossed or near the edge of the band")


def _levels(pairs: object) -> Levels:
    if not isinstance(pairs, list):
        raise TypeError("levels")
    return tuple((_decimal(price), _decimal(quantity)) for price, quantity in pairs)


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str):
        raise TypeError("a number that is not text")
    number = Decimal(value)
    # Drop the trailing zeros of the capture without using an exponent.
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number that is not an integer")
    return value


def _unusable(message: str) -> GatehouseError:
    return IntegrityError(
        f"the capture cannot be converted: {message}",
        code="capture-unusable",
        remedy="Check that it is a complete Binance spot capture with a snapshot, or choose a wider band.",
    )
