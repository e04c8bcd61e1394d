"""Runs the venue that ``gatehouse testnet``'s options describe. ``run.processes`` calls this."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from controller.cli.shared.fetch import fetching
from controller.cli.shared.symbols import typed_symbol
from exchange.matching.events import FillRecord
from exchange.testnet import server
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.config import TestnetConfig
from exchange.testnet.export import fill_lines
from exchange.testnet.market.feeds.live import LiveFeed, LiveMarket, live_rules, live_source


async def serve(
    config: TestnetConfig,
    announce: Callable[[str, int], None],
    live: tuple[str, str, str] | None,
    fills: Path | None,
    *,
    tell: bool = False,
) -> None:
    """Run until cancelled. ``live`` is a symbol, a REST address and a stream address to play instead of the configured market.

    ``fills`` is where all fills are written at the end; ``tell`` prints each one when it happens, as one line of JSON.

    Raises:
        GatehouseError: what ``exchange.testnet.server.serve``, ``typed_symbol`` and ``live_rules`` raise.
    """
    on_fill = _print if tell else None
    if live is None:
        await server.serve(config, announce, fills=fills, on_fill=on_fill)
        return
    symbol, rest, stream = typed_symbol(live[0]), *live[1:]
    async with fetching(rest) as fetch:
        rules = await live_rules(symbol, fetch)
        market = LiveMarket(LiveFeed(symbol, stream, fetch, SystemClock()), await live_source(fetch))
        await server.serve(replace(config, symbols=(rules,)), announce, market=market, fills=fills, on_fill=on_fill)


def _print(record: FillRecord) -> None:
    sys.stdout.writelines(fill_lines((record,)))
    sys.stdout.flush()
