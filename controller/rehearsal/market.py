"""The market of a rehearsal: bars in one-second steps, or a recorded tape, from the beginning and again when it has ended.

Bars are turned into a market while they are played (``exchange.bars``), so that a file of any length takes no memory. Both venues
play the same market.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import tee
from pathlib import Path

from exchange import tape
from exchange.bars import Bar, BarMarket, convert_bars, read_bars
from exchange.errors import ConfigError, IntegrityError
from exchange.model import DataSource, Millis
from exchange.ports import Clock
from exchange.tape import TapeRecord
from exchange.testnet.market.feeds.tape import TapePlayer
from exchange.testnet.market.playback import Playback, Player, StreamPlayer

STEPS = 60
"""Market data in steps of one second: a bar has a minute."""
LEVELS = 3
_REAL_PACE = Decimal(1)


@dataclass(slots=True)
class Tapes:
    """What is played, in order. ``rounds`` counts how often bars were played to their end."""

    paths: tuple[Path, ...]
    symbol: str = "BTCUSDT"
    rounds: int = 0

    @property
    def of_bars(self) -> bool:
        """Whether they are files of bars."""
        return not self.paths[0].name.endswith((".tape", ".tape.gz"))

    def playbacks(self, count: int, clock: Clock) -> tuple[Playback, ...]:
        """The market, for that many venues.

        Raises:
            ConfigError: a file cannot be read, or files of both kinds are mixed. IntegrityError: a file is damaged.
        """
        if any(one.name.endswith((".tape", ".tape.gz")) == self.of_bars for one in self.paths):
            raise ConfigError(
                "bars and tapes cannot be chained",
                code="rehearsal-tapes",
                remedy="Give files of bars only, or tapes only; `gatehouse tape convert` makes tapes of bars.",
            )
        start = clock.now()
        if self.of_bars:
            source = DataSource.RECONSTRUCTED_BARS
            players: Sequence[Player] = [StreamPlayer(one, start, _REAL_PACE) for one in tee(self._from_bars(start), count)]
        else:
            records = tuple(record for path in self.paths for record in tape.read(path))
            source = tape.read_header(self.paths[0]).source
            players = [TapePlayer(records, start, loop=True) for _ in range(count)]
        return tuple(Playback(one, clock, source=source, speed=_REAL_PACE, virtual=True) for one in players)

    def _from_bars(self, start: Millis) -> Iterator[TapeRecord]:
        market = BarMarket(self.symbol, levels=LEVELS, steps=STEPS)
        return convert_bars(self._bars(start, market), market)

    def _bars(self, start: Millis, market: BarMarket) -> Iterator[Bar]:
        """Every bar of every file, and again; each file goes on where the one before ended."""
        at = int(start)
        while True:
            for path in self.paths:
                first: int | None = None
                opened = at
                for bar in _read(path, market):
                    first = bar.opened_at if first is None else first
                    opened = at + bar.opened_at - first
                    yield replace(bar, opened_at=Millis(opened))
                if first is None:
                    raise IntegrityError(f"{path} has no bars", code="bars-unusable", remedy="Give a file with bars.")
                at = opened + market.length_ms
            self.rounds += 1


def _read(path: Path, market: BarMarket) -> Iterator[Bar]:
    """The bars of one file, in order. An error names the file, because several may be played."""
    before: Bar | None = None
    try:
        for bar in read_bars(_lines(path), market):
            _in_order(before, bar, market)
            before = bar
            yield bar
    except IntegrityError as error:
        if str(path) in error.message:
            raise
        raise IntegrityError(f"{path}: {error.message}", code=error.code, remedy=error.remedy) from error


def _in_order(before: Bar | None, bar: Bar, market: BarMarket) -> None:
    if before is not None and bar.opened_at < before.opened_at + market.length_ms:
        raise IntegrityError(
            f"the bar at {bar.opened_at} begins before the one before it ended",
            code="bars-unusable",
            remedy="Sort the file by time, and leave each minute in it once.",
        )


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as raw:
            packed = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            yield from io.TextIOWrapper(packed, encoding="utf-8")
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise IntegrityError(f"{path} is damaged: {error}", code="bars-unusable", remedy="Fetch the file again.") from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}", code="file-unusable", remedy="Check the path and its permissions."
        ) from error
