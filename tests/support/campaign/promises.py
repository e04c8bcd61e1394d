"""Promises of architecture.md §11 that ``watching`` checks in a rehearsal: moves, books, halts, epochs, secrets and sockets."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path

from controller.audit.replay import replay
from controller.core import events as e
from controller.core.lifecycle import EDGES, Position
from controller.core.state import State
from controller.journal.chain import Entry
from controller.journal.sqlite import read_journal
from controller.rehearsal.folder import Folder
from controller.rehearsal.venues import InsideVenue
from exchange.errors import GatehouseError
from exchange.model import OrderStatus, Side
from exchange.orders import WORKING
from exchange.ports import VenueName
from gates.registry import gate_for
from policies.authority import quorum
from policies.stage import Stage

DECLARED = {(edge.source, edge.target) for edge in EDGES}
ZERO = Decimal(0)

Require = Callable[[bool, str], None]


@cache
def sockets_opened() -> list[str]:
    """The addresses that this process connects to from now on, other than those of this machine."""
    away: list[str] = []

    def heard(name: str, arguments: tuple[object, ...]) -> None:
        if name == "socket.connect" and isinstance(address := arguments[1], tuple) and not _is_here(str(address[0])):
            away.append(str(address[0]))

    sys.addaudithook(heard)
    return away


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Promises:
    """Follows one rehearsal's entries in order. ``require`` gets whether a promise is kept, and what is broken if not."""

    def __init__(self, require: Require, seen: Counter[str]) -> None:
        self._require, self._seen = require, seen
        self._away = sockets_opened()
        self._away_before = len(self._away)
        self._accepted: dict[str, e.CommandAccepted] = {}
        self._refused: set[str] = set()
        self._booked: set[tuple[int, VenueName, str]] = set()
        self._bought: Counter[tuple[VenueName, str]] = Counter()
        self._books: dict[VenueName, dict[str, Decimal] | None] = {}
        self._epoch = 0
        self._starts = False
        self._breach = ""

    def started(self, before: State | None, after: State) -> None:
        """A controller starts with this state; ``before`` is what the one before it left."""
        self._starts = True
        if before is not None and before.position.stage is Stage.HALTED:
            self._require(after.position.stage is Stage.HALTED, f"8: a start ends the halt, and is at {after.position}")

    def entry(self, before: State, entry: Entry, event: e.Event) -> None:
        """One entry that is durable."""
        self._require(entry.epoch >= self._epoch, f"10: entry {entry.seq} is of epoch {entry.epoch}, after {self._epoch}")
        if self._starts:
            self._require(entry.epoch > self._epoch, f"10: a start has the epoch {entry.epoch} of the one before")
        self._starts, self._epoch = False, entry.epoch
        match event:
            case e.BreachDetected():
                self._breach = f"{event}"[:80]
            case e.OrderAdmitted():
                calm = not self._breach or before.flatten is not None
                self._require(calm, f"8: {event.client_id} was admitted after {self._breach}")
            case e.CommandRefused():
                self._refused.add(event.command_id)
            case e.CommandAccepted():
                self._accepted[event.command_id] = event
                self._signed(before, event)
            case e.StageChanged():
                self._breach = ""
                self._moved(before, event)
            case e.BalancesBaselined():
                self._books[event.venue] = {asset: Decimal(amount) for asset, amount in event.totals.items()}
            case e.Rebaselined() | e.CapitalMoved():
                self._books[event.venue] = None
            case e.FillBooked():
                self._fill(entry, event)
            case _:
                pass

    def _signed(self, before: State, event: e.CommandAccepted) -> None:
        needed = quorum(event.verb, before.position.stage, before.mode).persons
        found = len(set(event.persons))
        self._require(found >= needed, f"9: {event.verb} was accepted from {found} persons, and {needed} are needed")
        if gate_for(event.verb, before.position.stage) is not None:
            verdict = json.loads(event.result)["verdict"] if event.result else "none"
            self._require(verdict == "PASS", f"4: {event.verb} was accepted with the verdict {verdict}")

    def _moved(self, before: State, event: e.StageChanged) -> None:
        self._seen["moves"] += 1
        old, new = Position(event.from_stage, event.from_step), Position(event.stage, event.step)
        self._require(old == before.position, f"4: a move begins at {old}, and the deployment is at {before.position}")
        self._require((old.stage, new.stage) in DECLARED, f"4: no edge leads from {old} to {new}")
        if new.risk > old.risk:
            self._require(event.command_id in self._accepted, f"4: nobody signed the step from {old} to {new}")
            self._require(event.command_id not in self._refused, f"9: a refused command moves to {new}")

    def _fill(self, entry: Entry, event: e.FillBooked) -> None:
        self._seen["bookings"] += 1
        # The executor of MOCK ends with its process, and counts its trades anew.
        trade = (entry.epoch if event.venue is VenueName.MOCK else 0, event.venue, event.trade_id)
        self._require(trade not in self._booked, f"7: trade {event.trade_id} at {event.venue} was booked twice")
        self._booked.add(trade)
        self._bought[event.venue, event.client_id] += event.quantity  # type: ignore[assignment]
        totals, sign = self._books.get(event.venue), 1 if event.side is Side.BUY else -1
        if totals is not None:
            quote = "USDT"
            for asset, amount in (
                (event.symbol.removesuffix(quote), sign * event.quantity),
                (quote, -sign * event.quote),
                (event.fee_asset, -event.fee),
            ):
                totals[asset] = totals.get(asset, ZERO) + amount

    def batch(self, after: State) -> None:
        """The state after a batch."""
        for venue, totals in self._books.items():
            held = after.ledger(venue).totals
            if held is None:
                continue
            if totals is None:
                self._books[venue] = dict(held)
                continue
            same = all(held.get(asset, ZERO) == totals.get(asset, ZERO) for asset in {*held, *totals})
            self._require(same, f"7: the books of {venue} are {dict(held)}, and baseline and fills give {totals}")
        for client_id in after.open:
            order = after.orders[client_id]
            unproven = order.status in WORKING or order.booked < order.executed
            self._require(unproven, f"6: {client_id} is open and {order.status}")
            self._require(
                (order.unknown_since is not None) == (order.status is OrderStatus.UNKNOWN), f"6: {client_id} is not counted"
            )

    def end(self, after: State | None, folder: Folder, venues: dict[str, InsideVenue]) -> None:
        """Everything has ended: the orders, the venues' own trades, the replay, the files and the sockets."""
        if after is not None:
            self._orders(after)
            self._replayed(after, folder.directory)
        self._against_the_venues(venues)
        self._secrets(folder)
        away = self._away[self._away_before :]
        self._require(not away, f"12: a socket was opened to {away[:3]}")

    def _orders(self, after: State) -> None:
        for client_id, order in after.orders.items():
            self._seen["orders"] += 1
            unproven = order.status in WORKING or order.booked < order.executed
            self._require(unproven == (client_id in after.open), f"6: {client_id} is {order.status} and not counted as open")

    def _replayed(self, after: State, directory: Path) -> None:
        reader = read_journal(directory / "var" / "journal.db")
        try:
            found = replay(reader.read(), reader.controller_id)
        except GatehouseError as error:
            self._require(False, f"5: the replay fails: {error.message}")
            return
        finally:
            reader.close()
        self._seen["verdicts judged again"] += found.rejudged
        same = found.state.fingerprint() == after.fingerprint()
        self._require(same, "5: the replay of the journal gives another state than the one that ran")

    def _against_the_venues(self, venues: dict[str, InsideVenue]) -> None:
        for name, inside in venues.items():
            engine = inside.venue.engine
            traded: Counter[str] = Counter()
            for symbol in engine.rules:
                for fill in engine.fills(name, symbol):
                    traded[fill.client_id] += fill.quantity  # type: ignore[assignment]
            for (venue, client_id), quantity in self._bought.items():
                if venue.value == name:
                    known = quantity <= traded[client_id]
                    self._require(known, f"7: {quantity} of {client_id} is booked, and {traded[client_id]} traded at {name}")

    def _secrets(self, folder: Folder) -> None:
        secrets = [folder.bot_secret, folder.control_token, *(account.secret for account in folder.accounts.values())]
        secrets += [key.private_bytes_raw().hex() for key in folder.persons.values()]
        hidden = {folder.directory / "secrets", folder.directory / "keys"}
        for path in folder.directory.rglob("*"):
            if path.is_file() and hidden.isdisjoint(path.parents):
                self._seen["files searched"] += 1
                data = path.read_bytes()
                self._require(not any(one.encode() in data for one in secrets), f"11: a secret is in {path.name}")
