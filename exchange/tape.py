"""Reads and writes market tapes: one symbol's recorded depth and trades. The testnet, the recorder and the converters call it.

A tape is gzip JSON Lines and reads back exactly or not at all.

The first line is the header object. Every further line is an array whose first item is its kind. Instants are the venue's
event time in ms, followed by the ms until we received it (negative if the clocks differ):

    ["s", at, lag, version, bids, asks]        a full book
    ["d", at, lag, from, to, bids, asks]       absolute quantities, 0 removes; ``from`` is one past the previous version
    ["t", at, lag, id, price, quantity, side]  a trade; ``side`` is the taker's, "B" or "S"
    ["g", at, lag]                             the recorder lost the book here; the next depth line is a snapshot
    ["e", count]                               the last line: how many records came before it

Records are ordered by event time. Trades carry the time they matched, depth the time it was published, so a trade comes before
the depth change it caused. Reading checks all of it; a truncated, edited or unordered tape raises ``IntegrityError``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

from exchange.book import Level
from exchange.errors import GatehouseError, IntegrityError
from exchange.model import DataSource, MarketTrade, Millis, Side, symbol_fault

FORMAT = "gatehouse-tape"
FORMAT_VERSION = 1

Levels = tuple[Level, ...]

_REMEMBERED = 65_536
"""Prices and sizes repeat: caching their numbers halves the time to read a tape."""


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """What the tape is. ``origin`` and ``licence`` are for human readers; ``note`` says what was left out."""

    symbol: str
    source: DataSource
    origin: str
    licence: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """A full book as of ``version``."""

    symbol: str
    version: int
    bids: Levels
    asks: Levels
    at: Millis
    received_at: Millis


@dataclass(frozen=True, slots=True)
class DepthDelta:
    """The changes of versions ``from_version`` to ``to_version``: absolute quantities, 0 removes the level."""

    symbol: str
    from_version: int
    to_version: int
    bids: Levels
    asks: Levels
    at: Millis
    received_at: Millis


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """A public trade."""

    trade: MarketTrade
    received_at: Millis

    @property
    def symbol(self) -> str:
        """The traded symbol."""
        return self.trade.symbol

    @property
    def at(self) -> Millis:
        """When it matched."""
        return self.trade.at


@dataclass(frozen=True, slots=True)
class TapeGap:
    """Depth is missing from here until the next snapshot; the book in between must not be used."""

    symbol: str
    at: Millis
    received_at: Millis


TapeRecord = DepthSnapshot | DepthDelta | TapeTrade | TapeGap


@dataclass(frozen=True, slots=True)
class TapeSummary:
    """What ``inspect`` found. ``sha256`` is of the file's bytes; ``volume`` is in the base asset."""

    header: TapeHeader
    records: int
    snapshots: int
    deltas: int
    trades: int
    gaps: int
    first_at: Millis
    last_at: Millis
    first_version: int
    last_version: int
    low: Decimal | None
    high: Decimal | None
    volume: Decimal
    sha256: str


def malformed(message: str) -> IntegrityError:
    """The error for a tape that breaks the format."""
    return IntegrityError(
        message, code="tape-malformed", remedy="Record or convert the tape again; a damaged tape is never repaired."
    )


class RecordOrder:
    """Checks the ordering rules of a tape, record by record, when writing and when reading."""

    __slots__ = ("_at", "_symbol", "_version", "count", "gapped")

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._at = 0
        self._version = 0
        self.gapped = True
        self.count = 0

    def check(self, record: TapeRecord) -> None:
        """Accept the next record. Raises ``IntegrityError`` if it cannot follow the previous ones."""
        where = f"record {self.count + 1}"
        if record.symbol != self._symbol:
            raise malformed(f"{where} is for {record.symbol}, the tape is for {self._symbol}")
        if record.at < self._at:
            raise malformed(f"{where} is at {record.at}, before the previous record at {self._at}")
        if isinstance(record, DepthSnapshot):
            if record.version < self._version:
                raise malformed(f"{where} is a snapshot of version {record.version}, after version {self._version}")
            self._version = record.version
            self.gapped = False
        elif isinstance(record, DepthDelta):
            if self.gapped:
                raise malformed(f"{where} is a depth change without a snapshot before it")
            if record.from_version != self._version + 1 or record.to_version < record.from_version:
                span = f"{record.from_version}-{record.to_version}"
                raise malformed(f"{where} covers versions {span}, after version {self._version}")
            self._version = record.to_version
        elif isinstance(record, TapeGap):
            self.gapped = True
        elif self.count == 0:
            raise malformed("a tape starts with a snapshot, not with a trade")
        self._at = record.at
        self.count += 1


