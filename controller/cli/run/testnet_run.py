"""Runs the venue that ``gatehouse testnet``'s options describe. ``run.processes`` calls this."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

from controller.cli.shared.output import Output, print_json, say
from controller.notifying.progress import LoopTurns, fed
from controller.notifying.service_manager import NONE, ServiceManager
from controller.runtime.venues.waiting import OnWaiting, until_answered
from exchange.matching.events import FillRecord
from exchange.testnet import server
from exchange.testnet.config import TestnetConfig
from exchange.testnet.export import fill_lines


async def serve(
    config: TestnetConfig,
    announce: Callable[[str, int], None],
    live: tuple[str, str, str] | None,
    fills: Path | None,
    on_waiting: OnWaiting = lambda _: None,
    *,
    tell: bool = False,
    manager: ServiceManager = NONE,
) -> None:
    """Run until cancelled. ``live`` is a symbol, a REST address and a stream address to play instead of the configured market.

    ``fills`` is where all fills are written at the end; ``tell`` prints each one when it happens, as one line of JSON. While the
    live venue cannot be read, the start waits and calls ``on_waiting`` now and then. ``manager`` hears when it answers, and that
    its event loop has turns.

    Raises:
        GatehouseError: what ``exchange.testnet.server.serve``, ``typed_symbol`` and ``live_rules`` raise.
    """
    on_fill = _print if tell else None
    turns, began = LoopTurns(), False

    def begun(host: str, port: int) -> None:
        nonlocal began
        began = True
        announce(host, port)

    async with fed(manager, lambda: turns() if began else None, "answers"):
        if live is None:
            await server.serve(config, begun, fills=fills, on_fill=on_fill)
            return
        await _serve_live(config, begun, live, fills, on_waiting, on_fill)


async def _serve_live(
    config: TestnetConfig,
    announce: Callable[[str, int], None],
    live: tuple[str, str, str],
    fills: Path | None,
    on_waiting: OnWaiting,
    on_fill: Callable[[FillRecord], None] | None,
) -> None:
    # Only a live market needs a client of another venue.
    from controller.cli.shared.fetch import fetching
    from controller.cli.shared.symbols import typed_symbol
    from exchange.testnet.conditions.clock import SystemClock
    from exchange.testnet.market.feeds.live import LiveFeed, LiveMarket, live_rules, live_source

    symbol, rest, stream = typed_symbol(live[0]), *live[1:]
    clock = SystemClock()
    async with fetching(rest) as fetch:
        what = f"the market of {symbol} at {rest}"
        rules = await until_answered(partial(live_rules, symbol, fetch), what, clock, on_waiting)
        source = await until_answered(partial(live_source, fetch), what, clock, on_waiting)
        market = LiveMarket(LiveFeed(symbol, stream, fetch, clock, say=say), source)
        await server.serve(replace(config, symbols=(rules,)), announce, market=market, fills=fills, on_fill=on_fill)


def announcement(config: TestnetConfig, live: str, output: Output, started: Event) -> Callable[[str, int], None]:
    """What says where the venue is, once it answers, and sets ``started``. ``live``: the symbol of a live market, or empty."""

    def announce(where: str, bound: int) -> None:
        started.set()
        address, state = f"http://{where}:{bound}", "" if config.state is None else str(config.state)
        market = f"{live} live" if live else ", ".join(map(str, config.tapes)) or f"a market generated from seed {config.seed}"
        if output is Output.JSON:
            print_json({"event": "ready", "address": address, "market": market, "state": state})
            return
        keeps = f"keeping its state in {state}" if state else "keeping nothing when it ends"
        say(f"testnet at {address}, playing {market} at speed {config.speed}, {keeps}")

    return announce


def _print(record: FillRecord) -> None:
    sys.stdout.writelines(fill_lines((record,)))
    sys.stdout.flush()
