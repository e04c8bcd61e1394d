"""The invariants of architecture.md §11, checked against the books of the venue after every decision and every change there.

``Watched`` brings those of ``tests/support/governed_watchman.py`` about decisions. What is here compares with the venue: what is
open and held there, which orders it took and when they were sent, and which trades it made.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from controller.core import events as e
from controller.core.causes import Cause
from controller.core.decisions.draft import Decision
from controller.core.effects import Latch, Place, PlaceExit
from controller.core.fold.flatten import SELLER
from controller.core.order_state import IN_FLIGHT, OrderState
from controller.core.state import State
from exchange.model import Fill, OrderStatus, Side
from exchange.orders import WORKING
from exchange.ports import VenueName
from exchange.wire.errors import ErrorCode
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.campaign.venue import OPEN
from tests.support.desk import D
from tests.support.governed_watchman import GovernedWatchman

if TYPE_CHECKING:
    from tests.support.campaign.world import World

EMPTY_WITHIN_MS = 9_000
"""A HALTED deployment has nothing open this long after the last fault: the longest wait of a sweep, and two cancels."""


def _facts(fill: Fill) -> tuple[Any, ...]:
    return fill.order_id, fill.side, fill.price, fill.quantity, fill.quote, fill.fee, fill.fee_asset


class Violation(AssertionError):
    """An invariant does not hold."""


class Watched(GovernedWatchman):
    """The checks of decisions, with the venue's books in place of an adversary's."""

    def __init__(self, world: World) -> None:
        self.world = world
        super().__init__(world.judge)  # type: ignore[arg-type]

    def _check_orders(self, before: State, decision: Decision) -> None:
        admitted = [event for event in decision.events if isinstance(event, e.OrderAdmitted)]
        places = [effect for effect in decision.effects if isinstance(effect, Place | PlaceExit)]
        assert [one.intent.client_id for one in places] == [one.client_id for one in admitted], "a send without an admission"
        for event, place in zip(admitted, places, strict=True):
            assert event.client_id not in self.placed, "sent twice"
            self.placed.add(event.client_id)
            assert before.armed, "admitted while not armed"
            assert before.drill is None
            assert isinstance(place, PlaceExit) == (event.bot == SELLER)
            if event.bot == SELLER:
                assert event.side is Side.SELL
                assert before.flatten is not None
                assert place.venue is event.venue is before.flatten.venue
                continue
            assert before.position.stage is not Stage.HALTED, "a bot's order was admitted while HALTED"
            assert before.flatten is None, "a bot's order was admitted during a flatten"
            assert place.venue is event.venue is before.venue
            assert before.policy is not None
            assert event.cap_eur == cap_eur(before.policy, before.position.stage, before.position.step)
            assert event.side is Side.SELL or event.exposure_eur <= event.cap_eur
            assert event.side is Side.SELL or before.pending_demotion is None
            usable = [key for key in before.bot_keys.values() if key.bot == event.bot and not key.revoked]
            assert usable, "a bot whose keys are all revoked has traded"

    def _check_truth(self, decision: Decision) -> None:
        """``Judge`` compares with the venue."""


class Judge:
    """Looks at one world. It stands in for the adversary that ``GovernedWatchman`` expects."""

    def __init__(self, world: World) -> None:
        self.world = self.desk = world
        world.judge = self
        self._rate = world.policy.eur_rate.quote_per_eur
        self._cap: dict[VenueName, Any] = {}
        self._bot_ids: Counter[tuple[str, str]] = Counter()
        self._halted_at = 0
        self._equals: dict[VenueName, Counter[tuple[Any, ...]]] = {name: Counter() for name in VenueName}
        self.most: dict[str, Any] = {}
        self.watchman = Watched(world)

    def base(self, venue: VenueName) -> Any:
        """What is held there; the name is the adversary's."""
        return self.world.venues[venue].held

    # After every decision

    def decided(self, before: State, decision: Decision) -> None:
        """Check one decision, before its effects are carried out."""
        world, state = self.world, self.world.state
        world.dies_before_acting = world.dies_before_acting and state.position.stage is not Stage.HALTED
        self.watchman.lied = world.lied
        self.watchman.check(before, decision)
        for event in decision.events:
            self._look_at(event)
        self._orders(before, state)
        halted = state.position.stage is Stage.HALTED
        if halted and before.position.stage is not Stage.HALTED:
            self._halted_at = world.now
            world.reached[f"halt: {state.halt_cause}"] += 1
            world.reached["halt: with an order on its way"] += bool(world.on_the_way)
            if not any(isinstance(effect, Latch) for effect in decision.effects):
                raise Violation("invariant 8: a halt without a latch")
        if state.halt_cause is Cause.CONTROLLER and "while deciding" in state.halt_reason:
            raise Violation(f"a decision raised: {state.halt_reason}")

    def _look_at(self, event: e.Event) -> None:
        reached = self.world.reached
        if isinstance(event, e.OrderAdmitted):
            reached[f"admitted: {event.side} {event.stage}"] += 1
            if event.bot_client_id:
                self._bot_ids[event.bot, event.bot_client_id] += 1
                if self._bot_ids[event.bot, event.bot_client_id] > 1:
                    raise Violation("invariant 1: one request of a bot was admitted twice")
            if event.side is Side.BUY:
                self._admitted(event)
        elif isinstance(event, e.OrderDenied):
            reached[f"denied: {event.rule}"] += 1
        elif isinstance(event, e.FillBooked):
            self._booked(event)
        elif isinstance(event, e.OrderRejected):
            reached["released: proven absent"] += event.code == ErrorCode.NO_SUCH_ORDER
            self._given_up(event.client_id, "was given up")
        elif isinstance(event, e.OrderReported):
            if event.status not in OPEN:
                self._given_up(event.client_id, f"counts as {event.status}")
        elif isinstance(event, e.StageChanged):
            reached[f"move: {event.cause}"] += 1
            reached[f"stage: {event.stage}"] += 1
        elif isinstance(event, e.FlattenEnded):
            reached["flatten: complete" if event.complete else "flatten: incomplete"] += 1
        elif isinstance(event, e.CommandRefused):
            reached["command: refused"] += 1

    def _admitted(self, event: e.OrderAdmitted) -> None:
        """Invariant 2: everything that the venue holds, or may still get, and the new order are within the cap."""
        world = self.world
        on_the_way = [intent for venue, intent in world.on_the_way.values() if venue is event.venue]
        worst = world.venues[event.venue].worst_quote(event.ask, on_the_way) / self._rate
        self._cap[event.venue] = event.cap_eur
        share = worst / event.cap_eur
        world.reached["cap: more than 90 % used"] += share > D("0.9")
        self.most[str(event.stage)] = max(self.most.get(str(event.stage), D(0)), worst)
        if worst > event.cap_eur:
            raise Violation(f"invariant 2: {worst:.4f} EUR of {event.cap_eur} with {event.client_id} at the {event.venue} venue")
        if worst > event.exposure_eur:
            # It is within the cap, by luck: the journal states less than there is.
            raise Violation(f"invariant 2: {worst:.4f} EUR with {event.client_id}, and the journal says {event.exposure_eur:.4f}")

    def _booked(self, event: e.FillBooked) -> None:
        """Invariant 7: a booked trade is a trade of the venue, unchanged, and booked once."""
        venue = self.world.venues[event.venue]
        fill = venue.named.get(event.trade_id)
        if fill is None:
            raise Violation(f"invariant 7: the venue made no trade {event.trade_id}")
        ours = (event.side, event.price, event.quantity, event.quote, event.fee, event.fee_asset)
        if ours != (fill.side, fill.price, fill.quantity, fill.quote, fill.fee, fill.fee_asset):
            raise Violation(f"invariant 7: trade {event.trade_id} is booked otherwise than the venue made it")
        # Of equal trades nobody can tell which is which, so they are counted.
        booked, made = self._equals[event.venue], [one for one in venue.fills.values() if _facts(one) == _facts(fill)]
        booked[_facts(fill)] += 1
        if booked[_facts(fill)] > len(made):
            raise Violation(f"invariant 7: trade {event.trade_id} is booked twice")

    def _given_up(self, client_id: str, how: str) -> None:
        """Invariant 6: an order that counts as ended cannot trade any more."""
        order = self.world.state.orders.get(client_id)
        if order is None:
            return
        truth = self.world.venues[order.venue].truth(client_id)
        if client_id in self.world.on_the_way:
            raise Violation(f"invariant 6: {client_id} {how}, and it is on its way to the venue")
        if truth is not None and truth.status in OPEN:
            raise Violation(f"invariant 6: {client_id} {how}, and it is open at the venue")
        if how == "was given up" and truth is not None and truth.executed:
            raise Violation(f"invariant 6: {client_id} {how}, and it traded")

    def _orders(self, before: State, state: State) -> None:
        """Invariant 6 within the state: an order is proven to have ended, or it is counted."""
        if state.open is before.open:
            return
        for client_id, order in state.open.items():
            if order is before.open.get(client_id):
                continue
            if order.status not in WORKING and order.booked >= order.executed:
                raise Violation(f"invariant 6: {client_id} has ended and is open")
            if (order.unknown_since is not None) != (order.status is OrderStatus.UNKNOWN):
                raise Violation(f"invariant 6: {client_id} is {order.status} and unknown since {order.unknown_since}")
        for client_id in before.open:
            if client_id not in state.open and (order := state.orders.get(client_id)) is not None:
                self._settled(order)

    def _settled(self, order: OrderState) -> None:
        venue = self.world.venues[order.venue]
        made = [fill for fill in venue.fills.values() if fill.client_id == order.client_id]
        booked = sum((fill.quantity for fill in made), D(0))
        if order.status in WORKING or (made and order.booked != booked):
            raise Violation(f"invariant 6: {order.client_id} is settled as {order.status}, {order.booked} of {booked} booked")

    def restarted(self) -> None:
        """A process ended: what its mock executor held is gone."""
        self._cap.pop(VenueName.MOCK, None)
        self._equals[VenueName.MOCK].clear()

    # At the moment of a send, and after every change at a venue

    def sent(self, client_id: str) -> None:
        """Invariants 3 and 8: nothing is sent without a permit, and while HALTED nothing but a sale of a flatten."""
        world = self.world
        state = world.state
        order = state.orders.get(client_id)
        if order is None:
            raise Violation(f"invariant 1: {client_id} is sent and not in the journal")
        if state.position.stage is Stage.HALTED and order.bot != SELLER:
            raise Violation(f"invariant 8: {client_id} was sent after the latch")
        if order.bot == SELLER:
            world.reached["flatten: a sale"] += 1

    def books(self) -> None:
        """Invariants 1, 2 and 8, by what is open and held at the venues now."""
        world = self.world
        for name, venue in world.venues.items():
            if not venue.changed:
                continue
            venue.changed = False
            if len(venue.received) and max(venue.received.values()) > 1:
                raise Violation("invariant 1: one order reached the venue twice")
            cap = self._cap.get(name)
            if cap is not None and (worst := venue.worst_quote(venue.lowest_ask) / self._rate) > cap:
                raise Violation(f"invariant 2: {worst:.4f} EUR of {cap} are open or held at the {name} venue")
        if world.state.position.stage is Stage.HALTED and world.state.flatten is None:
            self._is_empty()

    def _is_empty(self) -> None:
        world = self.world
        for name, venue in world.venues.items():
            well_since = max(self._halted_at, venue.faults.healthy_from())
            mine = [intent for place, intent in world.on_the_way.values() if place is name]
            if world.now - well_since < EMPTY_WITHIN_MS or mine:
                continue
            if left := venue.open_reports():
                if world.now - max(well_since, *(report.created_at for report in left)) < EMPTY_WITHIN_MS:
                    continue
                raise Violation(f"invariant 8: HALTED, and {left[0].client_id} is open at the {name} venue")

    # At the end

    def quiet(self) -> None:
        """The venue was well for a while: the books agree, and what ended there ended here."""
        self.watchman.balances_are_the_baseline_plus_every_fill()
        world = self.world
        for name in (VenueName.TESTNET, VenueName.LIVE):
            ledger, venue = world.state.ledger(name), world.venues[name]
            if ledger.totals is None or not self._is_watched(name):
                continue
            if venue.dialect.renumbered and not ledger.clean:
                # A trade waits, unbooked, until a list shows both ids; the deadline of the reconciliation halts.
                continue
            theirs = {asset: balance.total for asset, balance in venue.account(world.now)[2].items()}
            ours = {asset: amount for asset, amount in ledger.totals.items() if amount}
            if ours != theirs:
                raise Violation(f"invariant 7: {name} holds {theirs}, and the books say {ours}")
            for report in venue.open_reports():
                order = world.state.orders.get(report.client_id)
                if order is None or (order.status not in OPEN and order.status not in IN_FLIGHT):
                    raise Violation(f"invariant 6: {report.client_id} is open at the {name} venue, and it is not counted")

    def _is_watched(self, name: VenueName) -> bool:
        state = self.world.state
        return name in {state.watched, state.venue} or bool(state.open_on(name))
