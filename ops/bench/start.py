"""Measures the start on a long journal, and the loading of history: ``python -m ops.bench.start [--entries N] [--orders N]``.

The journal has a deployment's real entries up to VALIDATED and then generated ones: samples, reconciliations and one order per
second, each admitted, acknowledged, reported and booked. The snapshot has the greatest possible age. Every round is a new process.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

from controller.audit.operators import Auditor
from controller.authority.keys import generate_key, load_key, save_key
from controller.core import event_codec
from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Head, Record
from controller.journal.merkle import MerkleTree
from controller.journal.sqlite import SqliteJournal, open_journal, read_journal
from controller.journal.verify import verify_journal
from controller.runtime.followers.recent import RecentHistory
from controller.runtime.recovery.recover import refold
from controller.runtime.recovery.snapshot import SAVE_AFTER, Snapshots
from exchange.model import OrderStatus, OrderType, Side
from exchange.ports import VenueName
from policies.stage import Stage
from tests.support.desk import Desk

GOAL_S, GOAL_VERIFIED = 3.0, 150_000
_ROUNDS = 5
_BATCH = 1000
_OF_AN_ORDER = 4
_JOURNAL, _KEY = "journal.db", "checkpoint.key"
_PARTS = {
    "read": "reading the file",
    "verify": "verify the chain from the genesis",
    "load": "read the snapshot",
    "fold": "fold the entries since",
    "start": "a start: all but the first",
    "cpu": "processor time of it, all processes",
    "rss": "history after it",
    "peak": "history at most",
    "full": "verify it in full",
}

T = TypeVar("T")


def main() -> None:
    """Make the journal, measure the start, print the result."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.start", description="A start on a long journal, part by part.")
    parser.add_argument("--entries", type=int, default=1_000_000, help="how many entries the journal has")
    parser.add_argument("--orders", type=int, help="how many orders; by default one per hundred entries")
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of:
        sys.stdout.write(json.dumps(_start(options.of)))
        return
    entries, orders = options.entries, options.orders or options.entries // 100
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _prepare(directory, entries, orders)
        rounds = [_in_a_process(directory) for _ in range(_ROUNDS)]
    for part, what in _PARTS.items():
        values = [one[part] for one in rounds]
        unit = "MB" if part in {"rss", "peak"} else "s"
        print(f"{what:40s}{statistics.median(values):8.2f} [{min(values):.2f}..{max(values):.2f}] {unit}")
    full = entries / statistics.median(one["full"] for one in rounds)
    print(f"goal ≥ {GOAL_VERIFIED:,} entries/s verified in full: {'met' if full >= GOAL_VERIFIED else 'missed'} with {full:,.0f}")
    start, reading = (statistics.median(one[part] for one in rounds) for part in ("start", "read"))
    print(f"goal ≤ {GOAL_S:g} s: {'met' if start <= GOAL_S else 'missed'}; {start / reading:.1f} × reading the file")


def _prepare(directory: Path, entries: int, orders: int) -> None:
    save_key(generate_key(), directory / _KEY)
    snapshots = Snapshots(directory, load_key(directory / _KEY))
    journal = open_journal(directory / _JOURNAL, "desk")
    _fill(journal, entries, max(1, entries // orders))
    folding, (state, history, tree, head) = _timed(lambda: _folded(journal, entries - SAVE_AFTER))
    print(f"{entries:,} entries, {len(state.settled):,} settled orders", flush=True)
    print(f"{'fold everything, without a snapshot':40s}{folding:8.2f} s")
    saving, saved = _timed(lambda: snapshots.save(state, head, history.saved(), tree))
    assert saved
    print(f"{'write the snapshot':40s}{saving:8.2f} s, {(directory / 'snapshot').stat().st_size / 1e6:.1f} MB")
    journal.close()


def _in_a_process(directory: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "ops.bench.start", "--of", str(directory)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def _start(directory: Path) -> dict[str, Any]:
    """What ``controller.bootstrap.journal`` does."""
    path, snapshots, tree = directory / _JOURNAL, Snapshots(directory, load_key(directory / _KEY)), MerkleTree()
    reading, _ = _timed(lambda: _read(path))
    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    verifying, report = _timed(lambda: verify_journal(path, "desk", monotonic_ns=time.monotonic_ns, storage=False))
    journal = open_journal(path, "desk")
    loading, snapshot = _timed(lambda: snapshots.load(journal.hash_at))
    assert report.ok
    assert snapshot is not None
    folding, (state, folded) = _timed(lambda: refold(journal, RecentHistory(), lambda entry: tree.append(entry.hash), snapshot))
    assert (state.seq, folded) == (report.entries, SAVE_AFTER)
    journal.close()
    used = [sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    full, _ = _timed(lambda: _verified(path))
    return {
        "read": reading,
        "verify": verifying,
        "load": loading,
        "fold": folding,
        "start": verifying + loading + folding,
        "cpu": sum(used) - before,
        "rss": int(status["VmRSS"].split()[0]) / 1024,
        "peak": int(status["VmHWM"].split()[0]) / 1024,
        "full": full,
    }


def _verified(path: Path) -> None:
    """What ``gatehouse journal verify`` does: the chain, every command and its evidence, and the file's own check."""
    reader = read_journal(path)
    auditor = Auditor(reader.hash_at)
    report = verify_journal(path, "desk", monotonic_ns=time.monotonic_ns, inspect=auditor.inspect)
    reader.close()
    assert report.ok
    assert auditor.found.accepted


def _read(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _timed(act: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result


def _folded(journal: SqliteJournal, last: int) -> tuple[State, RecentHistory, MerkleTree, Head]:
    state, history, tree, head = State(), RecentHistory(), MerkleTree(), journal.head
    for entry in journal.read(0, last):
        event = event_codec.decode(entry.kind, entry.body)
        state = apply(state, event, entry.at)
        history.record(entry, event, state)
        tree.append(entry.hash)
        head = Head(entry.seq, entry.hash, entry.epoch)
    return state, history, tree, head


def _fill(journal: SqliteJournal, entries: int, every: int) -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    for event, at in desk.journal:
        journal.append([Record(event.kind, event_codec.encode(event))], at)
    running = _running(desk, max(0, every - _OF_AN_ORDER))
    while (left := entries - journal.head.seq) > 0:
        desk.pass_time(1000 * max(1, _BATCH // every))
        journal.append([Record(event.kind, event_codec.encode(event)) for event in islice(running, min(left, _BATCH))], desk.now)


def _running(desk: Desk, between: int) -> Iterator[e.Event]:
    sampled = next(event for event, _ in reversed(desk.journal) if isinstance(event, e.Sampled))
    reconciled = next(event for event, _ in reversed(desk.journal) if isinstance(event, e.Reconciled))
    for number in count(1):
        yield from _order(number)
        for turn in range(between):
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
        quantity=quantity, quote=quantity * price, fee=Decimal(0), fee_asset="USDT", maker=True, traded_at=1_800_000_000_000,
    )  # fmt: skip


if __name__ == "__main__":
    main()
