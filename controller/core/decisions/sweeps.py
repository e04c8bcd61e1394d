"""Reconciliation: the venue's own account against ours, exact to the last decimal, every few seconds and before arming."""

from __future__ import annotations

from decimal import Decimal

from controller.core import events as e
from controller.core.decisions import moves, venue_reports
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind, LookUp
from controller.core.inputs import Swept
from exchange.model import OrderStatus
from exchange.ports import VenueName

_AT_THE_VENUE = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


def swept(draft: Draft, given: Swept) -> None:
    """Book what the venue knows and we did not, then compare.

    The first sweep of an account is its baseline. A difference is suspected when seen once and a break when the next sweep shows
    the same; a break halts when it is on the venue in use. Nothing is ever repaired.
    """
    venue = given.venue
    before = draft.after.ledger(venue)
    if before.totals is None:
        _baseline(draft, given)
    for fill in given.snapshot.fills:
        venue_reports.filled(draft, venue, fill)
    strangers = [report for report in given.snapshot.open_orders if not venue_reports.reported(draft, venue, report, insist=True)]
    _look_up_missing(draft, given)
    differences = [f"order {order.client_id or order.order_id} is not ours" for order in strangers]
    if before.totals is not None and before.fills_booked != given.fills_before:
        # A fill was booked while the account was being read; the balances are of another moment. The next sweep compares.
        if not differences:
            return
    else:
        differences += _balance_differences(draft, given)
    _conclude(draft, given, tuple(sorted(differences)))
    arm(draft)


def arm(draft: Draft) -> None:
    """Arm once the venue in use and every venue with unsettled orders agrees with us. HALTED is reconciled all the same."""
    state = draft.after
    if state.armed or state.drill is not None:
        return
    needed = {order.venue for order in state.open.values()} | ({state.watched} if state.watched else set())
    if all(state.ledger(venue).clean for venue in needed) and all(state.ledger(venue).totals is not None for venue in needed):
        draft.emit(e.Armed())


def _baseline(draft: Draft, given: Swept) -> None:
    # Trades older than the baseline are already in its balances.
    trades = given.snapshot.fills
    draft.emit(
        e.BalancesBaselined(
            venue=given.venue,
            totals={balance.asset: balance.total for balance in given.snapshot.balances.values()},
            known_trades=tuple(fill.trade_id for fill in trades),
            # Later sweeps look back from here, and never to before what this one has seen.
            cursor=max((given.started_at, *(fill.at for fill in trades))),
        )
    )


def _look_up_missing(draft: Draft, given: Swept) -> None:
    shown = {report.client_id for report in given.snapshot.open_orders}
    for order in draft.after.open_on(given.venue):
        vanished = order.client_id not in shown and order.status in _AT_THE_VENUE
        if vanished and order.updated_at <= given.started_at:
            draft.do(LookUp(given.venue, order.symbol, order.client_id))


def _balance_differences(draft: Draft, given: Swept) -> list[str]:
    ours = dict(draft.after.ledger(given.venue).totals or {})
    theirs = {balance.asset: balance.total for balance in given.snapshot.balances.values()}
    return [
        f"{asset}: ours {ours.get(asset, Decimal(0)):f}, {given.venue} {theirs.get(asset, Decimal(0)):f}"
        for asset in sorted(ours.keys() | theirs.keys())
        if ours.get(asset, Decimal(0)) != theirs.get(asset, Decimal(0))
    ]


def _conclude(draft: Draft, given: Swept, differences: tuple[str, ...]) -> None:
    before = draft.after.ledger(given.venue)
    repeated = tuple(item for item in differences if item in before.suspected or item in before.breaks)
    draft.emit(
        e.Reconciled(
            venue=given.venue,
            clean=not differences,
            breaks=repeated,
            suspected=differences,
            open_orders=len(given.snapshot.open_orders),
        )
    )
    if repeated:
        draft.do(Alert(AlertKind.RECONCILIATION, f"{given.venue} does not reconcile", "; ".join(repeated)[:500]))
        if _in_use(draft, given.venue):
            moves.integrity(draft, f"{given.venue} does not reconcile: {'; '.join(repeated)[:300]}")


def _in_use(draft: Draft, venue: VenueName) -> bool:
    return draft.after.venue is venue
