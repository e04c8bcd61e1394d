"""Measures how much a journal grows in a day: ``python -m ops.bench.growth [--minutes N] [--stage STAGE] [--seed N] [--idle]``.

A writer with a journal in a file decides what a deployment of one order a minute brings, or with ``--idle`` one without any order:
four ticks a second, a sweep of each of the three venues every three seconds, a price that moves with every tick. The time is
virtual, so an hour takes some seconds. What the file grew by is shared out to the kinds of entries by their bodies, and multiplied
up to a day. The bench ``journal-growth`` plays an hour of both.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import apsw

from controller.core import inputs as i
from controller.runtime.loop.inbox import QueuedInput
from exchange.model import OrderStatus, Side
from exchange.ports import Ack, VenueName
from exchange.stream_life import PRIVATE, REMEMBERED, Happening, Kind, StreamLife, market_stream
from ops.bench.measure import Contest, Figures, Goal, Line, Round
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import D, Desk
from tests.support.shell import Shell

DAY_MS = 24 * 3600 * 1000
GOAL_BYTES = 10_000_000
"""At most this much a day, with one order a minute."""

IDLE_GOAL_BYTES = 2_000_000
"""At most this much an hour without orders."""

_MINUTES = 60
_TICK_MS, _SWEEP_MS, _ORDER_MS, _RENEW_MS = 250, 3_000, 60_000, 1_800_000
_MOVE = 2.7
"""How far the price moves with a tick, as a standard deviation: some 50 % a year at 60,000."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What a journal grew by in ``ms``: bytes of the file, entries and bytes of their bodies by kind, and the orders placed."""

    ms: int
    file_bytes: int
    entries: Counter[str]
    bodies: Counter[str]
    orders: int

    @property
    def an_hour(self) -> int:
        """Bytes an hour."""
        return self.file_bytes * DAY_MS // 24 // self.ms

    @property
    def a_day(self) -> int:
        """Bytes a day."""
        return self.file_bytes * DAY_MS // self.ms

    def of_kind(self, kind: str) -> int:
        """Bytes a day of one kind of entry: its bodies, and its share of what the file holds besides bodies."""
        beside = (self.file_bytes - self.bodies.total()) / self.entries.total()
        return int((self.bodies[kind] + self.entries[kind] * beside) * DAY_MS / self.ms)

    def table(self) -> str:
        """A line for each kind, the largest first, and the sum."""
        kinds = sorted(self.entries, key=self.of_kind, reverse=True)
        lines = [
            f"{kind:20} {self.entries[kind] * DAY_MS // self.ms:8} a day  {self.bodies[kind] // self.entries[kind]:5} bytes each"
            f"  {self.of_kind(kind) / 1e6:7.2f} MB a day"
            for kind in kinds
        ]
        count = self.entries.total()
        beside = (self.file_bytes - self.bodies.total()) // count
        total = f"{'all':20} {count * DAY_MS // self.ms:8} a day  {beside:5} beside each  {self.a_day / 1e6:7.2f} MB a day"
        return "\n".join((*lines, total))


