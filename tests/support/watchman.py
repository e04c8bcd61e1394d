"""The invariants of architecture.md §11 about decisions: what is placed, how the stage moves, what is booked."""

from __future__ import annotations

import json

from controller.core import events as e
from controller.core.decisions.draft import Decision
from controller.core.effects import Place
from controller.core.lifecycle import EDGES, Position
from controller.core.state import State
from exchange.model import Side
from exchange.ports import VenueName
from gates.registry import gate_for
from policies.authority import Verb
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.adversary import ZERO, Adversary
from tests.support.desk import D

DECLARED_MOVES = {(edge.source, edge.target) for edge in EDGES}
TWO_PERSONS = {
    (Verb.ADVANCE, Stage.VALIDATED),
    (Verb.RAMP, Stage.LIVE_EUR10),
    (Verb.RAMP, Stage.RAMPING),
    (Verb.RESUME, Stage.HALTED),
}


class Watchman:
    """Checks every decision of a desk. ``lied``: the venue contradicted itself on purpose, so an integrity halt is correct."""

    def __init__(self, venue: Adversary) -> None:
        self.lied = False
        self.venue, self.desk = venue, venue.desk
        self.booked: dict[tuple[int, VenueName], set[str]] = {}
        self.fills: dict[str, D] = {}  # type: ignore[valid-type]
        self.placed = {event.client_id for event in self.desk.events(e.OrderAdmitted) if isinstance(event, e.OrderAdmitted)}
        self.accepted = [event.command_id for event in self.desk.events(e.CommandAccepted) if isinstance(event, e.CommandAccepted)]
        self.totals: dict[VenueName, dict[str, D]] = {  # type: ignore[valid-type]
            venue: dict(self.desk.state.ledger(venue).totals or {}) for venue in VenueName
        }

    def check(self, before: State, decision: Decision) -> None:
        """Check one decision, whose effects the venue has carried out."""
        self._check_orders(before, decision)
        self._check_truth(decision)
        self._check_stage(before, decision)
        self._check_books(decision)

    # Invariants 1, 2, 3: what is placed

    def _check_orders(self, before: State, decision: Decision) -> None:
        admitted = [event for event in decision.events if isinstance(event, e.OrderAdmitted)]
        places = [effect for effect in decision.effects if isinstance(effect, Place)]
        assert [place.intent.client_id for place in places] == [event.client_id for event in admitted]
        for event, place in zip(admitted, places, strict=True):
            assert event.client_id not in self.placed, "sent twice"
            self.placed.add(event.client_id)
            assert before.armed
            assert before.position.stage is not Stage.HALTED
            assert place.venue is event.venue is before.venue
            assert before.policy is not None
            cap = cap_eur(before.policy, before.position.stage, before.position.step)
            assert event.cap_eur == cap
            assert event.side is Side.SELL or event.exposure_eur <= cap

    def _check_truth(self, decision: Decision) -> None:
        for event in decision.events:
            if isinstance(event, e.OrderAdmitted) and event.side is Side.BUY and not self.lied:
                assert self.venue.exposure_eur(event.venue) <= event.cap_eur

    # Invariants 4, 8, 9: how the stage moves

    def _check_stage(self, before: State, decision: Decision) -> None:
        accepted = [event for event in decision.events if isinstance(event, e.CommandAccepted)]
        moves = [event for event in decision.events if isinstance(event, e.StageChanged)]
        assert (self.desk.state.position != before.position) <= bool(moves)
        for event in moves:
            old, new = Position(event.from_stage, event.from_step), Position(event.stage, event.step)
            assert (old.stage, new.stage) in DECLARED_MOVES
            if new.risk <= old.risk:
                continue
            (command,) = accepted
            assert event.command_id == command.command_id
            if gate_for(command.verb, old.stage) is not None:
                assert json.loads(command.result)["verdict"] == "PASS"
            assert len({"alice", "bob"} & set(command.persons)) >= (2 if (command.verb, old.stage) in TWO_PERSONS else 1)
        for command in accepted:
            assert command.command_id not in self.accepted, "applied twice"
            self.accepted.append(command.command_id)
        if any(isinstance(event, e.CommandRefused) for event in decision.events):
            assert not moves
            assert decision.effects == ()
        assert self.lied or self.desk.state.halt_cause != "integrity", self.desk.state.halt_reason

    # Invariant 7: each fill once, balances exact

    def _check_books(self, decision: Decision) -> None:
        for event in decision.events:
            if isinstance(event, e.ControllerStarted):
                self.totals[VenueName.MOCK] = {}
            elif isinstance(event, e.BalancesBaselined):
                self.totals[event.venue] = dict(event.totals)
            elif isinstance(event, e.FillBooked):
                booked = self.booked.setdefault((self.desk.epoch if event.venue is VenueName.MOCK else 0, event.venue), set())
                assert event.trade_id not in booked, "booked twice"
                booked.add(event.trade_id)
                self.fills[event.client_id] = self.fills.get(event.client_id, ZERO) + event.quantity
                totals, sign = self.totals[event.venue], 1 if event.side is Side.BUY else -1
                totals["BTC"] = totals.get("BTC", ZERO) + sign * event.quantity
                totals["USDT"] = totals.get("USDT", ZERO) - sign * event.quote - event.fee

    def balances_are_the_baseline_plus_every_fill(self) -> None:
        """Invariant 7: balances are exact."""
        for venue, totals in self.totals.items():
            held = self.desk.state.ledger(venue).totals or {}
            assert all(held.get(asset, ZERO) == totals.get(asset, ZERO) for asset in {*held, *totals})
        for client_id, amount in self.fills.items():
            order = self.desk.state.orders.get(client_id)
            assert order is None or order.booked == amount
