"""Shows tapes and comparisons on them. ``tape.verbs`` calls this."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.text import Text

from controller.cli.run.testnet_options import latency as quantiles
from controller.cli.shared.output import Output, clock, duration, print_json, stderr, stdout, table
from exchange import tape
from exchange.book import Book
from exchange.matching.symbols import rules_for
from exchange.model import DataSource
from exchange.tape import DepthDelta, DepthSnapshot, TapeGap, TapeRecord, TapeSummary, decimal_text
from exchange.testnet.replay import ReplayResult, compare

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
WIDTH = 60
"""Columns of a sparkline."""


def show_summary(path: Path, output: Output) -> None:
    """Check a whole tape and print what is in it. Raises ``IntegrityError`` for one that is damaged."""
    prices = MidPrices()
    with stderr().status(f"reading {path.name}"):
        found = tape.inspect(path, prices.see)
    mids = prices.parts(WIDTH)
    if output is Output.JSON:
        print_json(_document(path, found, mids))
        return
    span = found.last_at - found.first_at
    traded = f"{found.trades} of {decimal_text(found.volume)} in all"
    if found.low is not None and found.high is not None:
        traded += f", {decimal_text(found.low)} to {decimal_text(found.high)}"
    rows = [
        ("symbol", found.header.symbol),
        ("source", found.header.source.value),
        ("origin", f"{found.header.origin} ({found.header.licence})"),
        ("note", found.header.note),
        ("time", f"{_date(found.first_at)} {clock(found.first_at)} to {clock(found.last_at)} UTC, {duration(span)}"),
        ("records", found.records),
        ("depth", f"{found.snapshots} snapshots, {found.deltas} changes, versions {found.first_version} to {found.last_version}"),
        ("trades", traded),
        ("gaps", found.gaps),
        ("mid", sparkline(mids)),
        ("sha256", found.sha256),
    ]
    console = stdout()
    console.print(table(("", str(path)), rows))
    if found.header.source is DataSource.RECONSTRUCTED_BARS:
        console.print(Text("Reconstructed from bars: nothing measured on it can open a production gate.", style="yellow"))


def show_comparison(path: Path, seed: int, latency: str, output: Output) -> None:
    """Print what scripted quotes get on a tape under every fill model.

    Raises:
        IntegrityError: the tape is damaged.
        UsageError: its symbol has no rules, or the latency is not valid.
    """
    ways = quantiles(latency, "--latency")
    records = tuple(tape.read(path))
    source = tape.read_header(path).source
    with stderr().status("replaying under three fill models"):
        results = compare(records, seed=seed, latency=ways, rules=rules_for(records))
    if output is Output.JSON:
        print_json({"source": source, "seed": seed, "latency": list(ways), "models": [_result(one) for one in results]})
        return
    columns = ("model", "orders", "fills", "made", "taken", "fees", "profit", "fills digest")
    rows = [tuple(_result(one)[name] for name in _FIELDS) for one in results]
    title = f"{results[0].records} records, source {source.value}, seed {seed}, entry latency {','.join(map(str, ways)) or 'none'}"
    stdout().print(table(columns, rows, title=title, right=columns[1:7]))


_FIELDS = ("model", "orders", "fills", "made", "taken", "fees", "profit", "digest")


def _result(one: ReplayResult) -> dict[str, Any]:
    cent = Decimal("0.01")
    return {
        "model": one.model.value,
        "orders": one.orders,
        "fills": one.fills,
        "made": decimal_text(one.made),
        "taken": decimal_text(one.taken),
        "fees": decimal_text(one.fees.quantize(cent)),
        "profit": decimal_text(one.profit.quantize(cent)),
        "digest": one.digest,
    }


class MidPrices:
    """Follows a tape's book and remembers its mid price after each change."""

    def __init__(self) -> None:
        self._seen: list[tuple[int, Decimal | None]] = []
        self._book: Book | None = None
        self._last_at = 0

    def see(self, record: TapeRecord) -> None:
        """Take the tape's next record."""
        self._last_at = record.at
        if self._book is None:
            self._book = Book(record.symbol)
        if isinstance(record, DepthSnapshot):
            self._book.snapshot(record.version, record.bids, record.asks, record.at)
        elif isinstance(record, DepthDelta):
            self._book.delta(record.from_version, record.to_version, record.bids, record.asks, record.at)
        elif isinstance(record, TapeGap):
            self._book.mark_stale()
        else:
            return
        quote = self._book.quote(record.received_at)
        self._seen.append((record.at, None if quote is None else quote.mid))

    def parts(self, count: int) -> list[Decimal | None]:
        """The last mid price in each of ``count`` equal parts of the tape; ``None`` where its book was not complete."""
        mids: list[Decimal | None] = []
        last_mid: Decimal | None = None
        first_at = self._seen[0][0] if self._seen else 0
        for at, mid in self._seen:
            part = min(count - 1, (at - first_at) * count // max(1, self._last_at - first_at))
            # A part without a change keeps the price of the part before.
            mids += [last_mid] * (part - len(mids))
            last_mid = mid
        return mids + [last_mid] * (count - len(mids))


def sparkline(values: Sequence[Decimal | None]) -> str:
    """Values as a row of blocks between the lowest and the highest; a dot where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return _NOTHING * len(values)
    low, span = min(known), max(known) - min(known)
    top = len(_BLOCKS) - 1
    return "".join(_NOTHING if value is None else _BLOCKS[int((value - low) / span * top) if span else 0] for value in values)


def _date(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).date().isoformat()


def _document(path: Path, found: TapeSummary, mids: Sequence[Decimal | None]) -> dict[str, Any]:
    head = found.header
    return {
        "path": str(path),
        "symbol": head.symbol,
        "source": head.source.value,
        "origin": head.origin,
        "licence": head.licence,
        "note": head.note,
        "records": found.records,
        "snapshots": found.snapshots,
        "deltas": found.deltas,
        "trades": found.trades,
        "gaps": found.gaps,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "first_version": found.first_version,
        "last_version": found.last_version,
        "low": None if found.low is None else decimal_text(found.low),
        "high": None if found.high is None else decimal_text(found.high),
        "volume": decimal_text(found.volume),
        "mids": [None if mid is None else decimal_text(mid) for mid in mids],
        "sha256": found.sha256,
    }
