"""Journals for tests of the report: a deployment that traded, stood still, was denied, drilled and halted, all from one seed."""

from __future__ import annotations

import hashlib
import random
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path

from controller.audit.replay import figures_of
from controller.core import inputs as i
from controller.core.event_codec import encode
from controller.core.events import CommandAccepted
from controller.journal.chain import Entry, Head, Record, genesis_hash, seal_all
from controller.journal.export import FORMAT, LINES, MANIFEST, Manifest
from controller.journal.merkle import MerkleTree
from controller.report.collect import Collector
from controller.report.document import document
from controller.report.sealed import Sealed, seal
from exchange.model import OrderStatus, Side
from exchange.ports import Rejected
from policies import canonical
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import D, Desk


def entries_of(desk: Desk) -> list[Entry]:
    """The desk's journal as entries."""
    entries: list[Entry] = []
    head = Head(0, genesis_hash("desk"), 1)
    for at, events in groupby(desk.journal, key=lambda pair: pair[1]):
        sealed, head = seal_all([Record(event.kind, encode(event)) for event, _ in events], head, at=at)
        entries += sealed
    return entries


def report_of(entries: list[Entry], command_id: str = "") -> Sealed:
    """The report of the present run, or of an applied command."""
    collector = Collector()
    for entry in entries:
        collector.take(entry)
        signed = collector.found.signed
        if command_id and signed and signed[-1].accepted.command_id == command_id:
            return seal(document(collector.found, signed[-1]))
    return seal(document(collector.found))


def write_export(entries: list[Entry], directory: Path) -> Path:
    """The entries as an export."""
    data = b"".join(map(_line, entries))
    tree = MerkleTree()
    for entry in entries:
        tree.append(entry.hash)
    lines = f"sha256:{hashlib.sha256(data).hexdigest()}"
    manifest = Manifest(FORMAT, "desk", len(entries), entries[-1].hash, tree.root().hex(), lines)
    (directory / LINES).write_bytes(data)
    (directory / MANIFEST).write_bytes(canonical.encode(asdict(manifest)))
    return directory


def _line(entry: Entry) -> bytes:
    return canonical.encode(entry._asdict() | {"body": canonical.decode(entry.body)}) + b"\n"


def busy_desk(steps: int = 700, seed: int = 7) -> Desk:
    """A deployment at TESTNET_VALIDATING with trades, gaps, rejects, denials and a restart."""
    chance = random.Random(seed)
    desk = Desk(usdt="1000").walk_to(Stage.TESTNET_VALIDATING)
    for step in range(steps):
        desk.pass_time(5_000)
        desk.price = max(D("50000"), (desk.price * D(1 + chance.gauss(0, 0.0006))).quantize(D("0.1")))
        if step % 3 == 0:
            desk.sweep_all()
        blind = steps // 3 <= step < steps // 3 + 30 or step % 97 == 0
        desk.tick(age_ms=60_000 if blind else 0)
        if step == steps // 2:
            desk.pass_time(240_000)
            desk.arm()
        elif not blind and step % 4 == 0 and step > 10:
            _trade(desk, chance)
    return measured(desk)


def measured(desk: Desk) -> Desk:
    """The desk after its statistics were computed from its journal as it is now."""
    state, tally = desk.state, desk.state.tally
    assert tally is not None
    assert state.policy is not None
    figures = figures_of(tally.series, state.policy.performance, tally.covered_ms)
    desk.give(i.StatisticsComputed(tally.started_at, state.seq, state.at, tally.covered_ms, tally.series.digest(), figures))
    return desk


def halted_desk() -> Desk:
    """A deployment that a person halted."""
    desk = busy_desk(60)
    desk.give(i.HaltAsked("root", "the operator saw a fire"))
    desk.run(20_000)
    return desk


def _trade(desk: Desk, chance: random.Random) -> None:
    side = chance.choice((Side.BUY, Side.SELL))
    decision = desk.order(chance.choice(("0.00004", "0.00003", "0.00006", "0.0009")), side=side)
    if not decision.effects:
        return
    desk.pass_time(chance.choice((2, 3, 5, 8, 13, 40, 90)))
    if chance.random() < 0.05:
        desk.placed(decision, Rejected(30005, "Oversold"))
        return
    client_id = desk.placed(decision)
    order = desk.state.orders[client_id]
    assert order.quantity is not None
    if chance.random() < 0.15:
        desk.give(i.VenueReported(order.venue, desk.report(client_id, OrderStatus.CANCELED)))
        return
    drift = D(str(round(chance.gauss(1.2 if side is Side.BUY else -1.2, 3), 2)))
    fill = desk.trade_of(order, order.quantity, desk.price + drift)
    charged = replace(fill, fee=(fill.quote * D("0.0005")).quantize(D("0.00000001")))
    desk.trades[order.venue][-1] = charged
    desk.give(i.VenueReported(order.venue, charged))
    desk.give(i.VenueReported(order.venue, desk.report(client_id, OrderStatus.FILLED, str(order.quantity))))


def last_move(desk: Desk) -> str:
    """The id of the last applied command that moved the deployment up."""
    accepted = [event for event, _ in desk.journal if isinstance(event, CommandAccepted) and event.verb is Verb.ADVANCE]
    return accepted[-1].command_id
