"""Compares the balances of a venue with our books at one moment, while a bot trades. ``sweeps`` calls it with each reading.

The totals of an account (free and locked) change by trades only, never by an order that is placed or cancelled. The venue computed
its balances at one moment between our question and its answer. So of each trade it is asked whether that moment has it:

- **Certainly** if it was booked before the reading began, or if a trade list shows it that was read before the balances were asked.
- **Certainly not** if its order was admitted after the balances were there.
- Otherwise it is **in flight**. The lists that were read after the balances show all of them.

Those in flight are in the balances up to a moment: of each symbol the first ones, in the order of their times. A list may cut times
to the second (mexc-spot-v3.md §6), so the order of what only a list shows is not known within a second. Each possible moment is one
**cut**. The account agrees if the totals of one cut are the venue's, in every asset. If none agrees, each cut has a **gap**: what
the venue has more than we have then. The true gap is one of them, so a difference that lasts is in those of the next reading too,
and there the trades that are in flight now are certain.

The venue's balances may also be a little older than its trades. If only that explains them, nothing is concluded, and no number
of such readings counts as agreement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import prod

from immutables import Map

from controller.core.bookings import named, trade_key
from controller.core.decisions.whose import find
from controller.core.inputs import AccountRead
from controller.core.movements import Movement, changes, may_be_cut
from controller.core.order_state import IN_FLIGHT, ZERO, OrderState
from controller.core.state import State
from exchange.model import Fill, Side

LATE_MS = 2_000
"""The balances may be this much older than what the private stream and the trade lists tell."""
MOST_CUTS = 16_384
"""Of more possible cuts nothing is concluded."""
MOST_UNORDERED = 12
"""Of more trades of one second whose order is not known, only their order in the list is tried."""
MOST_GAPS = 256

Gap = Map[str, Decimal]
"""What the venue has more than our books have, by asset; negative where it has less. Without the assets that agree."""
_Sums = set[tuple[Decimal, ...]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The account ``agrees``; or no cut does, and each has one of the ``gaps``; or neither, and the next reading tells."""

    agrees: bool = False
    gaps: tuple[Gap, ...] = ()

    @property
    def concluded(self) -> bool:
        """Whether the account agrees or differs for certain."""
        return self.agrees or bool(self.gaps)


_NOTHING = Verdict()


def compare(state: State, reading: AccountRead, unbooked: Sequence[Fill], *, quiet: bool) -> Verdict:
    """Compare the balances with our books. ``unbooked`` are trades that the lists show and that may be ours.

    ``quiet``: the balances did not change during the reading and nothing was booked meanwhile, so nothing is in flight.
    """
    ledger = state.ledger(reading.venue)
    booked = ledger.fills_booked - reading.fills_before
    late = not (quiet or reading.still)
    recent = [] if quiet else [one for one in ledger.recent if _counts(one, reading, late=late)]
    if not quiet and not 0 <= booked <= sum(one.number > reading.fills_before for one in recent):
        return _NOTHING
    waiting = [_waiting(state, fill) for fill in unbooked]
    certain = _listed_before(state, reading)
    window = [one for one in (*recent, *waiting) if not _came_after(state, one, reading)]
    in_flight = [one for one in window if one.number > reading.fills_before and one.key not in certain]
    assets = sorted({asset for one in (*recent, *waiting) for asset in one.changes})
    ours = dict(ledger.totals or {})
    theirs = {balance.asset: balance.total for balance in reading.snapshot.balances.values()}
    for one in recent:
        for asset, amount in one.changes.items():
            ours[asset] = ours.get(asset, ZERO) - amount
    gap = {asset: theirs.get(asset, ZERO) - ours.get(asset, ZERO) for asset in ours.keys() | theirs.keys() | set(assets)}
    target = tuple(gap.pop(asset) for asset in assets)
    fixed = {asset: amount for asset, amount in gap.items() if amount}
    return _judge(_Cuts.of(window, in_flight, assets, late=late), target, assets, fixed)


