"""A venue for a ``Desk`` that loses answers, freezes its private stream, and answers queries with a state of some time ago.

Its own books are right. It keeps a picture of them for every moment, and each reading shows one of those pictures; only that the
order lists may leave out a new order for longer than the balances and the trades do, as the testnet's ``not-found-lag`` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.core import inputs as i
from controller.core.effects import Cancel, CancelAll, Place
from exchange.model import Balance, Fill, Millis, OrderReport, OrderStatus
from exchange.ports import Ack, Rejected, Unknown, VenueName
from tests.support.adversary import Adversary, Truth
from tests.support.desk import RULES, SYMBOL, Desk

LIVE = VenueName.LIVE
REQUEST_LIVES_MS = 5_000
"""How long after it was sent an order may still arrive: the window that its timestamp allows."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What the venue's books held from ``at`` on."""

    at: Millis
    orders: dict[str, OrderReport]
    trades: tuple[Fill, ...]
    balances: dict[str, Balance]

    @property
    def open(self) -> tuple[OrderReport, ...]:
        return tuple(report for report in self.orders.values() if report.status in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@dataclass
class LyingVenue:
    """The live venue of one desk. ``order_lag`` and ``account_lag`` say how old its answers are, in milliseconds."""

    desk: Desk
    order_lag: int = 0
    account_lag: int = 0
    frozen: bool = False
    books: Adversary = field(init=False)
    pictures: list[Picture] = field(default_factory=list)
    arriving: list[tuple[Millis, Truth]] = field(default_factory=list)
    hidden_until: dict[str, Millis] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.books = Adversary(self.desk)
        self._changed()

    def give(self, input_: i.Input) -> None:
        decision = self.desk.give(input_)
        for effect in decision.effects:
            if isinstance(effect, Cancel | CancelAll) and effect.venue is LIVE:
                self.books.cancel(effect)
                self._changed()

    def place(self, effect: Place, ending: str, late_ms: int, hidden_ms: int = 0) -> None:
        """The desk sent an order. ``ending``: what becomes of it, and whether the desk hears of it."""
        self.hidden_until[effect.intent.client_id] = Millis(self.desk.now + hidden_ms)
        assert effect.intent.quantity is not None
        truth = self.books.orders[effect.intent.client_id] = Truth(LIVE, effect.intent, effect.intent.quantity)
        truth.answered = True
        match ending:
            case "late":
                self.arriving.append((Millis(self.desk.now + late_ms), truth))
            case "lost" | "acknowledged":
                self._accept(truth)
            case _:
                truth.accepted = False
        client_id = effect.intent.client_id
        if ending == "acknowledged":
            self.give(i.PlacementAnswered(client_id, Ack(f"C02__{client_id}", self.desk.now)))
        elif ending == "refused":
            self.give(i.PlacementAnswered(client_id, Rejected(30004, "no")))
        else:
            self.give(i.PlacementAnswered(client_id, Unknown("time-out")))

    def pass_time(self, ms: int) -> None:
        """Let time pass, and what is on its way arrive."""
        until = self.desk.now + ms
        for at, truth in sorted(self.arriving, key=lambda item: item[0]):
            if at <= until:
                self.arriving.remove((at, truth))
                self.desk.now = Millis(max(self.desk.now, at))
                self._accept(truth)
        self.desk.now = Millis(until)

    def fill(self, truth: Truth, part: int) -> None:
        fill = self.books.trade(truth, part)
        self._changed()
        self.push(fill, self.books.report(truth))

    def cancel(self, client_id: str) -> None:
        """The bot cancels; the venue does it at once, and the answer proves nothing."""
        self.give(i.CancelAsked("demo-bot", client_id))
        self.push(self.books.report(self.books.orders[client_id]))

    def push(self, *events: OrderReport | Fill) -> None:
        """What the private stream sends, unless it is frozen: then it is lost, and no gap says so."""
        for event in events if not self.frozen else ():
            self.give(i.VenueReported(LIVE, event))

    def look_up(self) -> None:
        """Answer a look-up of every order whose outcome is not known."""
        single, lists = self._picture(self.order_lag), self._picture(self.account_lag)
        for order in self.desk.state.open_on(LIVE):
            if order.status is not OrderStatus.UNKNOWN:
                continue
            shown = {report.client_id for report in self._shown(lists.open)} | {fill.client_id for fill in lists.trades}
            report = next(iter(self._shown([one for one in single.orders.values() if one.client_id == order.client_id])), None)
            absent = report is None and order.client_id not in shown
            self.give(i.LookupAnswered(order.client_id, report, absent_everywhere=absent, asked_at=self.desk.now))

    def sweep(self) -> None:
        """Answer a reading of the account."""
        picture = self._picture(self.account_lag)
        snapshot = i.AccountSnapshot(self._shown(picture.open), picture.trades, picture.balances)
        booked = self.desk.state.ledger(LIVE).fills_booked
        self.give(i.AccountRead(LIVE, snapshot, booked, self.desk.now, fees={SYMBOL: RULES.taker_fee}))

    def is_alive(self, client_id: str) -> bool:
        """Whether the order is, or may yet be, in the venue's books, or has traded there."""
        truth = self.books.orders[client_id]
        return truth.accepted is not False and (not truth.dead or truth.executed > 0)

    def _shown(self, reports: Iterable[OrderReport]) -> tuple[OrderReport, ...]:
        return tuple(report for report in reports if self.hidden_until[report.client_id] <= self.desk.now)

    def _accept(self, truth: Truth) -> None:
        truth.accepted = True
        self._changed()
        self.push(self.books.report(truth))

    def _changed(self) -> None:
        orders = {name: self.books.report(order) for name, order in self.books.orders.items() if order.accepted}
        self.pictures.append(Picture(self.desk.now, orders, tuple(self.desk.trades[LIVE]), self.books.balances(LIVE)))

    def _picture(self, lag: int) -> Picture:
        seen = [picture for picture in self.pictures if picture.at <= self.desk.now - lag]
        return seen[-1] if seen else self.pictures[0]
