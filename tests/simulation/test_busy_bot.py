"""A bot that never pauses: ten orders a second, with trades, parts of trades and cancels, is reconciled at every reading.

Nothing waits for a moment in which nothing happens: there is none. And a difference that is real is still found.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions import cuts, sweeps
from controller.core.order_state import AT_THE_VENUE
from controller.runtime.venues.reconcile import Sweeper
from exchange.model import Fill, OrderIntent, OrderStatus
from policies.schema import UnknownOrder
from policies.stage import Stage
from tests.support.busy_venue import EVERY_S, MOCK, BusyVenue, Pace, busy_desk
from tests.support.counting import Counted
from tests.support.desk import START, D
from tests.support.proofs import proven

FAST = Pace()
FROM_50_MS_TO_2_S = Pace(query=(0.025, 1), order=(0.025, 1), stream=(0.05, 2))
PACES = {
    "fast": FAST,
    "everything takes 0.05 to 2 s": FROM_50_MS_TO_2_S,
    "the stream is 2 s late": Pace(stream=(1.5, 2)),
    "every answer takes 2 s": Pace(query=(1, 1), order=(1, 1), stream=(1.5, 2)),
    "lists with our ids and milliseconds": Pace(whole_seconds=False, nameless=False),
}
SHORT = ["fast", "everything takes 0.05 to 2 s"]
SECONDS = 120
WITHIN = 2
"""Of the readings that began after a difference, this one at the latest makes it a break."""


@pytest.mark.parametrize("pace", proven(PACES, short=SHORT))
def test_a_bot_that_never_pauses_is_reconciled_at_every_reading(pace: Pace, counted: Counted) -> None:
    busy = BusyVenue(3, pace)
    busy.run(SECONDS)
    assert busy.admitted == busy.asked == 10 * SECONDS, "the bot paused"
    assert len(busy.trades) > 8 * SECONDS
    assert not [reading for reading, _ in busy.compared if reading.still], "the account stood still"
    assert all(found is not None and found.clean for _, found in busy.compared), [found for _, found in busy.compared]
    # A reading is five answers of at most `longest` each, and the next one begins EVERY_S later.
    longest = 2 * pace.query[1] * 1_000
    agreed = [START, *(at for event, at in busy.desk.journal if isinstance(event, e.Reconciled) and event.venue is busy.name)]
    assert max(later - one for one, later in pairwise(agreed)) <= 5 * longest + EVERY_S * 1_000 + 5
    counted("busy readings", len(busy.compared))


def breaks(busy: BusyVenue, seconds: float, change: dict[str, Decimal]) -> list[tuple[str, ...]]:
    """The breaks of each reading that began after ``change`` in the venue's balances."""
    begun = []

    def happens() -> None:
        begun.append(busy.clock.now())
        for asset, amount in change.items():
            busy.totals[asset] = busy.totals.get(asset, D(0)) + amount

    busy.run(seconds, then=happens, at_s=12)
    return [found.breaks if found else () for reading, found in busy.compared if reading.started_at >= begun[0]]


@pytest.mark.parametrize("pace", proven(PACES, short=SHORT))
@pytest.mark.parametrize(("asset", "amount"), [("USDT", "-1"), ("BTC", "0.000001"), ("MX", "1")])
def test_a_difference_is_found_while_the_bot_is_busy(pace: Pace, asset: str, amount: str) -> None:
    busy = BusyVenue(4, pace)
    found = breaks(busy, 48, {asset: D(amount)})
    first = next(number for number, items in enumerate(found, start=1) if items)
    assert first <= WITHIN
    assert [item.split(":")[0] for item in found[first - 1]] == [asset]
    assert busy.desk.state.position.stage is Stage.HALTED


def test_a_trade_that_the_venue_never_tells_is_found() -> None:
    swallowed: list[Fill] = []

    def swallow(fill: Fill) -> bool:
        """Tell of every trade but the first one after ten seconds."""
        if swallowed or fill.at < START + 10_000:
            return True
        swallowed.append(fill)
        return False

    busy = BusyVenue(5, FAST, on_trade=swallow)
    busy.run(25)
    (fill,) = swallowed
    late = [found for reading, found in busy.compared if reading.started_at >= fill.at]
    assert any(found is not None and found.breaks for found in late[:WITHIN])
    assert busy.desk.state.position.stage is Stage.HALTED