def lasting(gaps: Sequence[Gap], before: Sequence[Gap]) -> Gap:
    """The part of the difference that both of two readings have: a whole gap, or assets that agree in no cut of either."""
    if both := [gap for gap in gaps if gap in set(before)]:
        return both[0]
    found: Gap = Map()
    for asset in sorted({asset for gap in (*gaps, *before) for asset in gap}):
        now, then = {gap.get(asset, ZERO) for gap in gaps}, {gap.get(asset, ZERO) for gap in before}
        if ZERO not in now | then and now & then:
            found = found.set(asset, min(now & then))
    return found


def may_have_traded(state: State, reading: AccountRead, gaps: Sequence[Gap]) -> str:
    """The order without an outcome that explains a gap if it traded and no list shows it yet, as an open question; or empty."""
    assert state.policy is not None
    quote = state.policy.eur_rate.asset
    for order in state.open_on(reading.venue):
        if order.status in IN_FLIGHT and not order.executed and any(_could_make(order, gap, quote, reading) for gap in gaps):
            return f"{order.client_id} may have traded: its outcome is not known"
    return ""


def _could_make(order: OrderState, gap: Gap, quote: str, reading: AccountRead) -> bool:
    base = order.symbol.removesuffix(quote)
    if order.price is None or order.quantity is None or not set(gap) <= {base, quote}:
        return False
    sign = 1 if order.side is Side.BUY else -1
    amount, paid = sign * gap.get(base, ZERO), -sign * gap.get(quote, ZERO)
    limit, fee = order.price * amount, reading.fees.get(order.symbol, ZERO)
    return 0 < amount <= order.quantity and (paid <= limit * (1 + fee) if sign > 0 else paid >= limit * (1 - fee)) and paid > 0


def _counts(one: Movement, reading: AccountRead, *, late: bool) -> bool:
    return one.number > reading.fills_before or (late and one.booked_at >= reading.started_at - LATE_MS)


def _came_after(state: State, one: Movement, reading: AccountRead) -> bool:
    order = state.orders.get(one.client_id) if one.client_id else None
    return order is not None and reading.answered_at is not None and order.admitted_at > reading.answered_at


def _listed_before(state: State, reading: AccountRead) -> set[str]:
    """The keys of all trades in the lists that were read before the balances, under each id that the books know them by."""
    keys = set[str]()
    for fill in reading.snapshot.fills:
        order = find(state, reading.venue, fill.client_id, fill.order_id)
        bookings = order.bookings if order is not None else state.ledger(reading.venue).strangers.get(fill.order_id, ())
        known = named(bookings, fill.trade_id, listed=True)
        ids = {fill.trade_id} if known is None else {fill.trade_id, known.listed, known.streamed}
        keys |= {trade_key(fill.order_id, trade_id) for trade_id in ids}
    return keys


def _waiting(state: State, fill: Fill) -> Movement:
    """A trade that is not booked: it comes after all that are."""
    assert state.policy is not None
    changed = changes(fill, state.policy.eur_rate.asset)
    cut, key = may_be_cut(fill.at, listed=True), trade_key(fill.order_id, fill.trade_id)
    return Movement(1 << 62, key, "", fill.symbol, fill.quantity, changed, fill.at, state.at, cut)


@dataclass(frozen=True, slots=True)
class _Cuts:
    """For each symbol, what its trades can have changed by the moment of the balances.

    ``late`` is the same if the balances are older than the trades. ``complete``: every possible order of the trades is among them.
    """

    sums: list[_Sums]
    late: list[_Sums]
    complete: bool

    @classmethod
    def of(cls, window: Sequence[Movement], in_flight: Sequence[Movement], assets: Sequence[str], *, late: bool) -> _Cuts:
        """``window``: all trades that the balances may have, of which those ``in_flight`` may be missing."""
        open_keys = {id(one) for one in in_flight}
        by_symbol = defaultdict[str, list[Movement]](list)
        for one in sorted(window, key=lambda one: (one.at, one.number)):
            by_symbol[one.symbol].append(one)
        sums, older, complete = list[_Sums](), list[_Sums](), True
        for trades in by_symbol.values():
            done = _total((one for one in trades if id(one) not in open_keys), assets)
            found, all_orders = _down_sets(done, [one for one in trades if id(one) in open_keys], assets)
            sums.append(found)
            complete &= all_orders
            older.append(set(_prefixes(_total((), assets), trades, assets)) if late else set())
        return cls(sums, older, complete)


