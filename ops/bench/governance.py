"""Measures the cost to decide, record and sign an order, compared with sending it, and the speed of verifying a journal."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from controller.core import event_codec
from controller.core import inputs as i
from controller.core.decide import decide
from controller.core.decisions.draft import Admitted
from controller.core.effects import Place
from controller.core.state import State
from controller.journal.chain import ChainWalk, Head, Record, genesis_hash, seal
from controller.journal.sqlite import open_journal, read_journal
from controller.journal.verify import verify_journal
from exchange.model import Millis, OrderStatus
from exchange.ports import Ack
from exchange.wire.orders import order_params
from exchange.wire.signing import encode_params, signature
from ops.bench.http_peer import AsyncKeepAlive
from ops.bench.measure import Contest, Figures, Goal, Line, Round, percentile, seconds, turns
from ops.bench.venue_orders import order, serving
from policies.stage import Stage
from tests.support.desk import Desk

_ORDERS, _ENTRIES = 400, 400_000
_SECRET = "a-secret-of-no-value"
_QUANTITY, _EVERY = "0.00003", 1_000


class Governed:
    """A deployment at LIVE_€10 that decides a bot's orders; each is acknowledged and cancelled, so that the next one fits."""

    def __init__(self, path: Path) -> None:
        self._desk = Desk().walk_to(Stage.LIVE_EUR10)
        self._journal = open_journal(path, "desk")
        self._head = Head(0, genesis_hash("desk"), self._journal.epoch)
        self._number = 0
        self.pure: list[float] = []
        self.durable: list[float] = []

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def order(self) -> None:
        """One order: decided, encoded, chained and signed; then synced, which is measured separately."""
        desk = self._desk
        desk.pass_time(_EVERY)
        desk.tick()
        if self._number % 3 == 0:
            desk.sweep_all()
        self._number += 1
        asked = desk.requested(_QUANTITY, "59900", bot_id=f"bench-{self._number}")
        began = time.perf_counter()
        decision = decide(desk.state, asked, desk.now)
        records = [Record(event.kind, event_codec.encode(event)) for event in decision.events]
        self._chain(records, desk.now)
        (place,) = [effect for effect in decision.effects if isinstance(effect, Place)]
        signature(_SECRET, encode_params(order_params(place.intent)))
        self.pure.append(time.perf_counter() - began)
        assert isinstance(decision.reply, Admitted)
        began = time.perf_counter()
        self._journal.append(records, desk.now)
        self.durable.append(self.pure[-1] + time.perf_counter() - began)
        self._settle(decision.after, place.intent.client_id)

    def _chain(self, records: list[Record], now: Millis) -> None:
        for record in records:
            sealed = seal(record, self._head, epoch=self._head.epoch, at=now)
            self._head = Head(sealed.seq, sealed.hash, sealed.epoch)

    def _settle(self, after: State, client_id: str) -> None:
        desk = self._desk
        desk.state = after
        desk.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", desk.now)))
        venue = desk.state.orders[client_id].venue
        desk.give(i.VenueReported(venue, desk.report(client_id, OrderStatus.CANCELED)))


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """A deployment that decides orders, and a raw server that gets the same order."""
    orders = max(3, int(_ORDERS * size))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(serving("canned"))
        governed = Governed(directory / "journal.sqlite")
        stack.callback(governed.close)
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        _, raw = loop.run_until_complete(loop.create_connection(AsyncKeepAlive, "127.0.0.1", port))
        stack.callback(lambda: loop.run_until_complete(raw.hang_up()))

        def ours() -> Figures:
            governed.pure.clear()
            governed.durable.clear()
            for _ in range(orders):
                governed.order()
            return {"pure": percentile(governed.pure, 0.5) * 1e6, "durable": percentile(governed.durable, 0.5) * 1e6}

        def peer() -> Figures:
            return {"raw": percentile(loop.run_until_complete(_sent(raw, orders)), 0.5) * 1e6}

        yield lambda number: turns(number, ours, peer)


async def _sent(raw: AsyncKeepAlive, orders: int) -> list[float]:
    took = []
    for number in range(orders):
        target = order(number)
        began = time.perf_counter()
        await raw.ask(target, "mx0bench")
        took.append(time.perf_counter() - began)
    return took


@contextmanager
def verify_opened(size: float) -> Iterator[Round]:
    """A journal of a deployment's real entries, repeated."""
    count = max(100, int(_ENTRIES * size))
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    kept = [Record(event.kind, event_codec.encode(event)) for event, _ in desk.journal]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.sqlite"
        journal = open_journal(path, "desk")
        for first in range(0, count, 1000):
            journal.append([kept[n % len(kept)] for n in range(first, min(count, first + 1000))], desk.now)
        journal.close()
        bodies = [kept[n % len(kept)].body for n in range(count)]

        def verify() -> None:
            report = verify_journal(path, "desk", monotonic_ns=time.monotonic_ns, storage=False)
            assert report.ok
            assert report.entries == count

        def walk() -> None:
            chain, reader = ChainWalk("desk"), read_journal(path)
            for rows in reader.rows():
                assert chain.take(rows) is None
            assert chain.count == count
            reader.close()

        def hashes() -> None:
            for body in bodies:
                hashlib.sha256(body).digest()

        def ours() -> Figures:
            return {"verify": count / seconds(verify), "walk": count / seconds(walk)}

        yield lambda number: turns(number, ours, lambda: {"sha": count / seconds(hashes)})


CONTEST = Contest(
    "governance",
    (
        Line(
            "governance: an order decided, recorded and signed, no sync, no network",
            "µs",
            "pure",
            "raw",
            "raw HTTP exchange in an event loop",
            (Goal("≤ 0.5 ×", lambda _, ratio: ratio <= 0.5),),
        ),
        Line("governance: the same with its journal synced", "µs", "durable", "raw", "raw HTTP exchange in an event loop"),
    ),
    opened,
)

VERIFY = Contest(
    "journal-verify",
    (
        Line(
            "journal: entries verified as a start does, with every core",
            "/s",
            "verify",
            "sha",
            "SHA-256 of each body",
            (Goal("≥ 150,000/s", lambda ours, _: ours >= 150_000), Goal("≥ 0.2 ×", lambda _, ratio: ratio >= 0.2)),
        ),
        Line(
            "journal: entries walked by one process",
            "/s",
            "walk",
            "sha",
            "SHA-256 of each body",
            (Goal("≥ 150,000/s", lambda ours, _: ours >= 150_000), Goal("≥ 0.2 ×", lambda _, ratio: ratio >= 0.2)),
        ),
    ),
    verify_opened,
)
