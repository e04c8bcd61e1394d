"""Runs the venue that ``gatehouse testnet``'s options describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from controller.cli.fetch import fetching
from exchange.testnet import server
from exchange.testnet.clock import SystemClock
from exchange.testnet.config import TestnetConfig
from exchange.testnet.feeds.live import LiveFeed, LiveMarket, live_rules


async def serve(
    config: TestnetConfig, announce: Callable[[str, int], None], live: tuple[str, str, str] | None, fills: Path | None
) -> None:
    """Run until cancelled. ``live`` is a symbol, a REST address and a stream address to play instead of the configured market.

    Raises:
        GatehouseError: what ``exchange.testnet.server.serve`` and ``live_rules`` raise.
    """
    if live is None:
        await server.serve(config, announce, fills=fills)
        return
    symbol, rest, stream = live
    async with fetching(rest) as fetch:
        rules = await live_rules(symbol, fetch)
        market = LiveMarket(LiveFeed(symbol, stream, fetch, SystemClock()))
        await server.serve(replace(config, symbols=(rules,)), announce, market=market, fills=fills)
