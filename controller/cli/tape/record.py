"""Records a venue's public market to a tape. ``tape.verbs`` calls this."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.cli.shared.fetch import fetching
from controller.cli.shared.output import stderr
from controller.cli.shared.signals import run_until_stopped
from exchange.errors import Unreachable
from exchange.model import DataSource
from exchange.tape import TapeHeader, TapeRecord, TapeWriter
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.market.feeds.live import LiveFeed, live_rules, live_source

_PERIOD_S = 0.25


@dataclass(frozen=True, slots=True)
class Recording:
    """What to record: a symbol, from where, to which file, for how many seconds, under which licence."""

    symbol: str
    rest: str
    stream: str
    out: Path
    seconds: int
    licence: str


def run(recording: Recording) -> None:
    """Record until the time is over or a signal stops it. In both cases the tape is complete.

    Raises:
        UsageError: the venue does not list the symbol.
        Unreachable: no order book arrived.
    """
    run_until_stopped(record(recording))


async def record(recording: Recording) -> None:
    """As ``run``, inside an event loop; cancelling it ends the tape early."""
    note = "recorded from the venue's public streams"
    async with fetching(recording.rest) as fetch:
        await live_rules(recording.symbol, fetch)
        source = await live_source(fetch)
        kept = DataSource.RECORDED_L2 if source is DataSource.LIVE else source
        header = TapeHeader(recording.symbol, kept, recording.stream, recording.licence, note)
        feed = LiveFeed(recording.symbol, recording.stream, fetch, SystemClock())
        tally = _Tally(TapeWriter(recording.out, header))
        try:
            await _for_a_while(recording.seconds, feed, tally)
        finally:
            tally.finish(feed)


class _Tally:
    """Writes what a feed delivers and counts it."""

    def __init__(self, writer: TapeWriter) -> None:
        self._writer = writer
        self.count = 0

    def take(self, record: TapeRecord) -> None:
        self._writer.append(record)
        self.count += 1

    def finish(self, feed: LiveFeed) -> None:
        for left in feed.rest():
            self.take(left)
        if not self.count:
            self._writer.discard()
            raise Unreachable(
                f"no data arrived: {feed.failure or 'the order book never became complete'}",
                code="recording-empty",
                remedy="Check --from-ws, --from-rest and the network, and record for longer.",
            )
        self._writer.close()


async def _for_a_while(seconds: int, feed: LiveFeed, tally: _Tally) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(feed.run(tally.take))
    try:
        with Progress(*columns, console=stderr(), transient=True) as progress:
            shown = progress.add_task("connecting", total=seconds)
            ends = loop.time() + seconds
            while (left := ends - loop.time()) > 0 and not running.done():
                progress.update(shown, completed=seconds - left, description=feed.failure or f"{tally.count} records")
                await asyncio.wait((running,), timeout=min(_PERIOD_S, left))
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
