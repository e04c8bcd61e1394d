"""DESIGN §11 after every step: a desk, a nasty venue, operators who sign anything, crashes, and hypothesis at the controls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN
from functools import cache

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller import events as e
from controller import inputs as i
from controller.commands import Command
from controller.deciding.draft import Decision
from controller.effects import Place
from controller.fold import fold
from controller.lifecycle import EDGES, Position
from controller.state import State
from exchange.errors import Refused
from exchange.model import OrderIntent, OrderStatus, OrderType, Side
from exchange.orders import WORKING
from exchange.ports import Ack, Rejected, Unknown, VenueName
from gates.registry import gate_for
from policies.authority import Verb
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.adversary import ZERO, Adversary, Truth
from tests.support.desk import RULES, SYMBOL, D, Desk

STARTS = (
    Position(Stage.MOCK),
    Position(Stage.TESTNET_VALIDATING),
    Position(Stage.VALIDATED),
    Position(Stage.LIVE_EUR10),
    Position(Stage.RAMPING, 1),
)
POSITIONS = (*STARTS, Position(Stage.RAMPING, 2), Position(Stage.HALTED))
WAYS = {(edge.source, edge.target) for edge in EDGES}
TWO_PERSONS = {
    (Verb.ADVANCE, Stage.VALIDATED),
    (Verb.RAMP, Stage.LIVE_EUR10),
    (Verb.RAMP, Stage.RAMPING),
    (Verb.RESUME, Stage.HALTED),
}
FORGERIES: tuple[dict[str, object], ...] = (
    {"controller_id": "other"},
    {"environment": "production"},
    {"account_fingerprint": "sha256:" + "9" * 64},
    {"policy_digest": "sha256:" + "9" * 64},
    {"release_digest": "sha256:" + "9" * 64},
    {"roster_digest": "sha256:" + "9" * 64},
    {"expected_step": 7},
    {"cap_eur": "999"},
    {"symbols": ["ETHUSDT"]},
    {"journal_seq": 1},
    {"expires_ms": 1},
)
index = st.integers(min_value=0, max_value=1_000)
PART = st.integers(min_value=1, max_value=4)


@cache
def walked(start: Position) -> Desk:
    desk = Desk().walk_to(start.stage, start.step)
    desk.run(3_000)
    return desk


class Deployment(RuleBasedStateMachine):
    """One deployment and everybody around it. ``lied``: the venue contradicted itself on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.lied = False
        self.placed: set[str] = set()
        self.accepted: list[str] = []
        self.signed: list[tuple[Command, tuple[str, ...]]] = []
        self.booked: dict[tuple[int, VenueName], set[str]] = {}
        self.totals: dict[VenueName, dict[str, D]] = {}  # type: ignore[valid-type]

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: Position) -> None:
        self.desk = walked(start).fork()
        self.venue = Adversary(self.desk)
        self.placed = {event.client_id for event in self.desk.events(e.OrderAdmitted) if isinstance(event, e.OrderAdmitted)}
        self.accepted = [event.command_id for event in self.desk.events(e.CommandAccepted) if isinstance(event, e.CommandAccepted)]
        for venue in VenueName:
            self.totals[venue] = dict(self.desk.state.ledger(venue).totals or {})

    def give(self, given: i.Input) -> Decision:
        before = self.desk.state
        decision = self.desk.give(given)
        self._check_orders(before, decision)
        self._check_stage(before, decision)
        self._check_books(decision)
        self.venue.carry(decision)
        self._check_truth(decision)
        return decision

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
            cap = cap_eur(self.desk.policy, before.position.stage, before.position.step)
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
            assert (old.stage, new.stage) in WAYS
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
                seen = self.booked.setdefault((self.desk.epoch if event.venue is VenueName.MOCK else 0, event.venue), set())
                assert event.trade_id not in seen, "booked twice"
                seen.add(event.trade_id)
                totals, sign = self.totals[event.venue], 1 if event.side is Side.BUY else -1
                totals["BTC"] = totals.get("BTC", ZERO) + sign * event.quantity
                totals["USDT"] = totals.get("USDT", ZERO) - sign * event.quote - event.fee

    @invariant()
    def balances_are_the_baseline_plus_every_fill(self) -> None:
        for venue, totals in self.totals.items():
            held = self.desk.state.ledger(venue).totals or {}
            assert all(held.get(asset, ZERO) == totals.get(asset, ZERO) for asset in {*held, *totals})

    # Invariant 6

    @invariant()
    def every_order_is_proven_dead_or_counted(self) -> None:
        state = self.desk.state
        for client_id, order in state.orders.items():
            assert (order.status in WORKING or order.booked < order.executed) == (client_id in state.open)
            assert (order.unknown_since is not None) == (order.status is OrderStatus.UNKNOWN)

    # Invariant 5

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            again = fold(State(), self.desk.journal)
            assert again == self.desk.state
            assert again.fingerprint() == self.desk.state.fingerprint()

    # A bot

    @rule(
        size=st.integers(min_value=1, max_value=30),
        side=st.sampled_from(Side),
        type_=st.sampled_from((OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET)),
        bps=st.integers(min_value=-120, max_value=120),
        in_quote=st.booleans(),
        bot_id=st.sampled_from(("", "", "", "a", "b")),
    )
    def bot_orders(self, size: int, side: Side, type_: OrderType, bps: int, in_quote: bool, bot_id: str) -> None:
        market = type_ is OrderType.MARKET
        price = None if market else (self.desk.price * (10_000 + bps) / 10_000).quantize(D("0.01"), rounding=ROUND_DOWN)
        quantity, quote = (None, D(size) / 2) if market and in_quote and side is Side.BUY else (D(size) / 100_000, None)
        intent = OrderIntent(SYMBOL, side, type_, bot_id, quantity, quote, price)
        self.give(i.OrderRequested("demo-bot", intent, {SYMBOL: self.desk.quote()}, {SYMBOL: RULES}))

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.orders))
    def bot_cancels(self, which: int) -> None:
        self.give(i.CancelAsked("demo-bot", self._order(which).intent.client_id))

    # The venue

    def _order(self, which: int) -> Truth:
        return list(self.venue.orders.values())[-1 - which % min(8, len(self.venue.orders))]

    @rule(which=index, accepts=st.booleans())
    @precondition(lambda self: any(order.accepted is None for order in self.venue.in_flight()))
    def venue_decides_without_saying_so(self, which: int, accepts: bool) -> None:
        undecided = [order for order in self.venue.in_flight() if order.accepted is None]
        undecided[which % len(undecided)].accepted = accepts

    @rule(which=index, times_out=st.booleans(), accepts=st.booleans())
    @precondition(lambda self: bool(self.venue.in_flight()))
    def placement_ends(self, which: int, times_out: bool, accepts: bool) -> None:
        waiting = self.venue.in_flight()
        order = waiting[which % len(waiting)]
        order.told = True
        order.accepted = accepts if order.accepted is None else order.accepted
        client_id = order.intent.client_id
        certain = Ack(f"C02__{client_id}", self.desk.now) if order.accepted else Rejected(1, "no")
        outcome = Unknown("time-out") if times_out else certain
        self.give(i.Placed(client_id, outcome))

    @rule(which=index, part=PART, late=st.booleans())
    @precondition(lambda self: bool(self.venue.resting()))
    def venue_fills(self, which: int, part: int, late: bool) -> None:
        resting = self.venue.resting()
        order = resting[which % len(resting)]
        self.venue.stale.append((order.venue, self.venue.report(order)))
        self.venue.untold.append((order.venue, self.venue.trade(order, part)))
        if not late:
            self.tell_a_trade(-1)

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.untold))
    def tell_a_trade(self, which: int) -> None:
        venue, fill = self.venue.untold.pop(which % len(self.venue.untold))
        self.venue.told.append((venue, fill))
        self.give(i.VenueReported(venue, fill))

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.told))
    def tell_a_trade_again(self, which: int) -> None:
        decision = self.give(i.VenueReported(*self.venue.told[which % len(self.venue.told)]))
        assert decision.events == ()

    @rule(which=index)
    @precondition(lambda self: any(order.accepted for order in self.venue.orders.values()))
    def report_an_order(self, which: int) -> None:
        known = [order for order in self.venue.orders.values() if order.accepted]
        order = known[which % len(known)]
        if order.venue is not VenueName.MOCK or order.intent.client_id in self.desk.state.open:
            self.give(i.VenueReported(order.venue, self.venue.report(order)))

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.stale))
    def report_an_order_as_it_was(self, which: int) -> None:
        self.give(i.VenueReported(*self.venue.stale[which % len(self.venue.stale)]))

    @rule(which=index, lags=st.booleans())
    @precondition(lambda self: bool(self.venue.orders))
    def look_an_order_up(self, which: int, lags: bool) -> None:
        truth = self._order(which)
        order = self.desk.state.orders[truth.intent.client_id]
        if truth.venue is VenueName.MOCK and order.client_id not in self.desk.state.open:
            return
        fresh = order.unknown_since is not None and self.desk.now - order.unknown_since < self.desk.policy.settle.unknown_grace_ms
        if truth.accepted and not (lags and fresh):
            self.give(i.Looked(order.client_id, self.venue.report(truth), absent_everywhere=False))
        elif order.status is OrderStatus.UNKNOWN:
            self.give(i.Looked(order.client_id, None, absent_everywhere=not truth.executed))

    @rule(which=index, lost=st.booleans())
    @precondition(lambda self: bool(self.venue.cancels))
    def cancel_arrives(self, which: int, lost: bool) -> None:
        effect = self.venue.cancels.pop(which % len(self.venue.cancels))
        if not lost:
            self.venue.cancel(effect)

    @rule(venue=st.sampled_from(VenueName))
    def sweep(self, venue: VenueName) -> None:
        self.give(self.venue.sweep(venue))

    # Time

    @rule(ms=st.sampled_from((1, 50, 400, 1_000, 3_000)))
    def time_passes(self, ms: int) -> None:
        self.desk.pass_time(ms)

    @rule(
        move=st.integers(min_value=-60, max_value=60),
        age_ms=st.sampled_from((0, 0, 0, 1_000, 3_000, 6_000)),
        quoted=st.sampled_from((True, True, True, False)),
        offset=st.sampled_from((3, 3, 3, 600)),
    )
    def tick(self, move: int, age_ms: int, quoted: bool, offset: int) -> None:
        desk = self.desk
        desk.price = (desk.price * (10_000 + move) / 10_000).quantize(D("0.01"))
        market = desk.market(age_ms=age_ms, quoted=quoted)
        self.give(i.Tick({VenueName.TESTNET: market, VenueName.LIVE: market}, dict.fromkeys(VenueName, offset), desk.now))

    @rule(seconds=st.sampled_from((3, 12)))
    def live_quietly(self, seconds: int) -> None:
        for _ in range(seconds):
            self.desk.pass_time(1_000)
            for venue in VenueName:
                self.sweep(venue)
            self.tick(0, 0, True, 3)

    # People

    @rule(
        verb=st.sampled_from(Verb),
        aim=st.sampled_from(POSITIONS),
        forged=st.sampled_from((None, None, None, *FORGERIES)),
        signers=st.lists(st.sampled_from(("alice", "bob", "carol")), min_size=1, max_size=3, unique=True),
    )
    def operators_command(self, verb: Verb, aim: Position, forged: dict[str, object] | None, signers: list[str]) -> None:
        try:
            command = self.desk.command(verb, aim)
        except Refused:
            safe = Verb.RESET if self.desk.state.position.stage is Stage.HALTED else Verb.HALT
            valid = self.desk.command(safe, Position(Stage.MOCK if safe is Verb.RESET else Stage.HALTED))
            command = valid.model_copy(update={"verb": verb, "target_stage": aim.stage, "target_step": aim.step})
            forged = forged or {}
        if forged is not None:
            command = Command.model_validate_json(json.dumps({**command.model_dump(mode="json"), **forged}))
        self.signed.append((command, tuple(signers)))
        decision = self._submit(command, tuple(signers))
        accepted = any(isinstance(event, e.CommandAccepted) for event in decision.events)
        assert not (accepted and forged is not None)

    @rule(which=index)
    @precondition(lambda self: bool(self.signed))
    def an_old_command_comes_back(self, which: int) -> None:
        command, _ = self.signed[which % len(self.signed)]
        self._submit(command, ("alice", "bob"))

    def _submit(self, command: Command, signers: tuple[str, ...]) -> Decision:
        return self.give(i.Submitted(self.desk.verified(command, *signers), anchored=True))

    @rule()
    def somebody_halts(self) -> None:
        self.give(i.HaltAsked("test", "stop"))
        assert self.desk.state.position.stage is Stage.HALTED

    # Misfortune

    @rule(accepted=st.integers(min_value=0, max_value=255), new_release=st.sampled_from((False, False, False, True)))
    def restart(self, accepted: int, new_release: bool) -> None:
        if new_release:
            digest = f"sha256:{self.desk.epoch:064x}"
            self.desk.release = replace(self.desk.release, version=str(self.desk.epoch), digest=digest)
        halted = self.desk.state.position.stage is Stage.HALTED
        given = replace(self.desk.boot_input(), epoch=self.desk.epoch + 1)
        self.desk.epoch += 1
        self.desk.trades[VenueName.MOCK] = []
        self.venue.restart(accepted)
        self.give(given)
        assert (self.desk.state.position.stage is Stage.HALTED) == halted
        assert not self.desk.state.armed
        assert not any(order.status is OrderStatus.ADMITTED for order in self.desk.state.open.values())

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.told))
    def a_foreign_trade_halts(self, which: int) -> None:
        self.lied = True
        venue, fill = self.venue.told[which % len(self.venue.told)]
        if self.desk.state.ledger(venue).totals is None:
            return
        foreign = replace(fill, trade_id=f"foreign-{len(self.desk.journal)}", client_id="", at=self.desk.now)
        self.desk.trades[venue].append(foreign)
        self.give(i.VenueReported(venue, foreign))
        assert self.desk.state.position.stage is Stage.HALTED


TestCore: Callable[[], None] = Deployment.TestCase  # type: ignore[assignment]
Deployment.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
