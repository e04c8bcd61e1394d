"""Decisions about reconciliation: compare the venue's account with ours, exactly, every few seconds and before arming.

``controller.core.decide`` calls it with each reading of an account; ``ticks`` calls it to arm.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from controller.core import events as e
from controller.core.bookings import trade_key
from controller.core.decisions import absence, cuts, moves, trades, transfers, venue_reports
from controller.core.decisions.cuts import Gap
from controller.core.decisions.draft import Draft
from controller.core.decisions.whose import MAY_BE_OURS, find, is_being_answered, may_be_ours
from controller.core.effects import Alert, AlertKind, LookUp
from controller.core.inputs import AccountRead
from controller.core.order_state import AT_THE_VENUE, ZERO
from controller.core.state import Ledger
from exchange.model import Fill, ListedOrder, OrderReport
from exchange.ports import VenueName
from policies.numbers import text


@dataclass
class _Found:
    """What a reading shows. The ``certain`` differences are breaks at once; the ``gaps`` are those of ``cuts``."""

    differences: list[str]
    certain: Set[str]
    questions: Set[str]
    pending: Set[str]
    gaps: tuple[Gap, ...] = ()


def account_read(draft: Draft, reading: AccountRead) -> None:
    """Book the fills and reports that are new, then compare the account with ours.

    The first reading of an account that stood still is its baseline. A difference in one reading is suspected; the same difference
    in the next reading is a break, for balances only when the venue's history cannot explain them any more (``transfers.awaited``).
    So is a foreign order in any reading of an armed deployment. A break on the venue in use halts the deployment. Balances are
    never corrected. A reading without a difference may prove that UNKNOWN orders were never placed, if the account stood still.

    What may be of an order of ours whose id at the venue is not known yet is neither ours nor foreign: the reading concludes
    nothing until the look-up tells, or the deadline of an UNKNOWN order halts the deployment. Only while such orders are being
    answered the first reading that shows it goes on: it is pending, and the next one has to know it.
    """
    venue = reading.venue
    before = draft.after.ledger(venue)
    if before.totals is None:
        if not reading.still:
            return
        _baseline(draft, reading)
    # What the orders executed judges whether a trade is a new one, so their reports come first.
    unknown = _not_known(draft, venue, reading.snapshot.open_orders)
    fills = trades.by_certainty(draft, venue, _all_trades(reading))
    shown = {trade_key(fill.order_id, fill.trade_id) for fill in fills}
    undecided = [(trades.fill_reported(draft, venue, fill, listed=True, shown=shown), fill) for fill in fills]
    # A trade may name both ids of an order that the list of orders shows without ours.
    unknown = _not_known(draft, venue, unknown)
    _look_up_missing(draft, reading)
    waiting = may_be_ours(draft.after, venue, unknown)
    foreign = [report for report in unknown if report not in waiting]
    certain = {_not_ours(draft, report) for report in foreign if draft.after.armed and draft.after.venue is venue}
    may_be = {f"{venue_reports.described(report)} {MAY_BE_OURS}" for report in waiting}
    questions = may_be | {question for question, _ in undecided if question}
    pending = _pending(draft, venue, before, questions)
    quiet = before.totals is None or (reading.still and before.fills_booked == reading.fills_before)
    found = _Found([_not_ours(draft, report) for report in foreign], certain, questions - pending, pending)
    if not found.questions:
        verdict = cuts.compare(draft.after, reading, [fill for question, fill in undecided if question], quiet=quiet)
        if transfers.recognise(draft, reading, verdict.gaps):
            verdict = cuts.compare(draft.after, reading, [fill for question, fill in undecided if question], quiet=quiet)
        if not verdict.concluded and not foreign:
            return
        found.gaps = verdict.gaps
        found.questions |= {cuts.may_have_traded(draft.after, reading, verdict.gaps)} - {""}
        found.differences += _execution_differences(draft, reading, quiet=quiet)
    _conclude(draft, reading, found)
    if quiet and draft.after.ledger(venue).clean and not pending:
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


def _all_trades(reading: AccountRead) -> list[Fill]:
    trades = (*reading.snapshot.fills, *reading.later)
    return list({trade_key(fill.order_id, fill.trade_id): fill for fill in trades}.values())


def _pending(draft: Draft, venue: VenueName, before: Ledger, questions: Set[str]) -> set[str]:
    """The questions that the answers on their way tell: whether what has no id of ours is an order that is being answered."""
    if not is_being_answered(draft.after, venue):
        return set()
    return {question for question in questions if question.endswith(MAY_BE_OURS)} - {*before.pending, *before.suspected}


def _balance_differences(reading: AccountRead, gap: Gap) -> list[str]:
    venue_totals = {balance.asset: balance.total for balance in reading.snapshot.balances.values()}
    theirs = {asset: venue_totals.get(asset, ZERO) for asset in sorted(gap)}
    return [f"{asset}: ours {text(total - gap[asset])}, {reading.venue} {text(total)}" for asset, total in theirs.items()]


def _execution_differences(draft: Draft, reading: AccountRead, *, quiet: bool) -> list[str]:
    """Open orders of which more is booked than they executed by the venue's own report: a trade was booked twice.

    Unless the reading is ``quiet``, the report may be older than what was booked since the reading began.
    """
    recent = () if quiet else draft.after.ledger(reading.venue).recent
    since = [one for one in recent if one.number > reading.fills_before]
    differences = []
    for report in reading.snapshot.open_orders:
        order = find(draft.after, reading.venue, report.client_id, report.order_id)
        if order is None or not isinstance(report, OrderReport):
            continue
        booked = order.booked - sum(one.quantity for one in since if one.client_id == order.client_id)
        if booked > report.executed:
            differences.append(f"{order.client_id}: booked {booked:f}, executed {report.executed:f} on {reading.venue}")
    return differences


def _not_ours(draft: Draft, report: ListedOrder) -> str:
    return f"{venue_reports.described(report)} is not ours: {venue_reports.outside(draft.after, report)}"


def _conclude(draft: Draft, reading: AccountRead, found: _Found) -> None:
    before = draft.after.ledger(reading.venue)
    sure, differences, hint = {*found.certain, *before.suspected, *before.breaks}, set(found.differences), ""
    if found.gaps and not found.questions:
        lasting = cuts.lasting(found.gaps, before.gaps)
        balances = set(_balance_differences(reading, found.gaps[0].update(lasting)))
        differences |= balances
        if transfers.awaited(draft, reading):
            sure -= balances.difference(before.breaks)
        else:
            sure |= set(_balance_differences(reading, lasting))
        hint = transfers.advice(draft.after, reading)
    breaks = tuple(item for item in sorted(differences) if item in sure)
    draft.emit(
        e.Reconciled(
            venue=reading.venue,
            clean=not differences and not found.questions,
            breaks=breaks,
            suspected=(*sorted(differences), *sorted(found.questions)),
            open_orders=len(reading.snapshot.open_orders),
            gaps=tuple(dict(gap) for gap in found.gaps),
            pending=tuple(sorted(found.pending)),
        )
    )
    if breaks:
        draft.do(Alert(AlertKind.RECONCILIATION, f"{reading.venue} does not reconcile", "; ".join(breaks)[:500]))
        if _in_use(draft, reading.venue):
            why = f"{reading.venue} does not reconcile: {'; '.join(breaks)[:300]}"
            moves.integrity(draft, f"{why}. {hint}" if hint else why)


def _in_use(draft: Draft, venue: VenueName) -> bool:
    return draft.after.venue is venue
