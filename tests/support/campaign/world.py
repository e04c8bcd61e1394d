"""A controller and its venues in virtual time: the real writer, permits and core, a slim shell, and the channel of ``venue``.

Everything that takes time is an entry of one queue. A restart drops what belongs to the process that ended, and keeps what is on
its way to a venue. ``steps`` says what happens, ``judge`` looks at every decision and every change of a venue's books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from immutables import Map

from controller.core import event_codec
from controller.core import inputs as i
from controller.core.decide import decide
from controller.core.decisions.draft import Decision
from controller.core.effects import Cancel, CancelAll, Effect, LookUp, Place, PlaceExit, ReadAccount
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Head, Record, genesis_hash
from controller.runtime.loop.inbox import QueuedInput
from controller.runtime.loop.permit import PermitOffice
from controller.runtime.loop.writer import Writer
from controller.runtime.venues.lookups import FILLS_BACK_MS
from controller.runtime.venues.reconcile import OVERLAP_MS
from exchange.errors import GatehouseError
from exchange.matching.events import Refusal
from exchange.model import DataSource, Fill, Millis, OrderIntent, OrderReport, OrderStatus, Quote
from exchange.ports import NOT_SENT, Ack, CancelAck, CancelFailed, Permit, Rejected, Unknown, VenueName
from exchange.wire.errors import ErrorCode
from policies.values import replace as evolve
from tests.support.campaign.emptying import Emptying
from tests.support.campaign.judge import Judge, Violation
from tests.support.campaign.venue import CampaignVenue
from tests.support.desk import BOT_KEYS, D, Desk
from tests.support.desk_parts import RULES, SYMBOL

TICK_MS, SWEEP_MS = 2_000, 3_000
SEND_MS, ANSWER_MS, QUERY_MS, CANCEL_MS = 9, 21, 17, 14
TIMEOUT_MS, CUT_MS = 1_500, 200
NO_ANSWER = -2
FIRST_WAIT_MS, LONGEST_WAIT_MS = 400, 5_000
"""The waits between look-ups of one order, as ``controller.runtime.venues.lookups`` has them."""

_OFFSET_MS = 3

_BOOTS: dict[Desk, i.Boot] = {}


class Clock:
    """The campaign's time."""

    def __init__(self, now: Millis) -> None:
        self.at = now

    def now(self) -> Millis:
        return self.at

    def monotonic_ns(self) -> int:
        return self.at * 1_000_000


class Memory:
    """A journal that keeps its records as bytes."""

    def __init__(self) -> None:
        self.records: list[tuple[Record, Millis]] = []

    def append(self, records: Sequence[Record], at: Millis) -> tuple[Record, ...]:
        self.records.extend((record, at) for record in records)
        return tuple(records)

    def renew(self) -> None:
        return