def _down_sets(done: tuple[Decimal, ...], trades: Sequence[Movement], assets: Sequence[str]) -> tuple[_Sums, bool]:
    """The totals after each number of trades that may have happened first, and whether that is every possibility."""
    found, complete = {done}, True
    for second in sorted({one.at // 1_000 for one in trades}):
        here = [one for one in trades if one.at // 1_000 == second]
        loose = [one for one in here if one.whole_second]
        if len(loose) > MOST_UNORDERED:
            complete, loose = False, []
        ordered = [one for one in here if not one.whole_second or not loose]
        subsets = {_total((), assets)}
        for one in loose:
            subsets |= {_plus(subset, one, assets) for subset in subsets}
        found |= {_added(prefix, subset) for prefix in _prefixes(done, ordered, assets) for subset in subsets}
        done = _added(done, _total(here, assets))
    return found, complete


def _prefixes(done: tuple[Decimal, ...], trades: Sequence[Movement], assets: Sequence[str]) -> Iterator[tuple[Decimal, ...]]:
    yield done
    for one in trades:
        done = _plus(done, one, assets)
        yield done


def _total(trades: Iterable[Movement], assets: Sequence[str]) -> tuple[Decimal, ...]:
    total = (ZERO,) * len(assets)
    for one in trades:
        total = _plus(total, one, assets)
    return total


def _plus(total: tuple[Decimal, ...], one: Movement, assets: Sequence[str]) -> tuple[Decimal, ...]:
    return tuple(amount + one.changes.get(asset, ZERO) for amount, asset in zip(total, assets, strict=True))


def _added(one: tuple[Decimal, ...], other: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _judge(cuts: _Cuts, target: tuple[Decimal, ...], assets: Sequence[str], fixed: dict[str, Decimal]) -> Verdict:
    if not fixed and (agrees := _reaches(cuts.sums, target)) is not False:
        return Verdict(agrees=True) if agrees else _NOTHING
    if not cuts.complete or (not fixed and _reaches(cuts.late, target) is not False):
        return _NOTHING
    either = [now | late for now, late in zip(cuts.sums, cuts.late, strict=True)]
    if prod(map(len, either)) > MOST_CUTS:
        either = _narrowed(either, target)
    if prod(map(len, either)) > MOST_CUTS:
        return _NOTHING
    gaps = {_gap(target, combination, assets, fixed) for combination in product(*either)}
    shortest = sorted(gaps, key=lambda gap: (len(gap), sorted(gap.items())))
    return Verdict(gaps=tuple(shortest[:MOST_GAPS]))


def _gap(target: tuple[Decimal, ...], sums: Sequence[tuple[Decimal, ...]], assets: Sequence[str], fixed: dict[str, Decimal]) -> Gap:
    for one in sums:
        target = tuple(wanted - amount for wanted, amount in zip(target, one, strict=True))
    return Map(fixed | {asset: amount for asset, amount in zip(assets, target, strict=True) if amount})


def _reaches(sums: Sequence[_Sums], target: tuple[Decimal, ...]) -> bool | None:
    """Whether one sum of each symbol makes the target together; ``None`` if there are too many to try."""
    if not sums:
        return not any(target)
    *others, last = _narrowed(sums, target)
    if prod(map(len, others)) > MOST_CUTS:
        return None
    for combination in product(*others):
        left = target
        for one in combination:
            left = tuple(wanted - amount for wanted, amount in zip(left, one, strict=True))
        if left in last:
            return True
    return False


def _narrowed(sums: Sequence[_Sums], target: tuple[Decimal, ...]) -> list[_Sums]:
    """Without the sums that are wrong in an asset that only their symbol changes."""
    touched = [{place for one in symbol for place, amount in enumerate(one) if amount} for symbol in sums]
    kept = list[_Sums]()
    for number, symbol in enumerate(sums):
        alone = touched[number] - set().union(*touched[:number], *touched[number + 1 :])
        kept.append({one for one in symbol if all(one[place] == target[place] for place in alone)})
    return kept
