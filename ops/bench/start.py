"""How long a start takes on a long journal, part by part: ``python -m ops.bench.start [--entries N]``.

The journal is a deployment's real entries up to VALIDATED, then made-up running: samples and reconciliations, and every hundred
entries an order that is admitted, acknowledged, reported and booked.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from typing import TypeVar

from controller import events as e
from controller.authority.keys import generate_key
from controller.fold import apply
from controller.journal.chain import Record
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import SqliteJournal, open_journal
from controller.journal.verify import verify_journal
from controller.runtime.memory import Memory
from controller.runtime.snapshot import Snapshots
from controller.state import State
from exchange.model import OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import Desk

GOAL_S = 3.0
_BATCH = 1000

T = TypeVar("T")


def main() -> None:
    """Make the journal, start on it, print."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.start", description="A start on a long journal, part by part.")
    parser.add_argument("--entries", type=int, default=1_000_000, help="how long the journal is")
    entries = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as directory:
        path, snapshots = Path(directory) / "journal.db", Snapshots(Path(directory), generate_key())
        journal = open_journal(path, "desk")
        _fill(journal, entries)
        verified = _timed(lambda: verify_journal(path, "desk", monotonic_ns=time.monotonic_ns, storage=False))
        print(f"verify the chain from the genesis   {verified[0]:8.2f} s   {entries / verified[0]:,.0f} entries/s")
        whole = _timed(lambda: verify_journal(path, "desk", monotonic_ns=time.monotonic_ns))[0]
        print(f"the same with the file's own check  {whole:8.2f} s   as `gatehouse journal verify` does, not a start")
        folding, (state, memory, tree) = _timed(lambda: _fold(journal))
        print(f"fold everything                     {folding:8.2f} s   {len(state.orders):,} orders")
        saving, saved = _timed(lambda: snapshots.save(state, journal.head, memory.kept(), tree))
        size = (Path(directory) / "snapshot").stat().st_size
        print(f"write the snapshot                  {saving:8.2f} s   {size / 1e6:,.1f} MB")
        loading, found = _timed(lambda: snapshots.load(journal.hash_at))
        print(f"read the snapshot                   {loading:8.2f} s")
        assert saved
        assert found is not None
        assert found.state.fingerprint() == state.fingerprint()
        journal.close()
    total = verified[0] + loading
    print(f"a start without a snapshot          {verified[0] + folding:8.2f} s")
    print(f"a start with a snapshot             {total:8.2f} s   goal ≤ {GOAL_S:g} s: {'met' if total <= GOAL_S else 'missed'}")


def _timed(act: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result


def _fold(journal: SqliteJournal) -> tuple[State, Memory, MerkleTree]:
    state, memory, tree = State(), Memory(), MerkleTree()
    for entry in journal.read():
        event = e.decode(entry.kind, entry.body)
        state = apply(state, event, entry.at)
        memory.remember(entry, event, state)
        tree.append(entry.hash)
    return state, memory, tree


def _fill(journal: SqliteJournal, entries: int) -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    for event, at in desk.journal:
        journal.append([Record(event.kind, e.encode(event))], at)
    running = _running(desk)
    while (left := entries - journal.head.seq) > 0:
        desk.pass_time(1000)
        journal.append([Record(event.kind, e.encode(event)) for event in islice(running, min(left, _BATCH))], desk.now)


def _running(desk: Desk) -> Iterator[e.Event]:
    sampled = next(event for event, _ in reversed(desk.journal) if isinstance(event, e.Sampled))
    reconciled = next(event for event, _ in reversed(desk.journal) if isinstance(event, e.Reconciled))
    for number in count(1):
        yield from _order(number)
        for turn in range(96):
            yield reconciled if turn % 4 == 0 else sampled


def _order(number: int) -> Iterator[e.Event]:
    client_id, order_id, venue, symbol, side = f"gh{number}", f"venue{number}", VenueName.LIVE, "BTCUSDT", Side.BUY
    quantity, price = Decimal("0.00001"), Decimal(60000)
    yield e.OrderAdmitted(
        client_id=client_id, bot="bot", bot_client_id=f"bot{number}", venue=venue, stage=Stage.LIVE_EUR10, step=0, symbol=symbol,
        side=side, type=OrderType.LIMIT, quantity=quantity, quote_quantity=None, price=price, exposure_eur=Decimal(1),
        cap_eur=Decimal(10), bid=price, ask=price,
    )  # fmt: skip
    yield e.OrderAcked(client_id=client_id, order_id=order_id)
    yield e.OrderReported(
        client_id=client_id, order_id=order_id, status=OrderStatus.FILLED, executed=quantity, executed_quote=quantity * price
    )
    yield e.FillBooked(
        venue=venue, trade_id=f"trade{number}", order_id=order_id, client_id=client_id, symbol=symbol, side=side, price=price,
        quantity=quantity, quote=quantity * price, fee=Decimal(0), fee_asset="USDT", maker=True, venue_at=1_800_000_000_000,
    )  # fmt: skip


if __name__ == "__main__":
    main()
