"""Decisions about deposits and withdrawals: what the venue's history explains is booked, and is no difference. ``sweeps`` calls it.

The history is read only when the balances are other ones than ours. A difference of an asset is explained when the first of its
deposits and withdrawals since the last reading that agreed, in order of time, add up to it exactly. Each counts once, by its id.
Whatever is left over stays a difference. Where the history can be read it may be late, so the difference halts only when the last
agreement is older than ``guards.reconciliation.max_age_ms``; until then it is suspected, and a suspected account takes no order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from controller.core import events as e
from controller.core.decisions import neutral, rebaseline
from controller.core.decisions.cuts import Gap
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import AccountRead
from controller.core.state import Ledger, State
from exchange.model import CapitalMove, Millis
from policies.numbers import text

SLACK_MS = 5_000
"""A move may say that it was this long before the last reading that agreed, and yet not be in it.

The reading is older than its decision, clocks differ, and the venue cuts times to whole seconds. What is in the balances already
cannot be booked twice by this: a reading that shows a move which is not booked does not agree.
"""


def recognise(draft: Draft, reading: AccountRead, gaps: Sequence[Gap]) -> bool:
    """Book the deposits and withdrawals that explain a difference exactly, and say whether there were any.

    Each gap may be the true difference (``cuts``). Of several one has to be explained in every asset.
    """
    venue, policy = reading.venue, draft.after.policy
    ledger = draft.after.ledger(venue)
    if reading.moved is None or ledger.totals is None or policy is None:
        return False
    moves = _explaining(gaps, _unused(ledger, reading.moved.moves))
    after = dict(ledger.totals)
    for one in moves:
        after[one.asset] = after.get(one.asset, neutral.ZERO) + one.amount
    shift = neutral.shift_eur(draft.after, policy, venue, after, reading.moved.quotes, draft.now)
    if not moves or isinstance(shift, str):
        return False
    lost = neutral.taken(draft.after, venue, after)
    booked = tuple(e.MoveBooked(id=one.id, asset=one.asset, amount=one.amount, at=one.at) for one in moves)
    draft.emit(e.CapitalMoved(venue=venue, moves=booked, shift_eur=shift, taken=lost))
    gone = f"; of what gatehouse bought, {rebaseline.listed(lost)} is gone" if lost else ""
    line = "; ".join(f"{'a withdrawal' if one.amount < 0 else 'a deposit'} of {text(abs(one.amount))} {one.asset}" for one in moves)
    draft.do(Alert(AlertKind.CAPITAL, f"money came to or left {venue}", f"{line}{gone}"))
    return True


def _explaining(gaps: Sequence[Gap], unused: Sequence[CapitalMove]) -> list[CapitalMove]:
    for gap in gaps:
        by_asset = [_explains([one for one in unused if one.asset == asset], gap[asset]) for asset in sorted(gap)]
        if all(by_asset) or len(gaps) == 1:
            return [one for moves in by_asset for one in moves]
    return []


def earliest(ledger: Ledger) -> Millis:
    """From when on a move can explain a difference: the last agreement, but nothing from before the second of the baseline."""
    return Millis(max(0, ledger.agreed_at - SLACK_MS, ledger.baselined_at // 1_000 * 1_000))


def awaited(draft: Draft, reading: AccountRead) -> bool:
    """Whether the history may still explain a difference: it can be read, and our last agreement is as young as the policy asks."""
    policy, ledger = draft.after.policy, draft.after.ledger(reading.venue)
    if reading.moved is None or reading.moved.refused or policy is None:
        return False
    agreed_at = max(ledger.agreed_at, draft.after.started_at)
    return 0 <= draft.now - agreed_at <= policy.guards.reconciliation.max_age_ms


def advice(state: State, reading: AccountRead) -> str:
    """Why the history does not explain the difference, where that is known, and what a person can do."""
    history = ""
    if reading.moved is not None:
        why = reading.moved.problem
        history = (
            f"The history of deposits and withdrawals was not read: {why}" if why else "The venue's history does not explain it"
        )
    return ". ".join(filter(None, (history, rebaseline.hint(state, reading.venue))))


def _unused(ledger: Ledger, moves: Sequence[CapitalMove]) -> list[CapitalMove]:
    """The moves that can explain a difference now, oldest first. Two with one id are not told apart, so neither counts."""
    since = earliest(ledger)
    count = Counter(one.id for one in moves)
    usable = (one for one in moves if one.at >= since and one.id not in ledger.moved and count[one.id] == 1)
    return sorted(usable, key=lambda one: (one.at, one.id))


def _explains(moves: Sequence[CapitalMove], difference: Decimal) -> list[CapitalMove]:
    """The first moves that add up to the difference; none when no number of them does."""
    total = neutral.ZERO
    for number, one in enumerate(moves, 1):
        total += one.amount
        if total == difference:
            return list(moves[:number])
    return []