class Answer:
    """What the writer answers: a decision or an error."""

    decision: Decision | None = None
    error: BaseException | None = None

    def done(self) -> bool:
        return self.decision is not None or self.error is not None

    def set_result(self, decision: Decision) -> None:
        self.decision = decision

    def set_exception(self, error: BaseException) -> None:
        self.error = error


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an order: its way (see ``World._send``), how long connecting takes, and how long lists hide it."""

    way: str = "ack"
    connect_ms: int = 0
    hidden_ms: int = 0
    late_ms: int = 0


class World(Desk):
    """One deployment of a campaign. It goes on from a desk that was walked to its stage."""

    def __init__(self, base: Desk) -> None:
        self.__dict__.update(base.__dict__)
        self.base, self.reached = base, Counter[str]()
        self.clock = Clock(base.now)
        self.journal, self.decisions = [], []
        self.snapshot, self.memory = base.state, Memory()
        self.generation = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = 0
        self.on_the_way: dict[str, tuple[VenueName, OrderIntent]] = {}
        self._sent: set[str] = set()
        self.fate, self.exit_fate = Fate(), Fate()
        self.dies_before_acting = False
        self.lied = False
        self.feed_stopped_at: Millis | None = None
        self.feed_until = self.offset_until = 0
        self.shown_price = base.price
        self.venues = {name: self._venue(name) for name in VenueName}
        self.set_clocks(_OFFSET_MS)
        self.judge = Judge(self)
        self._begin_process()

    def _venue(self, name: VenueName) -> CampaignVenue:
        opening = {"USDT": self.usdt, "BTC": self.btc}
        if name is not VenueName.MOCK or not self.generation:
            opening = {asset: one.total for asset, one in self.base.balances(name).items()}
        opening = {asset: amount for asset, amount in opening.items() if amount}
        return CampaignVenue(name, opening, self.price, self.now, self._pushed, self.reached)

    # Time

    def later(self, ms: int, act: Callable[[], None], *, process: bool = True) -> None:
        """Do something after ``ms``. What belongs to a process is dropped when that process ends."""
        generation = self.generation

        def run() -> None:
            if not process or generation == self.generation:
                act()

        self._serial += 1
        heappush(self._queue, (self.now + ms, self._serial, run))

    def pass_time(self, ms: int) -> None:
        """Let time pass, and everything happen that is due."""
        until = self.now + ms
        while self._queue and self._queue[0][0] <= until:
            at, _, act = heappop(self._queue)
            self._set_time(max(at, self.now))
            act()
            self.judge.books()
        self._set_time(until)

    def _set_time(self, at: int) -> None:
        self.now = self.clock.at = Millis(at)
        if self.feed_stopped_at is not None and at >= self.feed_until:
            self.feed_stopped_at, self.shown_price = None, self.price
        if at >= self.offset_until and self.offset_ms != _OFFSET_MS:
            self.set_clocks(_OFFSET_MS)

    def set_clocks(self, offset_ms: int) -> None:
        """Our clock is so much later than the venues'."""
        self.offset_ms = offset_ms
        for venue in self.venues.values():
            venue.skew_ms = offset_ms

    # The process

    def _begin_process(self) -> None:
        self.permits = PermitOffice(self.clock, self.epoch)
        self.writer = self._writer()
        self._looking: dict[str, tuple[int, int]] = {}
        self.emptying: dict[VenueName, Emptying] = {}
        # The process has just started or goes on from a desk, so its next tick and reading are near.
        self.later(40, self._tick_again)
        self.later(70, self._sweep_again)
        if self.state.armed:
            self.permits.renew()

    def _writer(self) -> Writer:
        return Writer(
            journal=self.memory,  # type: ignore[arg-type]
            state=self.state,
            clock=self.clock,
            permits=self.permits,
            inbox=None,  # type: ignore[arg-type]
            perform=lambda effect: None,
        )

    def knows_one_numbering(self) -> None:
        """The journal before the first step has shown that lists and stream number trades alike."""
        ledgers = {name: evolve(ledger, one_numbering=True) for name, ledger in self.state.ledgers.items()}
        self.snapshot = self.state = evolve(self.state, ledgers=Map(ledgers))
        self.writer = self._writer()

    def check_fold(self) -> State:
        """Fold the journal, as it is on disk, and compare."""
        folded = self.snapshot
        for record, at in self.memory.records:
            folded = apply(folded, event_codec.decode(record.kind, record.body), at)
        if folded != self.state:
            raise Violation("invariant 5: the fold of the journal is not the running state")
        return folded

    def restart(self, *, kept: int = 255) -> None:
        """The process ends and another one folds the journal. ``kept``: which orders that were sent still arrive, bit by bit."""
        folded = self.check_fold()
        self.reached["restart"] += 1
        if self.on_the_way:
            self.reached["restart: with an order on its way"] += 1
        for number, client_id in enumerate(sorted(self.on_the_way)):
            if client_id not in self._sent or not kept >> (number % 8) & 1:
                self.on_the_way.pop(client_id)
        self.snapshot, self.state, self.memory = folded, folded, Memory()
        self.generation += 1
        self.dies_before_acting = False
        self.on_the_way = {name: one for name, one in self.on_the_way.items() if one[0] is not VenueName.MOCK}
        self.venues[VenueName.MOCK] = self._venue(VenueName.MOCK)
        self.epoch += 1
        before = self.state
        decision = decide(before, replace(self.boot_input(), epoch=self.epoch), self.now)
        self.memory.append([Record(event.kind, event_codec.encode(event)) for event in decision.events], self.now)
        self.state = decision.after
        self.journal.extend((event, self.now) for event in decision.events)
        self.judge.restarted()
        self.judge.decided(before, decision)
        self._begin_process()
        for effect in decision.effects:
            self._perform(effect)

    def give(self, input_: i.Input) -> Decision:
        """Let the writer decide one input, judge the decision, and carry out its effects."""
        before, answer = self.state, Answer()
        queued = QueuedInput(input_, self.clock.monotonic_ns(), answer)  # type: ignore[arg-type]
        self.writer.step([queued])
        if isinstance(answer.error, GatehouseError) and answer.error.code not in {"decision-failed", "journal-failed"}:
            raise answer.error
        if answer.decision is None:
            raise Violation(f"the writer failed: {answer.error}")
        decision, self.state = answer.decision, self.writer.state
        folded = before
        for event in decision.events:
            folded = apply(folded, event, self.now)
        if folded != self.state:
            raise Violation("invariant 5: the fold of the events is not the running state")
        self.journal.extend((event, self.now) for event in decision.events)
        for effect in decision.effects:
            if isinstance(effect, Place | PlaceExit):
                self.on_the_way[effect.intent.client_id] = effect.venue, effect.intent
        self.judge.decided(before, decision)
        if self.dies_before_acting and any(isinstance(effect, Place | PlaceExit) for effect in decision.effects):
            # The decision is durable, and none of its effects were carried out.
            for effect in decision.effects:
                if isinstance(effect, Place | PlaceExit):
                    self.on_the_way.pop(effect.intent.client_id)
            self.reached["restart: between the journal and the venue"] += 1
            self.restart()
            return decision
        for effect in decision.effects:
            self._perform(effect)
        return decision

    def boot_input(self) -> i.Boot:
        """What a new process reads from disk. The documents are the same at every start."""
        if self.base not in _BOOTS:
            _BOOTS[self.base] = Desk.boot_input(self)
        return replace(_BOOTS[self.base], release=self.release)

    # Effects

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Place():
                self._place(effect.venue, effect.intent, self.permits.current(), self.fate)
            case PlaceExit():
                self._place(effect.venue, effect.intent, self.permits.exit_permit(effect.intent.client_id), self.exit_fate)
            case Cancel():
                self._cancel(effect)
            case CancelAll():
                self.empty(effect)
            case LookUp():
                self.look_up(effect)
            case ReadAccount():
                self._read(effect.venue)
            case _:
                pass

    def empty(self, effect: CancelAll) -> None:
        """Cancel everything there until the venue shows nothing; once at a time."""
        running = self.emptying.get(effect.venue)
        if running is None or running.ended:
            self.emptying[effect.venue] = Emptying(self, effect.venue)
        else:
            running.again = True

    def _place(self, name: VenueName, intent: OrderIntent, permit: Permit, fate: Fate) -> None:
        fate = Fate() if name is VenueName.MOCK else fate
        self.later(fate.connect_ms, lambda: self._send(name, intent, permit, fate))

    def _send(self, name: VenueName, intent: OrderIntent, permit: Permit, fate: Fate) -> None:
        if not permit.is_live():
            self.reached["order: the permit was gone"] += 1
            self.on_the_way.pop(intent.client_id, None)
            self.give(i.PlacementAnswered(intent.client_id, Rejected(NOT_SENT, "not sent")))
            return
        self.judge.sent(intent.client_id)
        self._sent.add(intent.client_id)
        way = "503-before" if self.venues[name].is_down(self.now) else fate.way
        self.reached[f"order: {way}"] += 1
        arrives = SEND_MS + (fate.late_ms if way == "late-arrival" else 0)
        if way in {"never", "503-before", "refused", "429", "reset"}:
            self.on_the_way.pop(intent.client_id, None)
        else:
            self.later(arrives, lambda: self._arrive(name, intent, way, fate), process=False)
        match way:
            case "never" | "lost-ack":
                self._answer_later(intent.client_id, TIMEOUT_MS, Unknown("time-out"))
            case "late-arrival":
                self._answer_later(intent.client_id, CUT_MS, Unknown("the connection was cut"))
            case "503-before" | "503-after":
                self._answer_later(intent.client_id, ANSWER_MS, Unknown("HTTP 503"))
            case "refused":
                self._answer_later(intent.client_id, ANSWER_MS, Rejected(30004, "no"))
            case "429":
                self._answer_later(intent.client_id, ANSWER_MS, Rejected(429, "too many requests"))
            case "reset":
                self._answer_later(intent.client_id, ANSWER_MS, Rejected(NOT_SENT, "the connection closed"))

    def _arrive(self, name: VenueName, intent: OrderIntent, way: str, fate: Fate) -> None:
        if self.on_the_way.pop(intent.client_id, None) is None:
            return
        outcome = self.venues[name].arrive(intent, self.now, fate.hidden_ms)
        if isinstance(outcome, Refusal):
            self.reached["order: refused by the venue"] += 1
            answer: Ack | Rejected = Rejected(outcome.code, outcome.message)
        else:
            self.reached[f"type: {intent.type}"] += 1
            self.reached["fill: at once"] += outcome.status is OrderStatus.FILLED
            self.reached["fill: in part at once"] += bool(outcome.executed and outcome.status is not OrderStatus.FILLED)
            answer = Ack(self.venues[name].dialect.order_id(outcome.order_id), self.now, outcome.price, outcome.quantity)
        if way in {"ack", "late-ack"}:
            self._answer_later(intent.client_id, ANSWER_MS if way == "ack" else 1_200, answer)

    def _answer_later(self, client_id: str, ms: int, outcome: Ack | Rejected | Unknown) -> None:
        self.later(ms, lambda: self._answered(client_id, outcome))

    def _answered(self, client_id: str, outcome: Ack | Rejected | Unknown) -> None:
        self.give(i.PlacementAnswered(client_id, outcome))

    def _cancel(self, effect: Cancel) -> None:
        venue = self.venues[effect.venue]
        faults, later = venue.faults, 0
        if venue.is_down(self.now):
            self.later(CANCEL_MS, lambda: self._cancel_answered(effect, CancelFailed(503, "down")))
            return
        if faults.cancels_lost and effect.venue is not VenueName.MOCK:
            faults.cancels_lost -= 1
            self.reached["cancel: lost"] += 1
            self.later(TIMEOUT_MS, lambda: self._cancel_answered(effect, CancelFailed(NO_ANSWER, "no answer")))
            return
        if faults.cancels_late and effect.venue is not VenueName.MOCK:
            faults.cancels_late -= 1
            self.reached["cancel: late"] += 1
            later = 700
            self.later(CANCEL_MS, lambda: self._cancel_answered(effect, CancelAck()))
        self.later(CANCEL_MS + later, lambda: self._cancel_arrives(venue, effect, answers=not later), process=False)

    def _cancel_arrives(self, venue: CampaignVenue, effect: Cancel, *, answers: bool) -> None:
        if self.venues[effect.venue] is not venue:
            return
        done = venue.cancel(effect.client_id, self.now)
        self.reached["cancel: done" if done else "cancel: the order had ended"] += 1
        outcome = CancelAck() if done else CancelFailed(ErrorCode.UNKNOWN_ORDER, "Unknown order sent.")
        if answers:
            self.later(CANCEL_MS, lambda: self._cancel_answered(effect, outcome))

    def _cancel_answered(self, effect: Cancel, outcome: CancelAck | CancelFailed) -> None:
        if isinstance(outcome, CancelFailed):
            self.look_up(LookUp(effect.venue, effect.symbol, effect.client_id))
        self.give(i.CancelAnswered(effect.client_id, outcome))

    # Queries

    def look_up(self, effect: LookUp) -> None:
        """Look one order up, unless its wait is not over."""
        due, wait = self._looking.get(effect.client_id, (0, FIRST_WAIT_MS))
        if self.now < due:
            return
        self._looking[effect.client_id] = self.now + wait, min(2 * wait, LONGEST_WAIT_MS)
        asked = self.now
        self.later(QUERY_MS, lambda: self._looked_up(effect, asked))

    def _looked_up(self, effect: LookUp, asked: Millis) -> None:
        venue, client_id = self.venues[effect.venue], effect.client_id
        if venue.is_down(self.now):
            self.reached["look-up: no answer"] += 1
            return
        since = (effect.since or self.now - FILLS_BACK_MS) - OVERLAP_MS
        reports, fills, _ = venue.account(self.now, since)
        found = next((report for report in reports if self._named(effect.venue, report) == client_id), None)
        traded: set[str] = set()
        if found is None:
            traded = self._book_listed(effect, fills)
        # What is shown without our id and with an order id that is not known may be this order: it is not absent then.
        hidden = "" in traded or any(not self._named(effect.venue, report) for report in reports)
        absent = not hidden and client_id not in traded
        found = found or venue.order(client_id, self.now)
        self.reached["look-up: found" if found else "look-up: not found"] += 1
        if found is not None:
            self._looking.pop(client_id, None)
        self.give(i.LookupAnswered(client_id, found, absent_everywhere=found is None and absent, asked_at=asked))

    def _book_listed(self, effect: LookUp, fills: Sequence[Fill]) -> set[str]:
        named = [(self._named(effect.venue, fill), fill) for fill in fills]
        for name, fill in named:
            if name == effect.client_id:
                self.give(i.VenueReported(effect.venue, fill, listed=True))
        return {name for name, _ in named}

    def _named(self, venue: VenueName, shown: OrderReport | Fill) -> str:
        return self.state.owner_of(venue, shown.order_id) or shown.client_id

    def _sweep_again(self) -> None:
        self.later(SWEEP_MS, self._sweep_again)
        state = self.state
        needed = {order.venue for order in state.open.values()} | {one for one in (state.watched, state.venue) if one}
        needed |= {name for name in VenueName if not state.ledger(name).clean}
        for name in sorted(needed):
            self._read(name)

    def _read(self, name: VenueName) -> None:
        ledger, started = self.state.ledger(name), self.now
        booked, since = ledger.fills_booked, ledger.cursor - OVERLAP_MS
        self.later(QUERY_MS, lambda: self._reads(name, started, booked, since))

    def _reads(self, name: VenueName, started: Millis, booked: int, since: int) -> None:
        venue = self.venues[name]
        if venue.is_down(self.now):
            self.reached["sweep: no answer"] += 1
            return
        snapshot = i.AccountSnapshot(*venue.account(self.now, since))
        fees = {SYMBOL: RULES.taker_fee}
        self.later(QUERY_MS, lambda: self._delivered(i.AccountRead(name, snapshot, booked, started, fees)))

    def _delivered(self, input_: i.Input) -> None:
        self.give(input_)

    def _pushed(self, name: VenueName, event: OrderReport | Fill, delay: int) -> None:
        venue = self.venues.get(name)

        def arrives() -> None:
            if self.venues[name] is venue:
                self.give(i.VenueReported(name, event))

        self.later(delay, arrives)

    # The market

    def quote(self, *, age_ms: int = 0) -> Quote:
        """What the feed shows: the market, or what it was when the feed stopped."""
        at = Millis((self.feed_stopped_at or self.now) - age_ms)
        bid, ask = CampaignVenue.best(self.shown_price)
        return Quote(SYMBOL, bid, D(1), ask, D(1), 1, at, at)

    def set_price(self, price: Any) -> None:
        """The market moves, at every venue."""
        self.price = price
        if self.feed_stopped_at is None:
            self.shown_price = price
        for venue in self.venues.values():
            venue.set_price(price, self.now)
        self.judge.books()

    def seen(self, *, age_ms: int = 0, quoted: bool = True) -> i.Tick:
        """Everything that is measured now."""
        quote = self.quote()
        market = i.Market(DataSource.RECORDED_L2, False, {SYMBOL: quote}, {SYMBOL: quote.received_at}, {SYMBOL: RULES})
        offsets = dict.fromkeys(VenueName, self.offset_ms)
        return i.Tick({VenueName.TESTNET: market, VenueName.LIVE: market}, offsets, self.heard())

    def _tick_again(self) -> None:
        self.later(TICK_MS, self._tick_again)
        self.tick()

    # A bot

    def bot_orders(self, intent: OrderIntent, fate: Fate, *, bot: str = "demo-bot", key: str = "") -> Decision:
        """A bot asks for an order; ``fate`` is what becomes of it if it is sent."""
        self.fate = fate
        venue = self.state.venue or VenueName.MOCK
        return self.give(i.OrderRequested(bot, intent, {SYMBOL: self.quote()}, {SYMBOL: RULES}, venue, key or BOT_KEYS[bot]))

    @property
    def head(self) -> Head:
        """Any head: whether a command is anchored is the shell's to say."""
        return Head(self.state.seq, genesis_hash("campaign"), 1)