class Day:
    """A deployment that trades once a minute in virtual time, with a real writer and a real journal file; ``idle``: never."""

    def __init__(self, path: Path, stage: Stage, seed: int = 1, *, idle: bool = False) -> None:
        self.desk = Desk().walk_to(stage)
        self.shell = Shell(self.desk, path)
        self._random = Random(seed)
        self._orders, self._idle = 0, idle
        self._renewals: tuple[Happening, ...] = ()

    def pass_time(self, ms: int) -> Growth:
        """Let the deployment trade for so long, and say what its journal grew by."""
        before = self._size(), self._seq()
        orders = self._orders
        for at in range(0, ms, _TICK_MS):
            self._step(at)
        entries, bodies = Counter[str](), Counter[str]()
        for entry in self.shell.journal.read(before[1]):
            entries[entry.kind] += 1
            bodies[entry.kind] += len(entry.body)
        return Growth(ms, self._size() - before[0], entries, bodies, self._orders - orders)

    def close(self) -> None:
        """Close the journal."""
        self.shell.journal.close()

    def give(self, *inputs: i.Input) -> None:
        """Let the writer decide inputs in one batch."""
        shell = self.shell
        shell.writer.step([QueuedInput(one, shell.clock.monotonic_ns(), None) for one in inputs])
        assert not shell.writer.failed_because
        self.desk.state = shell.writer.state

    def _step(self, at: int) -> None:
        desk, clock = self.desk, self.shell.clock
        desk.pass_time(_TICK_MS)
        clock.at, clock.ns = desk.now, clock.ns + _TICK_MS * 1_000_000
        desk.price += D(f"{self._random.gauss(0, _MOVE):.2f}")
        if at % _SWEEP_MS == 0:
            for venue in VenueName:
                fills = tuple(desk.trades[venue][-10:])
                snapshot = i.AccountSnapshot((), fills, desk.balances(venue))
                self.give(i.AccountRead(venue, snapshot, desk.state.ledger(venue).fills_booked, desk.now))
        self.give(replace(desk.seen(), streams={VenueName.TESTNET: self._streams(at)}))
        if at % _ORDER_MS == _ORDER_MS // 2 and not self._idle:
            self._trade()

    def _streams(self, at: int) -> tuple[StreamLife, ...]:
        """A listen key that is renewed every half hour, as ``exchange.mexc.socket.StreamTiming`` has it."""
        if at % _RENEW_MS == 0:
            renewed = Happening(len(self._renewals) + 1, self.desk.now, Kind.RENEWED)
            self._renewals = (*self._renewals, renewed)
        return StreamLife(market_stream("BTCUSDT")), StreamLife(PRIVATE, self._renewals[-REMEMBERED:])

    def _trade(self) -> None:
        desk = self.desk
        side = Side.SELL if self._orders % 2 else Side.BUY
        price = desk.price.quantize(D("0.01"))
        self.give(desk.requested("0.00003", f"{price}", side=side, bot_id=f"one-a-minute-{self._orders:08}"))
        self._orders += 1
        (client_id,) = desk.state.open
        self.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", desk.now)))
        order = desk.state.orders[client_id]
        fill = desk.trade_of(order, D("0.00003"))
        self.give(i.VenueReported(order.venue, fill))
        self.give(i.VenueReported(order.venue, desk.report(client_id, OrderStatus.FILLED, "0.00003")))

    def _seq(self) -> int:
        return self.shell.journal.head.seq

    def _size(self) -> int:
        connection = apsw.Connection(str(self.shell.path))
        try:
            pages, size = (connection.pragma(name) for name in ("page_count", "page_size"))
            return int(pages) * int(size)
        finally:
            connection.close()


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """Two deployments at TESTNET_VALIDATING, each after its first minute: one that trades, and one that does not."""
    minutes = max(1, int(_MINUTES * size))

    def one_round(number: int) -> Figures:
        with tempfile.TemporaryDirectory() as folder:
            grown = []
            for idle in (True, False):
                day = Day(Path(folder) / f"{idle}.db", Stage.TESTNET_VALIDATING, number, idle=idle)
                day.pass_time(_ORDER_MS)
                grown.append(day.pass_time(minutes * _ORDER_MS))
                day.close()
        return {"idle": grown[0].an_hour / 1e6, "day": grown[1].a_day / 1e6, "minutes": minutes}

    yield one_round


CONTEST = Contest(
    "journal-growth",
    (
        Line(
            "growth: a journal in an idle hour",
            "MB",
            "idle",
            goals=(Goal("≤ 2 MB", lambda ours, _: ours * 1e6 <= IDLE_GOAL_BYTES),),
        ),
        Line(
            "growth: a journal in a day of one order a minute",
            "MB",
            "day",
            goals=(Goal("≤ 10 MB", lambda ours, _: ours * 1e6 <= GOAL_BYTES),),
        ),
        Line("growth: the stretch that was played for each, in virtual time", "minutes", "minutes"),
    ),
    opened,
    most_rounds=1,
)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.growth", description="How much a journal grows in a day.")
    parser.add_argument("--minutes", type=int, default=60, help="the stretch that is measured")
    parser.add_argument("--stage", type=Stage, default=Stage.TESTNET_VALIDATING, choices=list(Stage))
    parser.add_argument("--seed", type=int, default=1, help="of the market")
    parser.add_argument("--idle", action="store_true", help="without orders")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        day = Day(Path(folder) / "journal.db", options.stage, options.seed, idle=options.idle)
        growth = day.pass_time(options.minutes * 60_000)
        day.close()
    print(f"{options.stage}, {growth.orders} orders in {options.minutes} minutes, extrapolated to a day\n{growth.table()}")


if __name__ == "__main__":
    main()