LOST_PACES = {name: pace for name, pace in PACES.items() if name != "every answer takes 2 s"}


@pytest.mark.parametrize("pace", proven(LOST_PACES, short=SHORT))
def test_a_lost_order_of_a_bot_that_never_pauses_is_proven_absent(pace: Pace) -> None:
    lost: list[str] = []

    def lose(intent: OrderIntent) -> bool:
        """Lose the first order after five seconds."""
        if lost or busy.clock.now() < START + 5_000:
            return False
        lost.append(intent.client_id)
        return True

    busy = BusyVenue(6, pace, busy_desk(UnknownOrder(max_age_ms=60_000)), loses=lose)
    busy.run(80, ticks=True)
    assert busy.desk.state.position.stage is Stage.MOCK, busy.desk.state.halt_reason
    assert busy.desk.state.orders[lost[0]].status is OrderStatus.REJECTED
    assert busy.admitted > busy.asked * 2 / 3


class Quoting(BusyVenue):
    """A bot whose orders never trade: it takes each back after two seconds, so a settled order of it is in no list."""

    def trade(self, order: object) -> None:
        """Nobody takes a price of this bot."""

    def _market(self, number: int) -> None:
        old = self.clock.now() - 2_000
        for order in self.desk.state.open_on(MOCK):
            if order.status in AT_THE_VENUE and not order.cancel_requested and order.admitted_at <= old:
                self._give(i.CancelAsked("demo-bot", order.client_id))


def test_a_lost_order_of_a_bot_that_only_quotes_is_proven_absent() -> None:
    lost: list[str] = []

    def lose(intent: OrderIntent) -> bool:
        """Lose the first order after five seconds."""
        if lost or busy.clock.now() < START + 5_000:
            return False
        lost.append(intent.client_id)
        return True

    busy = Quoting(1, Pace(orders_a_second=5), busy_desk(UnknownOrder(max_age_ms=30_000)), loses=lose)
    busy.run(50, ticks=True)
    assert busy.desk.state.position.stage is Stage.MOCK, busy.desk.state.halt_reason
    assert busy.desk.state.orders[lost[0]].status is OrderStatus.REJECTED
    assert busy.admitted > busy.asked * 3 / 4


# The same story with a broken product: each of these has to be noticed.


def is_reconciled() -> bool:
    busy = BusyVenue(3, FROM_50_MS_TO_2_S)
    busy.run(25)
    return len(busy.compared) > 1 and all(found is not None and found.clean for _, found in busy.compared)


def test_the_story_holds_as_it_is() -> None:
    assert is_reconciled()


@pytest.mark.parametrize(
    ("module", "broken", "instead"),
    [
        (cuts, "_listed_before", lambda _state, reading: {f"{one.order_id} {one.trade_id}" for one in reading.later}),
        (cuts, "_prefixes", lambda done, _trades, _assets: iter((done,))),
        (cuts, "_came_after", lambda _state, _one, _reading: True),
        (sweeps, "_pending", lambda _draft, _venue, _before, _questions: set()),
    ],
)
def test_a_broken_cut_does_not_reconcile_a_busy_bot(
    monkeypatch: pytest.MonkeyPatch, module: object, broken: str, instead: object
) -> None:
    monkeypatch.setattr(module, broken, instead)
    assert not is_reconciled()


def test_without_the_trades_after_the_balances_it_is_not_reconciled(monkeypatch: pytest.MonkeyPatch) -> None:
    fills = Sweeper._fills

    async def only_old(self: Sweeper, since: int) -> list[Fill]:
        old = since < self._clock.now() - 50_000
        return await fills(self, since) if old else []  # type: ignore[arg-type]

    monkeypatch.setattr(Sweeper, "_fills", only_old)
    busy = BusyVenue(3, Pace(stream=(1.5, 2)), desk=busy_desk())
    busy.run(60)
    assert not all(found is not None and found.clean for _, found in busy.compared)


def test_without_a_memory_of_gaps_a_difference_is_no_break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "lasting", lambda _gaps, _before: cuts.Map())
    assert not any(breaks(BusyVenue(4, FROM_50_MS_TO_2_S), 24, {"USDT": D(-1)})[:WITHIN])
