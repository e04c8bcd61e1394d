"""Converts market data files to tapes, with progress on standard error. ``tape.verbs`` calls this."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from gzip import BadGzipFile, GzipFile
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from controller.cli.shared.output import stderr
from exchange import tape
from exchange.bars import BarMarket, convert_bars, read_bars
from exchange.convert import convert_binance
from exchange.errors import ConfigError, IntegrityError, UsageError
from exchange.model import DataSource
from exchange.tape import TapeHeader

_EVERY = 500
_Item = TypeVar("_Item")


class Source(StrEnum):
    """What can be converted."""

    BINANCE = "binance"
    BARS = "bars"


def source(text: str) -> Source:
    """The kind of that name. Raises ``UsageError``."""
    try:
        return Source(text)
    except ValueError:
        raise UsageError(
            f"{text!r} cannot be converted", code="tape-source-unknown", remedy=f"Use --from {' or --from '.join(Source)}."
        ) from None


def header(kind: Source, symbol: str, files: Sequence[Path], origin: str, licence: str) -> TapeHeader:
    """The header of the new tape."""
    header_origin = origin or ", ".join(path.name for path in files)
    if kind is Source.BARS:
        return TapeHeader(symbol, DataSource.RECONSTRUCTED_BARS, header_origin, licence, "book and trades reconstructed from bars")
    return TapeHeader(symbol, DataSource.RECORDED_L2, header_origin, licence, "converted from a capture of Binance's spot streams")


def from_binance(files: Sequence[Path], out: Path, head: TapeHeader, band: Decimal | None) -> None:
    """Convert captures that follow each other without a gap.

    Raises:
        IntegrityError: a file is damaged, or the captures do not make a market.
        ConfigError: a file cannot be read.
    """
    with _progress() as progress:
        reading = progress.add_task("reading", total=None)
        records = convert_binance(_counted(_lines(files), progress, reading), head.symbol, band=band)
        writing = progress.add_task("writing", total=len(records))
        tape.write(out, head, _counted(records, progress, writing))


def from_bars(files: Sequence[Path], out: Path, head: TapeHeader, market: BarMarket, *, quote_volume: bool) -> None:
    """Reconstruct a market from bars. Raises as ``from_binance``."""
    with _progress() as progress:
        bars = (bar for path in files for bar in read_bars(_lines([path]), market, volume_in_quote=quote_volume))
        reading = progress.add_task("bars", total=None)
        tape.write(out, head, convert_bars(_counted(bars, progress, reading), market))


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr(), transient=True) as progress:
        yield progress


def _counted(items: Iterable[_Item], progress: Progress, task: TaskID) -> Iterator[_Item]:
    number = 0
    for number, item in enumerate(items, 1):
        if number % _EVERY == 0:
            progress.update(task, completed=number)
        yield item
    progress.update(task, completed=number, total=number)


def _lines(files: Iterable[Path]) -> Iterator[str]:
    for path in files:
        try:
            packed = path.suffix == ".gz"
            with path.open("rb") as raw, TextIOWrapper(GzipFile(fileobj=raw) if packed else raw, encoding="utf-8") as lines:
                yield from lines
        except (BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise IntegrityError(
                f"{path} is damaged: {error}", code="capture-damaged", remedy="Download the file again and compare its checksum."
            ) from error
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read: {error.strerror}", code="file-unusable", remedy="Check the path and its permissions."
            ) from error
