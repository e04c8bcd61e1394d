"""Decisions about reconciliation: compare the venue's account with ours, exactly, every few seconds and before arming.

``controller.core.decide`` calls it with each reading of an account; ``ticks`` calls it to arm.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from decimal import Decimal

from controller.core import events as e
from controller.core.bookings import trade_key
from controller.core.decisions import absence, moves, trades, transfers, venue_reports
from controller.core.decisions.draft import Draft
from controller.core.decisions.whose import find, may_be_ours
from controller.core.effects import Alert, AlertKind, LookUp
from controller.core.inputs import AccountRead
from controller.core.order_state import AT_THE_VENUE
from exchange.model import ListedOrder, OrderReport
from exchange.ports import VenueName


def account_read(draft: Draft, reading: AccountRead) -> None:
    """Book the fills and reports that are new, then compare the account with ours.

    The first reading of an account is its baseline. A difference in one reading is suspected; the same difference in the next
    reading is a break, and so is a foreign order in any reading of an armed deployment. A break on the venue in use halts the
    deployment. Balances are never corrected. A reading without a difference may prove that UNKNOWN orders were never placed.

    What may be of an order of ours whose id at the venue is not known yet is neither ours nor foreign: the reading concludes
    nothing until the look-up tells, or the deadline of an UNKNOWN order halts the deployment.
    """
    venue = reading.venue
    before = draft.after.ledger(venue)
    if before.totals is None:
        _baseline(draft, reading)
    # What the orders executed judges whether a trade is a new one, so their reports come first.
    unknown = _not_known(draft, venue, reading.snapshot.open_orders)
    fills = trades.by_certainty(draft, venue, reading.snapshot.fills)
    shown = {trade_key(fill.order_id, fill.trade_id) for fill in fills}
    undecided = {trades.fill_reported(draft, venue, fill, listed=True, shown=shown) for fill in fills} - {""}
    # A trade may name both ids of an order that the list of orders shows without ours.
    unknown = _not_known(draft, venue, unknown)
    _look_up_missing(draft, reading)
    waiting = may_be_ours(draft.after, venue, unknown)
    foreign = [report for report in unknown if report not in waiting]
    certain = {_not_ours(report) for report in foreign if draft.after.armed and draft.after.venue is venue}
    open_questions = {f"{venue_reports.described(report)} may be ours" for report in waiting} | undecided
    differences = [_not_ours(report) for report in foreign]
    # If a fill was booked while the account was read, its balances are of another moment. The next sweep compares them.
    compared = before.totals is None or before.fills_booked == reading.fills_before
    if compared and not open_questions:
        transfers.recognise(draft, reading)
        differences += [*_balance_differences(draft, reading), *_execution_differences(draft, reading)]
    elif not differences and not open_questions:
        return
    _conclude(draft, reading, tuple(sorted(differences)), certain, tuple(sorted(open_questions)))
    if compared and not differences and not open_questions:
        absence.release_absent(draft, reading)
    arm_when_reconciled(draft)


def _not_known(draft: Draft, venue: VenueName, reports: Sequence[ListedOrder]) -> list[ListedOrder]:
    """Take in the reports of orders that are known by either id, and return the others."""
    return [report for report in reports if not venue_reports.order_reported(draft, venue, report, retry_cancel=True)]


def arm_when_reconciled(draft: Draft) -> None:
    """Arm when the venue in use and every venue with unsettled orders are reconciled. A HALTED deployment is reconciled too."""
    state = draft.after
    if state.armed or (state.drill is not None and state.drill.latched):
        return
    needed = {order.venue for order in state.open.values()} | ({state.watched} if state.watched else set())
    if all(state.ledger(venue).clean for venue in needed) and all(state.ledger(venue).totals is not None for venue in needed):
        draft.emit(e.Armed())


def _baseline(draft: Draft, reading: AccountRead) -> None:
    # The balances of the baseline include the trades before it.
    before = reading.snapshot.fills
    draft.emit(
        e.BalancesBaselined(
            venue=reading.venue,
            totals={balance.asset: balance.total for balance in reading.snapshot.balances.values()},
            known_trades=tuple(trade_key(fill.order_id, fill.trade_id) for fill in before),
            # Later sweeps read trades from this time on, never from before this reading.
            cursor=max((reading.started_at, *(fill.at for fill in before))),
        )
    )


def _look_up_missing(draft: Draft, reading: AccountRead) -> None:
    reports = reading.snapshot.open_orders
    listed = [find(draft.after, reading.venue, report.client_id, report.order_id) for report in reports]
    shown = {order.client_id for order in listed if order is not None}
    for order in draft.after.open_on(reading.venue):
        vanished = order.client_id not in shown and order.status in AT_THE_VENUE
        if vanished and order.updated_at <= reading.started_at:
            draft.do(LookUp(reading.venue, order.symbol, order.client_id, order.admitted_at))


def _balance_differences(draft: Draft, reading: AccountRead) -> list[str]:
    our_totals = dict(draft.after.ledger(reading.venue).totals or {})
    venue_totals = {balance.asset: balance.total for balance in reading.snapshot.balances.values()}
    return [
        f"{asset}: ours {our_totals.get(asset, Decimal(0)):f}, {reading.venue} {venue_totals.get(asset, Decimal(0)):f}"
        for asset in sorted(our_totals.keys() | venue_totals.keys())
        if our_totals.get(asset, Decimal(0)) != venue_totals.get(asset, Decimal(0))
    ]


def _execution_differences(draft: Draft, reading: AccountRead) -> list[str]:
    """Open orders of which more is booked than they executed by the venue's own report: a trade was booked twice."""
    differences = []
    for report in reading.snapshot.open_orders:
        order = find(draft.after, reading.venue, report.client_id, report.order_id)
        if order is not None and isinstance(report, OrderReport) and order.booked > report.executed:
            differences.append(f"{order.client_id}: booked {order.booked:f}, executed {report.executed:f} on {reading.venue}")
    return differences


def _not_ours(report: ListedOrder) -> str:
    return f"{venue_reports.described(report)} is not ours: {venue_reports.outside(report)}"


def _conclude(
    draft: Draft, reading: AccountRead, differences: tuple[str, ...], certain: Set[str], open_questions: tuple[str, ...]
) -> None:
    before = draft.after.ledger(reading.venue)
    breaks = tuple(item for item in differences if item in certain or item in before.suspected or item in before.breaks)
    draft.emit(
        e.Reconciled(
            venue=reading.venue,
            clean=not differences and not open_questions,
            breaks=breaks,
            suspected=(*differences, *open_questions),
            open_orders=len(reading.snapshot.open_orders),
        )
    )
    if breaks:
        draft.do(Alert(AlertKind.RECONCILIATION, f"{reading.venue} does not reconcile", "; ".join(breaks)[:500]))
        if _in_use(draft, reading.venue):
            hint = transfers.advice(draft.after, reading) if {*breaks} & {*_balance_differences(draft, reading)} else ""
            why = f"{reading.venue} does not reconcile: {'; '.join(breaks)[:300]}"
            moves.integrity(draft, f"{why}. {hint}" if hint else why)


def _in_use(draft: Draft, venue: VenueName) -> bool:
    return draft.after.venue is venue
