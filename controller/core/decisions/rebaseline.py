"""Decisions about a new baseline: a person accepts the balances that a venue shows, by signature. ``governance`` calls it.

A difference between a venue's account and our books is never corrected by itself. It is a loss that nobody explained until a person
says that it is right: the owner took money out, or a testnet began anew with other balances. The person signs the difference of
every asset and a digest of the whole reading. Nothing else is accepted: if the account shows other balances when the command is
applied, it is refused with what changed.

Only while nothing is open at the venue: with an order under way, a fill that is not booked yet looks like money that is missing.
Orders that a simulated venue has forgotten are not open; the signature names them and ends them (``forgotten``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from controller.authority.command import MAX_SUBJECT, Command
from controller.core import events as e
from controller.core.bookings import trade_key
from controller.core.decisions import drills, flatten, forgotten, neutral, venue_reports
from controller.core.decisions.draft import Draft
from controller.core.effects import Alert, AlertKind
from controller.core.inputs import AccountRead, Tick
from controller.core.order_state import OrderState
from controller.core.state import Ledger, State, market_of
from exchange.errors import GatehouseError, Refused
from exchange.model import Millis
from exchange.ports import VenueName
from policies import canonical
from policies.numbers import text
from policies.schema import Policy

VENUES = (VenueName.TESTNET, VenueName.LIVE)
"""The accounts that a person or a restart can change from outside."""

WAIT = "Wait until `gatehouse status` shows a newer reading, then propose the command again."


@dataclass(frozen=True, slots=True)
class Step:
    """A new baseline that can be taken now: the books, the reading, what the difference is worth, and the orders it ends."""

    venue: VenueName
    books: dict[str, Decimal]
    reading: dict[str, Decimal]
    read: AccountRead
    shift_eur: Decimal
    lost_orders: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """What a person signs for it."""
        return subject_of(self.venue, self.books, self.reading, self.lost_orders)


def subject_of(venue: VenueName, books: neutral.Totals, reading: neutral.Totals, lost: Sequence[str] = ()) -> str:
    """The subject of the command that takes ``reading`` where the books say ``books``: each difference, and a digest of it all.

    ``lost``: the orders that the venue has forgotten. Without any the subject does not speak of them.
    """
    shown = {asset: text(total) for asset, total in sorted(reading.items()) if total}
    differences = {
        asset: {"books": text(ours), "by": text(theirs - ours), "venue": text(theirs)}
        for asset, (ours, theirs) in neutral.changed(books, reading).items()
    }
    digest = canonical.digest(canonical.encode({"balances": shown, "venue": venue.value}))
    orders = {"orders": list(lost)} if lost else {}
    return canonical.encode({"differences": differences, "reading": digest, "venue": venue.value, **orders}).decode()


def subject_now(state: State, policy: Policy, venue: str, seen: Tick, now: Millis) -> str:
    """The subject to sign for a new baseline of this venue. Raises ``Refused`` when none can be taken now."""
    return _step(state, policy, _venue_of(venue), seen, now).subject


def check(state: State, policy: Policy, subject: str, seen: Tick | None, now: Millis) -> Step:
    """Check that the account shows what was signed, and that its balances can be the baseline. Raises ``Refused`` otherwise."""
    signed = _document(subject)
    step = _step(state, policy, _venue_of(signed["venue"]), seen, now)
    if subject != step.subject:
        raise Refused(
            f"{step.venue} shows other balances than those that were signed: {_changes(signed, step)}",
            code="other-reading",
            remedy="Look at the difference of now with a new proposal, and sign that one if it is right.",
        )
    return step


def apply(draft: Draft, command: Command, step: Step) -> None:
    """Take the reading as the baseline."""
    fills = step.read.snapshot.fills
    lost = neutral.taken(draft.after, step.venue, step.reading)
    draft.emit(
        e.Rebaselined(
            command_id=command.command_id,
            venue=step.venue,
            books=step.books,
            reading=step.reading,
            read_at=step.read.started_at,
            shift_eur=step.shift_eur,
            known_trades=tuple(trade_key(fill.order_id, fill.trade_id) for fill in fills),
            cursor=max((step.read.started_at, *(fill.at for fill in fills))),
            forgets_ids=forgotten.forgets_ids(draft.after, step.venue),
            lost_orders=step.lost_orders,
        )
    )
    ended = f"; {len(step.lost_orders)} orders that it forgot are over" if step.lost_orders else ""
    gone = f"; of what gatehouse bought, {listed(lost)} is gone" if lost else ""
    draft.do(Alert(AlertKind.CAPITAL, f"{step.venue} has a new baseline", f"{_line(step)}{gone}{ended}: {command.reason}"))


def hint(state: State, venue: VenueName) -> str:
    """What a person can do about an account that differs; empty where no new baseline can be signed for it."""
    if venue not in VENUES or state.ledger(venue).totals is None:
        return ""
    return f"If the balances of {venue} are right, accept them with `gatehouse rebaseline --venue {venue}`"


def differing(state: State) -> tuple[VenueName, ...]:
    """The venues whose account is known to differ from our books, or that have forgotten an order of ours."""
    lost = {order.venue for order in state.open.values() if forgotten.line(state, order)}
    return tuple(venue for venue in VENUES if state.ledger(venue).breaks or venue in lost)


def listed(amounts: neutral.Totals) -> str:
    """Amounts by asset, for a sentence."""
    return ", ".join(f"{text(amount)} {asset}" for asset, amount in sorted(amounts.items()))


# Checks


def _step(state: State, policy: Policy, venue: VenueName, seen: Tick | None, now: Millis) -> Step:
    ledger = state.ledger(venue)
    drills.check_idle(state)
    flatten.check_idle(state)
    lost = forgotten.orders(state, venue, seen.accounts.get(venue) if seen is not None else None)
    _check_nothing_open(state, venue, lost)
    read = _reading(ledger, policy, venue, seen, now)
    books = {asset: total for asset, total in (ledger.totals or {}).items() if total}
    reading = {balance.asset: balance.total for balance in read.snapshot.balances.values() if balance.total}
    changed = bool(neutral.changed(books, reading))
    if not changed and not lost:
        raise Refused(f"the account of {venue} is as our books say", code="nothing-changes", remedy="Nothing is left to do.")
    if changed and not ledger.breaks:
        raise Refused(
            f"the difference of {venue} was seen in one reading only, and may be a trade that is not listed yet",
            code="seen-once",
            remedy=WAIT,
        )
    market = seen.markets.get(market_of(venue)) if seen is not None else None
    shift = neutral.shift_eur(state, policy, venue, reading, market.quotes if market is not None else {}, now)
    if isinstance(shift, str):
        raise Refused(
            f"the difference cannot be valued: {shift}",
            code="no-quote",
            remedy="Wait until `gatehouse status` shows a quote, then propose the command again.",
        )
    step = Step(venue, books, reading, read, shift, tuple(order.client_id for order in lost))
    if len(step.subject) > MAX_SUBJECT:
        raise Refused(
            f"{len(neutral.changed(books, reading))} assets differ and {len(lost)} orders are gone, and a person cannot read a "
            "command about so many",
            code="too-many-assets",
            remedy="Move what is not traded out of the account first.",
        )
    return step


def _check_nothing_open(state: State, venue: VenueName, lost: Sequence[OrderState]) -> None:
    over = {order.client_id for order in lost}
    unsettled = [order for order in state.open_on(venue) if order.client_id not in over]
    if unsettled:
        named = ", ".join(f"{order.client_id} ({order.status})" for order in unsettled[:5])
        raise Refused(
            f"{len(unsettled)} orders are not settled on {venue}: {named}",
            code="orders-open",
            remedy="Halt with `gatehouse halt`, which cancels them, and wait until `gatehouse orders` shows that each is settled.",
        )


def _reading(ledger: Ledger, policy: Policy, venue: VenueName, seen: Tick | None, now: Millis) -> AccountRead:
    read = seen.accounts.get(venue) if seen is not None else None
    if read is None or ledger.totals is None:
        raise Refused(f"the account of {venue} was not read since the controller started", code="no-reading", remedy=WAIT)
    age, most = now - read.started_at, policy.guards.reconciliation.max_age_ms
    if not 0 <= age <= most:
        raise Refused(f"the last reading of {venue} is {age} ms old, and {most} ms is the most", code="reading-old", remedy=WAIT)
    if not read.still:
        raise Refused(f"the account of {venue} changed while it was read", code="reading-old", remedy=WAIT)
    fills = read.snapshot.fills
    unbooked = [fill for fill in fills if trade_key(fill.order_id, fill.trade_id) not in ledger.trades]
    if read.fills_before != ledger.fills_booked or unbooked:
        raise Refused(f"a trade was booked since the last reading of {venue}", code="reading-old", remedy=WAIT)
    if read.snapshot.open_orders:
        named = ", ".join(venue_reports.described(report) for report in read.snapshot.open_orders[:5])
        raise Refused(
            f"orders that are not ours are open on {venue}: {named}",
            code="orders-open",
            remedy="Cancel them on the venue's own page, and wait until the next reading shows none.",
        )
    return read


def _venue_of(name: object) -> VenueName:
    if not isinstance(name, str) or name not in {venue.value for venue in VENUES}:
        raise Refused(
            f"{str(name)[:32]!r} has no account that can get a new baseline",
            code="no-such-venue",
            remedy=f"Name one of {', '.join(VENUES)}.",
        )
    return VenueName(name)


def _document(subject: str) -> dict[str, Any]:
    try:
        document = canonical.decode(subject.encode())
    except GatehouseError as error:
        raise _malformed(error.message) from None
    if not isinstance(document, dict) or document.keys() - {"orders"} != {"differences", "reading", "venue"}:
        raise _malformed("it does not have the fields of a reading")
    return document


def _malformed(why: str) -> Refused:
    return Refused(
        f"the subject is not a reading: {why}",
        code="rebaseline-malformed",
        remedy="Propose it with `gatehouse rebaseline --venue live --key KEY --reason WHY`, or with --venue testnet.",
    )


def _changes(signed: dict[str, Any], step: Step) -> str:
    """What is different between the differences that were signed and those of now."""
    before = signed["differences"] if isinstance(signed["differences"], dict) else {}
    now = neutral.changed(step.books, step.reading)
    lines = []
    for asset in sorted(before.keys() | now.keys()):
        then = before.get(asset)
        was = then.get("venue") if isinstance(then, dict) else None
        ours, theirs = now.get(asset, (step.books.get(asset, neutral.ZERO),) * 2)
        if was != text(theirs) or (isinstance(then, dict) and then.get("books") != text(ours)):
            lines.append(f"{asset}: signed {was or 'no difference'}, now {text(theirs)}, our books {text(ours)}")
    if signed.get("orders", []) != list(step.lost_orders):
        lines.append(f"now {len(step.lost_orders)} orders are gone: {', '.join(step.lost_orders) or 'none'}")
    return "; ".join(lines)[:300] or "an asset without a difference has another balance"


def _line(step: Step) -> str:
    return "; ".join(
        f"{asset}: {text(ours)} → {text(theirs)}" for asset, (ours, theirs) in neutral.changed(step.books, step.reading).items()
    )
