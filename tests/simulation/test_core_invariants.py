"""architecture.md §11 after every step: a desk, a nasty venue, operators who sign anything, crashes; hypothesis chooses steps."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import ROUND_DOWN
from functools import cache

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from controller.authority.command import Command
from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Decision
from controller.core.decisions.evidence import gated_moves
from controller.core.decisions.whose import may_trade
from controller.core.lifecycle import EDGES, Position
from controller.core.state import State
from exchange.errors import Refused
from exchange.model import Fill, Millis, OrderIntent, OrderStatus, OrderType, Side
from exchange.orders import WORKING
from exchange.ports import Ack, Rejected, Unknown, VenueName
from policies.authority import Verb
from policies.stage import Stage
from tests.support.adversary import Adversary, Truth
from tests.support.desk import BOT_KEYS, RULES, SYMBOL, D, Desk
from tests.support.folding import fold
from tests.support.proofs import sizes
from tests.support.watchman import Watchman

STARTS = (
    Position(Stage.MOCK),
    Position(Stage.TESTNET_VALIDATING),
    Position(Stage.VALIDATED),
    Position(Stage.LIVE_EUR10),
    Position(Stage.RAMPING, 1),
)
POSITIONS = (*STARTS, Position(Stage.RAMPING, 2), Position(Stage.HALTED))
MOVING = tuple(verb for verb in Verb if verb in {edge.verb for edge in EDGES})
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
LATE = "accepted, filled late"
ENDS = st.sampled_from(("", "accepted", "accepted", LATE, LATE, "unknown, accepted", "unknown, lost", "refused"))
SELDOM = st.integers(min_value=0, max_value=11).map(lambda drawn: drawn == 7)
PART = st.integers(min_value=1, max_value=4)


@cache
def walked(start: Position) -> Desk:
    """A deployment that stands there and may go on."""
    desk = Desk().walk_to(start.stage, start.step)
    desk.trade(6)
    desk.run(40_000)
    return desk


class Deployment(RuleBasedStateMachine):
    """One deployment with its bot, its operators and its venues."""

    def __init__(self) -> None:
        super().__init__()
        self.signed: list[tuple[Command, tuple[str, ...]]] = []

    @initialize(start=st.sampled_from(STARTS))
    def begin(self, start: Position) -> None:
        self.desk = walked(start).fork()
        self.venue = Adversary(self.desk)
        self.watchman = Watchman(self.venue)

    def give(self, input_: i.Input) -> Decision:
        before = self.desk.state
        decision = self.desk.give(input_)
        self.venue.apply_effects(decision)
        self.watchman.check(before, decision)
        return decision

    # Invariants 5, 6, 7

    @invariant()
    def balances_are_the_baseline_plus_every_fill(self) -> None:
        self.watchman.balances_are_the_baseline_plus_every_fill()

    @invariant()
    def every_order_is_proven_dead_or_counted(self) -> None:
        state = self.desk.state
        for client_id, order in state.orders.items():
            assert (order.status in WORKING or order.booked < order.executed) == (client_id in state.open)
            assert (order.unknown_since is not None) == (order.status is OrderStatus.UNKNOWN)

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            again = fold(State(), self.desk.journal)
            assert again == self.desk.state
            assert again.fingerprint() == self.desk.state.fingerprint()

    # A bot

    @rule(size=st.integers(min_value=2, max_value=9), bps=st.integers(min_value=-90, max_value=90), ends=ENDS)
    def bot_buys(self, size: int, bps: int, ends: str) -> None:
        self._order_of_the_bot(Side.BUY, size, bps, ends)

    @rule(size=st.integers(min_value=2, max_value=9), bps=st.integers(min_value=-90, max_value=90), ends=ENDS)
    @precondition(lambda self: bool(self.desk.state.venue and self.venue.base(self.desk.state.venue)))
    def bot_sells(self, size: int, bps: int, ends: str) -> None:
        self._order_of_the_bot(Side.SELL, size, bps, ends)

    @rule(
        size=st.integers(min_value=1, max_value=40),
        side=st.sampled_from(Side),
        bps=st.none() | st.integers(min_value=-120, max_value=120),
        in_quote=st.booleans(),
        bot_id=st.sampled_from(("", "a", "b")),
        ends=ENDS,
    )
    def bot_tries_anything(self, size: int, side: Side, bps: int | None, in_quote: bool, bot_id: str, ends: str) -> None:
        self._order_of_the_bot(side, size, bps, ends, in_quote=in_quote, bot_id=bot_id)

    def _order_of_the_bot(
        self, side: Side, size: int, bps: int | None, ends: str, *, in_quote: bool = False, bot_id: str = ""
    ) -> None:
        price = None if bps is None else (self.desk.price * (10_000 + bps) / 10_000).quantize(D("0.01"), rounding=ROUND_DOWN)
        quantity, quote = (None, D(size) / 2) if price is None and in_quote and side is Side.BUY else (D(size) / 100_000, None)
        type_ = OrderType.MARKET if price is None else OrderType.LIMIT
        intent = OrderIntent(SYMBOL, side, type_, bot_id, quantity, quote, price)
        decision = self.give(
            i.OrderRequested(
                "demo-bot",
                intent,
                {SYMBOL: self.desk.quote()},
                {SYMBOL: RULES},
                self.desk.state.venue or VenueName.MOCK,
                BOT_KEYS["demo-bot"],
            )
        )
        if not decision.effects or not ends:
            return
        self.placement_ends(-1, "unknown" in ends, "accepted" in ends)
        if "filled late" in ends:
            order = self._order(0)
            self.venue.unreported.append((order.venue, self.venue.trade(order, 4)))
            self.give(i.VenueReported(order.venue, self.venue.report(order)))

    @rule(sizes=st.lists(st.integers(min_value=7, max_value=9), min_size=3, max_size=5), ends=ENDS)
    def bot_buys_at_the_market_until_it_is_stopped(self, sizes: list[int], ends: str) -> None:
        """Send so many orders at once that together they exceed every cap."""
        self.live_quietly(1)
        for size in sizes:
            self.desk.pass_time(60)
            self._order_of_the_bot(Side.BUY, size, 0, ends)

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
        order.answered = True
        order.accepted = accepts if order.accepted is None else order.accepted
        client_id = order.intent.client_id
        certain = Ack(f"C02__{client_id}", self.desk.now) if order.accepted else Rejected(1, "no")
        outcome = Unknown("time-out") if times_out else certain
        self.give(i.PlacementAnswered(client_id, outcome))

    @rule(which=index, part=PART, late=st.booleans())
    @precondition(lambda self: bool(self.venue.resting()))
    def venue_fills(self, which: int, part: int, late: bool) -> None:
        resting = self.venue.resting()
        order = resting[which % len(resting)]
        self.venue.stale.append((order.venue, self.venue.report(order)))
        self.venue.unreported.append((order.venue, self.venue.trade(order, part)))
        if not late:
            self.tell_a_trade(-1)

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.unreported))
    def tell_a_trade(self, which: int) -> None:
        venue, fill = self.venue.unreported.pop(which % len(self.venue.unreported))
        self.venue.reported.append((venue, fill))
        self.give(i.VenueReported(venue, fill))

    @rule(which=index)
    @precondition(lambda self: bool(self.venue.reported))
    def tell_a_trade_again(self, which: int) -> None:
        decision = self.give(i.VenueReported(*self.venue.reported[which % len(self.venue.reported)]))
        assert decision.events == ()

    @rule(which=index)
    @precondition(lambda self: any(order.accepted for order in self.venue.orders.values()))
    def report_an_order(self, which: int) -> None:
        accepted = [order for order in self.venue.orders.values() if order.accepted]
        order = accepted[which % len(accepted)]
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
        # Queries may lag for as long as they like: only the account's own agreement releases an order.
        if truth.accepted and not lags:
            self.give(i.LookupAnswered(order.client_id, self.venue.report(truth), absent_everywhere=False))
        elif order.status is OrderStatus.UNKNOWN:
            self.give(i.LookupAnswered(order.client_id, None, absent_everywhere=not truth.executed, asked_at=self.desk.now))

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
        self.give(i.Tick({VenueName.TESTNET: market, VenueName.LIVE: market}, dict.fromkeys(VenueName, offset), desk.heard()))

    @rule(seconds=st.sampled_from((3, 6)))
    def live_quietly(self, seconds: int) -> None:
        for _ in range(seconds):
            self.desk.pass_time(1_000)
            for venue in VenueName:
                self.sweep(venue)
            self.tick(0, 0, True, 3)

    # People

    @rule(
        verb=st.sampled_from(MOVING),
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

    @rule(which=index, signers=st.sampled_from((("alice", "bob"), ("alice", "bob"), ("bob",))))
    def operators_go_on(self, which: int, signers: tuple[str, ...]) -> None:
        """Live through enough quiet time for a gate, then ask for what it guards."""
        ways = gated_moves(self.desk.state)
        if not ways:
            return
        self.live_quietly(3)
        verb, aim, _ = ways[which % len(ways)]
        if self.desk.state.position.stage is not Stage.HALTED or verb is Verb.RESUME:
            self.operators_command(verb, aim, None, list(signers))

    @rule(which=index)
    @precondition(lambda self: bool(self.signed))
    def an_old_command_comes_back(self, which: int) -> None:
        command, _ = self.signed[which % len(self.signed)]
        self._submit(command, ("alice", "bob"))

    def _submit(self, command: Command, signers: tuple[str, ...]) -> Decision:
        return self.give(i.CommandSubmitted(self.desk.verified(command, *signers), anchored=True, seen=self.desk.seen()))

    @rule(really=SELDOM)
    def somebody_halts(self, really: bool) -> None:
        if not really:
            return
        self.give(i.HaltAsked("test", "stop"))
        assert self.desk.state.position.stage is Stage.HALTED

    # Misfortune

    @rule(accepted=st.integers(min_value=0, max_value=255), really=st.booleans(), new_release=SELDOM, waits=st.booleans())
    def restart(self, accepted: int, really: bool, new_release: bool, waits: bool) -> None:
        if not really:
            return
        if new_release:
            digest = f"sha256:{self.desk.epoch:064x}"
            self.desk.release = replace(self.desk.release, version=str(self.desk.epoch), digest=digest)
        halted = self.desk.state.position.stage is Stage.HALTED or self.desk.state.drill is not None
        start = replace(self.desk.boot_input(), epoch=self.desk.epoch + 1)
        self.desk.epoch += 1
        self.desk.trades[VenueName.MOCK] = []
        self.venue.restart(accepted)
        self.give(start)
        assert (self.desk.state.position.stage is Stage.HALTED) == halted
        assert not self.desk.state.armed
        assert not any(order.status is OrderStatus.ADMITTED for order in self.desk.state.open.values())
        if not waits:
            self.live_quietly(3)

    @rule(which=index, really=SELDOM)
    @precondition(lambda self: bool(self.venue.reported))
    def a_foreign_trade_halts(self, which: int, really: bool) -> None:
        """It halts at once, unless an order whose answer is not known may have made it: then once the venue has told."""
        reported = self.foreign_trade(which, really)
        if reported is None:
            return
        venue, fill = reported
        if any(may_trade(order, fill) for order in self.desk.state.open_on(venue)):
            self.venue_tells_of_every_order(venue)
        assert self.desk.state.position.stage is Stage.HALTED

    def foreign_trade(self, which: int, really: bool) -> tuple[VenueName, Fill] | None:
        """Report a trade that is not ours, and return it if the account is bound."""
        venue, fill = self.venue.reported[which % len(self.venue.reported)]
        if not really or self.desk.state.ledger(venue).totals is None:
            return None
        self.watchman.lied = True
        foreign = replace(fill, trade_id=f"foreign-{len(self.desk.journal)}", order_id="foreign", client_id="", at=self.desk.now)
        self.desk.trades[venue].append(foreign)
        self.give(i.VenueReported(venue, foreign))
        return venue, foreign

    def venue_tells_of_every_order(self, venue: VenueName) -> None:
        """Answer every placement, and look unknown orders up until the deployment halts, for a minute at most."""
        while self.venue.in_flight():
            self.placement_ends(-1, False, True)
        for _ in range(20):
            if self.desk.state.position.stage is Stage.HALTED:
                return
            for order in self.desk.state.open_on(venue):
                if order.status is OrderStatus.UNKNOWN:
                    self.look_up(self.venue.orders[order.client_id])
            self.live_quietly(3)

    def look_up(self, truth: Truth) -> None:
        """Tell what the venue knows of an order, if it knows it."""
        report = self.venue.report(truth) if truth.accepted else None
        answer = i.LookupAnswered(truth.intent.client_id, report, absent_everywhere=report is None, asked_at=Millis(self.desk.now))
        self.give(answer)


def played(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """So many walks of so many steps."""
    size = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=size)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("examples", sizes(short=6, long=60))
def test_one_deployment_and_a_nasty_venue(examples: int) -> None:
    played(Deployment, examples=examples, steps=60)