class TapeWriter(AbstractContextManager["TapeWriter"]):
    """Writes a tape record by record. The bytes depend on the records alone. An unfinished tape stays under a ``.part`` name."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._raw = self._part.open("wb")
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=self._raw, mtime=0)
        self._text = TextIOWrapper(self._gzip, encoding="ascii", newline="\n")
        self._sequence = RecordOrder(header.symbol)
        self._line({"format": FORMAT, "version": FORMAT_VERSION, **asdict(header)})

    def append(self, record: TapeRecord) -> None:
        """Write the next record. Raises ``IntegrityError`` if it cannot follow the previous ones."""
        self._sequence.check(record)
        self._line(_encode(record))

    def close(self) -> None:
        """Write the last line and rename the file to its final name."""
        self._line(["e", self._sequence.count])
        self._release()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Delete the unfinished tape."""
        self._release()
        self._part.unlink(missing_ok=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._release()

    def _line(self, value: object) -> None:
        self._text.write(json.dumps(value, separators=(",", ":")) + "\n")

    def _release(self) -> None:
        self._text.close()
        self._raw.close()


def write(path: Path, header: TapeHeader, records: Iterable[TapeRecord]) -> None:
    """Write a whole tape. Raises ``IntegrityError`` when the records are not in order."""
    with TapeWriter(path, header) as writer:
        for record in records:
            writer.append(record)


def read_header(path: Path) -> TapeHeader:
    """The first line of a tape. Raises ``IntegrityError``."""
    for line in _lines(path):
        return _header(_json(line, "the header"))
    raise malformed(f"{path.name} is empty")


def read(path: Path) -> Iterator[TapeRecord]:
    """Every record in order, streaming. Raises ``IntegrityError`` at the first line that is not valid."""
    lines = _lines(path)
    header = _header(_json(next(lines, ""), "the header"))
    sequence = RecordOrder(header.symbol)
    for line in lines:
        fields = _json(line, f"record {sequence.count + 1}")
        if isinstance(fields, list) and fields[:1] == ["e"]:
            if fields != ["e", sequence.count]:
                raise malformed(f"the tape has {sequence.count} records but its last line says {fields[1:]}")
            if next(lines, None) is not None:
                raise malformed("the tape continues after its last line")
            return
        record = _decode(header.symbol, fields, sequence.count + 1)
        sequence.check(record)
        yield record
    raise malformed(f"the tape is cut off after {sequence.count} records")


def inspect(path: Path, watch: Callable[[TapeRecord], None] | None = None) -> TapeSummary:
    """Read a whole tape and count its records; ``watch`` is called with every record. Raises ``IntegrityError``."""
    header = read_header(path)
    kinds = {DepthSnapshot: 0, DepthDelta: 0, TapeTrade: 0, TapeGap: 0}
    instants: list[Millis] = []
    versions: list[int] = []
    prices: list[Decimal] = []
    volume = Decimal(0)
    for record in read(path):
        if watch is not None:
            watch(record)
        kinds[type(record)] += 1
        instants = [instants[0] if instants else record.at, record.at]
        if isinstance(record, TapeTrade):
            price = record.trade.price
            prices = [min(prices[0], price), max(prices[1], price)] if prices else [price, price]
            volume += record.trade.quantity
        elif not isinstance(record, TapeGap):
            version = record.version if isinstance(record, DepthSnapshot) else record.to_version
            versions = [versions[0] if versions else version, version]
    if not versions:
        raise malformed(f"{path.name} has no book")
    return TapeSummary(
        header=header,
        records=sum(kinds.values()),
        snapshots=kinds[DepthSnapshot],
        deltas=kinds[DepthDelta],
        trades=kinds[TapeTrade],
        gaps=kinds[TapeGap],
        first_at=instants[0],
        last_at=instants[1],
        first_version=versions[0],
        last_version=versions[1],
        low=prices[0] if prices else None,
        high=prices[1] if prices else None,
        volume=volume,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def decimal_text(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _encode(record: TapeRecord) -> list[object]:
    lag = record.received_at - record.at
    match record:
        case DepthSnapshot():
            return ["s", record.at, lag, record.version, _pairs(record.bids), _pairs(record.asks)]
        case DepthDelta():
            return ["d", record.at, lag, record.from_version, record.to_version, _pairs(record.bids), _pairs(record.asks)]
        case TapeTrade(trade=trade):
            side = "B" if trade.taker_side is Side.BUY else "S"
            return ["t", record.at, lag, trade.trade_id, decimal_text(trade.price), decimal_text(trade.quantity), side]
        case TapeGap():
            return ["g", record.at, lag]


def _pairs(levels: Levels) -> list[list[str]]:
    return [[decimal_text(price), decimal_text(quantity)] for price, quantity in levels]


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="ascii", newline="\n") as file:
            for line in file:
                if not line.endswith("\n"):
                    raise malformed(f"{path.name} ends in the middle of a line")
                yield line
    except FileNotFoundError as error:
        raise IntegrityError(
            f"there is no tape at {path}", code="tape-missing", remedy="Check the path given to --tape."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise malformed(f"{path.name} is damaged: {error}") from error


def _json(line: str, where: str) -> object:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise malformed(f"{where} is not JSON") from error
    return value


def _header(value: object) -> TapeHeader:
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != FORMAT_VERSION:
        raise malformed(f"the first line is not the header of a {FORMAT} of version {FORMAT_VERSION}")
    names = {"symbol", "source", "origin", "licence", "note"}
    if set(value) != names | {"format", "version"} or not all(isinstance(value[name], str) for name in names):
        raise malformed("the header must have exactly the strings symbol, source, origin, licence and note")
    if fault := symbol_fault(value["symbol"]):
        raise malformed(f"the header's symbol {fault}")
    try:
        source = DataSource(value["source"])
    except ValueError as error:
        raise malformed(f"the header names an unknown source {value['source']!r}") from error
    return TapeHeader(value["symbol"], source, value["origin"], value["licence"], value["note"])


def _decode(symbol: str, fields: object, number: int) -> TapeRecord:
    try:
        match fields:
            case ["d", int(at), int(lag), int(first), int(last), list(bids), list(asks)]:
                return DepthDelta(symbol, first, last, _levels(bids), _levels(asks), Millis(at), Millis(at + lag))
            case ["t", int(at), int(lag), str(trade_id), str(price), str(quantity), ("B" | "S") as side]:
                taker = Side.BUY if side == "B" else Side.SELL
                size = _number(quantity)
                if not size:
                    raise malformed("a trade with quantity 0")
                return TapeTrade(MarketTrade(symbol, _price(price), size, taker, Millis(at), trade_id), Millis(at + lag))
            case ["s", int(at), int(lag), int(version), list(bids), list(asks)]:
                return DepthSnapshot(symbol, version, _levels(bids), _levels(asks), Millis(at), Millis(at + lag))
            case ["g", int(at), int(lag)]:
                return TapeGap(symbol, Millis(at), Millis(at + lag))
    except (GatehouseError, InvalidOperation, TypeError, ValueError) as error:
        raise malformed(f"record {number} cannot be read: {error}") from error
    raise malformed(f"record {number} has an unknown kind")


def _levels(pairs: list[object]) -> Levels:
    levels = []
    for pair in pairs:
        match pair:
            case [str(price), str(quantity)]:
                levels.append((_price(price), _number(quantity)))
            case _:
                raise malformed("a level is not a pair of strings")
    return tuple(levels)


@lru_cache(maxsize=_REMEMBERED)
def _price(text: str) -> Decimal:
    price = _number(text)
    if not price:
        raise malformed("a price of zero")
    return price


@lru_cache(maxsize=_REMEMBERED)
def _number(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or value.is_signed():
        raise malformed(f"{text[:40]!r} is not a quantity")
    return value
