"""Runs a testnet in the event loop: venue, market and HTTP server. ``gatehouse testnet`` and test fixtures call it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import uvicorn

from exchange import tape
from exchange.errors import ConfigError, GatehouseError, Unreachable
from exchange.matching.engine import Engine
from exchange.matching.events import FillRecord
from exchange.matching.mx_fees import MX, MxFees
from exchange.matching.symbols import BTCUSDT, DEFAULT_RULES
from exchange.model import DataSource, Millis, SymbolRules
from exchange.ports import Clock
from exchange.testnet import snapshot
from exchange.testnet.access.stp_groups import StrategyGroups
from exchange.testnet.conditions.clock import SystemClock
from exchange.testnet.conditions.faults import Fault, FaultKind, load_faults
from exchange.testnet.config import TestnetConfig
from exchange.testnet.export import export_fills
from exchange.testnet.http.app import build_app
from exchange.testnet.http.transport import CuttableHttpProtocol, CuttableWebSocketProtocol
from exchange.testnet.market.feeds.merge import MergedPlayer
from exchange.testnet.market.feeds.synthetic import SOURCE, SyntheticMarket, synthetic
from exchange.testnet.market.feeds.tape import TapePlayer
from exchange.testnet.market.playback import Market, Playback, Player, StreamPlayer
from exchange.testnet.state.persistence import Persistence
from exchange.testnet.state.records import MarketNote
from exchange.testnet.state.store import ATTACHED, open_store
from exchange.testnet.venue import SimulatedVenue

_MAX_FRAME = 65_536
_GRACE_S = 2
_KEPT_S = 75
"""An idle connection stays open for longer than any known client keeps it, so that none sends an order into one that closes."""
_BACKLOG = 1024
_SYNTHETIC_PRICE = Decimal(60_000)


class _Server(uvicorn.Server):
    """uvicorn's server without signal handling: the owner of the event loop decides when it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer requests."""
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        """Refresh the date header every second until stopped."""
        while not self.stop.is_set():
            await self.on_tick(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self.stop.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class RunningTestnet:
    """A running testnet. ``control_headers`` give access to ``/__control``; ``venue`` is for tests.

    ``playing`` ends only after an internal error.
    """

    host: str
    port: int
    venue: SimulatedVenue
    playing: asyncio.Task[None]

    @property
    def base_url(self) -> str:
        """Where its REST API is, like ``http://127.0.0.1:8710``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where its streams are, like ``ws://127.0.0.1:8710/ws``."""
        return self.base_url.replace("http", "ws", 1) + "/ws"

    def arm(self, kind: FaultKind, **fields: object) -> int:
        """Arm a fault and return its id; ``fields`` are those of ``Fault``, with ``params`` as a mapping."""
        return self.venue.arm(Fault.model_validate({"kind": kind, **fields}))

    def received(self, account: str, client_id: str) -> int:
        """How often an order with this client id reached the venue."""
        return self.venue.receipt(account, client_id).received


def build_venue(
    config: TestnetConfig, clock: Clock, market: Market | None = None, persistence: Persistence | None = None
) -> SimulatedVenue:
    """The venue without a server; its faults file is loaded. ``market`` replaces the tape or the generated market.

    Raises:
        ConfigError: the tape's symbol has no rules, the faults file is unusable, or snapshot or state are of another venue.
        IntegrityError: the tape, the snapshot or the state is damaged.
    """
    rules: dict[str, SymbolRules] = {**DEFAULT_RULES, **{one.symbol: one for one in config.symbols}}
    if market is None:
        note, began = MarketNote(0, {}) if persistence is None else persistence.market, clock.now()
        player, source = _player(config, rules, began, note)
        market = Playback(player, clock, source=source, speed=config.speed, began=began, played_before=note.played)
    groups = StrategyGroups(config.uids, {one.name: one.master for one in config.accounts if one.master})

    def mx_price(quote: str) -> Decimal | None:
        book = engine.quote(f"{MX}{quote}", clock.now()) if f"{MX}{quote}" in engine.rules else None
        return book.mid if book is not None else config.mx_price if quote == "USDT" else None

    mx_fees = MxFees(mx_price)
    engine = Engine(
        rules,
        model=config.fill_model,
        seed=config.seed,
        duplicates=config.duplicates,
        fees=mx_fees,
        related=groups.share,
        ids=config.ids if persistence is None else persistence.instance,
    )
    venue = SimulatedVenue(config, engine, market, clock, groups, mx_fees)
    if config.restore is not None:
        snapshot.restore(venue, config.restore)
    if persistence is not None:
        persistence.attach(venue)
    for record in venue.market.take_due():
        venue.feed(record)
    # The snapshot of a restored venue contains its faults and how often each has struck.
    for fault in load_faults(config.faults) if config.faults is not None and config.restore is None else ():
        venue.arm(fault)
    return venue


@asynccontextmanager
async def running_testnet(
    config: TestnetConfig, clock: Clock | None = None, market: Market | None = None
) -> AsyncIterator[RunningTestnet]:
    """Run a testnet inside the caller's event loop until the block ends. ``port`` 0 takes a free one, ``market`` is as above.

    Raises:
        ConfigError, IntegrityError: as ``build_venue``.
        Unreachable: the port is taken.
    """
    clock = SystemClock() if clock is None else clock
    listener = _listen(config.host, config.port)
    try:
        with _state(config, clock) as persistence:
            venue = build_venue(config, clock, market, persistence)
            async with _serving(build_app(venue, config.control_token), listener):
                playing = asyncio.create_task(_play(venue))
                try:
                    yield RunningTestnet(config.host, listener.getsockname()[1], venue, playing)
                finally:
                    venue.close()
                    playing.cancel()
                    with suppress(asyncio.CancelledError):
                        await playing
                    if persistence is not None:
                        persistence.close()
    finally:
        listener.close()


async def serve(
    config: TestnetConfig,
    on_ready: Callable[[str, int], None] | None = None,
    *,
    market: Market | None = None,
    fills: Path | None = None,
    on_fill: Callable[[FillRecord], None] | None = None,
) -> None:
    """Run a testnet until cancelled. ``on_ready`` is called with host and port once requests are answered.

    ``market`` is as for ``build_venue``; ``fills`` is the file for all fills with their evidence, written at the end;
    ``on_fill`` is called at every fill.

    Raises:
        ConfigError, IntegrityError, Unreachable: as ``running_testnet``.
    """
    async with running_testnet(config, market=market) as testnet:
        if on_ready is not None:
            on_ready(testnet.host, testnet.port)
        testnet.venue.on_fill = on_fill
        try:
            await testnet.playing
        finally:
            if fills is not None:
                export_fills(testnet.venue.engine, fills)


async def _play(venue: SimulatedVenue) -> None:
    """Run the venue. The first of our own errors is raised by itself, so that the command line can show it."""
    try:
        await venue.run()
    except ExceptionGroup as failed:
        error: Exception = failed
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise (error if isinstance(error, GatehouseError) else failed) from None


@contextmanager
def _state(config: TestnetConfig, clock: Clock) -> Iterator[Persistence | None]:
    if config.state is None:
        yield None
        return
    store = open_store(config.state, clock.now(), ATTACHED if config.attached else "")
    try:
        yield Persistence(store)
    finally:
        store.close()


def _player(config: TestnetConfig, rules: Mapping[str, SymbolRules], start: Millis, note: MarketNote) -> tuple[Player, DataSource]:
    if not config.tapes:
        return _generated(config, start, note), SOURCE
    headers = [tape.read_header(one) for one in config.tapes]
    symbols, sources = [one.symbol for one in headers], {one.source for one in headers}
    missing = [symbol for symbol in symbols if symbol not in rules]
    if missing:
        raise ConfigError(
            f"the testnet has no rules for {missing[0]}, the symbol of its tape",
            code="testnet-rules-missing",
            remedy="Give the symbol's rules with the testnet's configuration.",
        )
    if len(set(symbols)) != len(symbols) or len(sources) != 1:
        raise ConfigError(
            "two tapes are of the same symbol, or of different sources",
            code="testnet-tapes-contradict",
            remedy="Play one tape for each symbol, and only tapes of one source together.",
        )
    players = [TapePlayer(tape.read(one), start, speed=config.speed, loop=config.loop) for one in config.tapes]
    for player in players if note.played else ():
        player.skip(note.played)
    return _together(players), sources.pop()


def _generated(config: TestnetConfig, start: Millis, note: MarketNote) -> Player:
    """A generated market for every configured symbol, each with its own seed. It goes on at its last known price.

    Less than one trade happens in a ms, so numbering them from the ms played on repeats no number.
    """
    players: list[Player] = []
    for number, rules in enumerate(config.symbols or (BTCUSDT,)):
        place = note.places.get(rules.symbol)
        begun = config.start_prices.get(rules.symbol, _SYNTHETIC_PRICE)
        price = begun if place is None or place.mid is None else place.mid / place.factor
        market = SyntheticMarket(rules, price, config.seed + number + note.played, last_trade=note.played)
        players.append(StreamPlayer(synthetic(market, start), start, config.speed))
    return _together(players)


def _together(players: Sequence[Player]) -> Player:
    return players[0] if len(players) == 1 else MergedPlayer(players)


@asynccontextmanager
async def _serving(app: object, listener: socket.socket) -> AsyncIterator[None]:
    server = _Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            http=CuttableHttpProtocol,
            ws=CuttableWebSocketProtocol,
            ws_max_size=_MAX_FRAME,
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=_KEPT_S,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.up.wait()
        yield
    finally:
        server.stop.set()
        await task


def _listen(host: str, port: int) -> socket.socket:
    # The protocol is named because asyncio disables Nagle's algorithm only on sockets that name it.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.settimeout(0)
    except OSError as error:
        listener.close()
        raise Unreachable(
            f"the testnet cannot listen on {host}:{port}: {error.strerror}",
            code="testnet-port-taken",
            remedy="Stop the process that listens there, or choose another port with --port.",
        ) from error
    return listener
