"""One pass over a journal, with the controller's own fold, that collects what a report shows. ``reading`` calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from controller.core import event_codec
from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import Entry, Head
from controller.report.coverage import NO_VALUE
from controller.report.notes import note_of
from controller.report.run import Run
from exchange.model import Millis, OrderStatus, Side
from policies.guards import drawdown_fraction
from policies.numbers import WIDE
from policies.ramp import cap_eur

ZERO = Decimal(0)
BPS = Decimal(10_000)
_TWO = Decimal(2)


@dataclass(frozen=True, slots=True)
class Signed:
    """A command that was applied, with the entry that says so."""

    entry: Entry
    accepted: e.CommandAccepted


@dataclass(slots=True)
class Collected:
    """What one pass found. ``policy`` and ``roster`` are the documents in force at the end."""

    folded: State = field(default_factory=State)
    head: Head | None = None
    at: Millis = Millis(0)
    runs: list[Run] = field(default_factory=list)
    signed: list[Signed] = field(default_factory=list)
    policy: str = ""
    roster: str = ""
    halt: e.StageChanged | None = None
    halt_at: Millis = Millis(0)
    halt_seq: int = 0

    @property
    def subject(self) -> Run | None:
        """The run to report: the present one or, while HALTED, the one that the halt ended."""
        return next((run for run in reversed(self.runs) if run.venue is not None), None)


class Collector:
    """Takes the entries of a journal in order."""

    def __init__(self) -> None:
        self.found = Collected()
        self._mids: dict[str, tuple[Decimal, Millis]] = {}
        self._waiting: set[str] = set()

    def take(self, entry: Entry) -> e.Event:
        """Fold one entry and keep what a report needs of it. Returns its event.

        Raises:
            IntegrityError: the entry cannot be read.
        """
        found, before = self.found, self.found.folded
        event = event_codec.decode(entry.kind, entry.body)
        if isinstance(event, e.Sampled):
            self._sampled(event, entry, before)
        found.folded = after = apply(before, event, entry.at)
        found.head, found.at = Head(entry.seq, entry.hash, entry.epoch), max(found.at, entry.at)
        self._turn(event, entry, before)
        run = found.runs[-1] if found.runs else None
        if run is not None:
            if after.tally is not None:
                run.tally = after.tally
            self._order_events(run, event, entry)
            if (note := note_of(entry.seq, entry.at, event, before)) is not None:
                run.note(note)
        self._documents(event, entry)
        return event

    # Runs

    def _turn(self, event: e.Event, entry: Entry, before: State) -> None:
        """Begin a run where the fold began to measure anew."""
        found, state = self.found, self.found.folded
        tally = state.tally
        if tally is None or (found.runs and tally.started_at == found.runs[-1].since and state.position == found.runs[-1].position):
            return
        if found.runs:
            found.runs[-1].until = entry.at
        moved = isinstance(event, e.StageChanged)
        cap = cap_eur(state.policy, state.position.stage, state.position.step) if state.policy is not None else ZERO
        found.runs.append(
            Run(
                position=state.position,
                before=str(before.position) if moved else "",
                since=tally.started_at,
                since_seq=entry.seq,
                cause=event.cause.value if isinstance(event, e.StageChanged) else "measured anew",
                reason=event.reason if isinstance(event, e.StageChanged) else _why_anew(event),
                venue=state.venue,
                cap_eur=cap,
            )
        )

    def _documents(self, event: e.Event, entry: Entry) -> None:
        found = self.found
        match event:
            case e.PolicyAdopted():
                found.policy = event.document
            case e.RosterAdopted():
                found.roster = event.document
            case e.CommandAccepted():
                found.signed.append(Signed(entry, event))
            case e.StageChanged():
                halted = event.stage.value == "HALTED"
                found.halt = event if halted else None
                found.halt_at, found.halt_seq = (entry.at, entry.seq) if halted else (Millis(0), 0)
            case e.ControllerStarted() if found.runs:
                found.runs[-1].restarts += 1
            case e.RunMeasured() if found.runs and event.run_started_at == found.runs[-1].since:
                found.runs[-1].measured = event
            case _:
                pass

    # Samples

    def _sampled(self, event: e.Sampled, entry: Entry, before: State) -> None:
        if not self.found.runs or event.venue is not before.watched:
            return
        run = self.found.runs[-1]
        at = entry.at if event.taken_at is None else Millis(event.taken_at)
        run.sources.add(event.source)
        run.accelerated = run.accelerated or event.accelerated
        equity = event.equity_eur
        reason = "" if event.covered and equity is not None else event.uncovered_reason or NO_VALUE
        run.coverage.sample(at, event.interval_ms, event.count, reason)
        if equity is not None:
            _equity(run, at, equity, event.equity_low_eur, event.equity_high_eur)
        if event.exposure_eur is not None:
            run.exposure.add(at, event.exposure_eur, None, event.exposure_high_eur)
        if event.bid is not None and event.ask is not None:
            mid = (event.bid + event.ask) / _TWO
            run.mid.add(at, mid)
            run.first_mid = mid if run.first_mid is None else run.first_mid
            run.last_mid = mid

    # Orders

    def _order_events(self, run: Run, event: e.Event, entry: Entry) -> None:
        match event:
            case e.OrderAdmitted():
                self._mids[event.client_id] = ((event.bid + event.ask) / _TWO, entry.at)
                self._waiting.add(event.client_id)
                run.day(entry.at).orders += 1
            case e.OrderDenied():
                run.denials[event.rule] += 1
            case e.OrdersDeniedAgain():
                run.denials[event.rule] += event.count
            case e.OrderAcked() | e.OrderRejected():
                self._answered(run, event.client_id, entry.at)
            case e.FillBooked():
                self._filled(run, event, entry.at)
            case e.CapitalMoved() if event.venue is self.found.folded.watched:
                _shift(run, event.shift_eur)
            case _:
                pass
        client_id = getattr(event, "client_id", "")
        if client_id in self._mids and client_id not in self.found.folded.open:
            self._ended(run, client_id)

    def _answered(self, run: Run, client_id: str, at: Millis) -> None:
        if client_id in self._waiting:
            self._waiting.discard(client_id)
            run.latencies[at - self._mids[client_id][1]] += 1

    def _ended(self, run: Run, client_id: str) -> None:
        order = self.found.folded.orders[client_id]
        self._mids.pop(client_id)
        self._waiting.discard(client_id)
        run.outcomes[_outcome(order.status, partly=order.booked > 0)] += 1

    def _filled(self, run: Run, event: e.FillBooked, at: Millis) -> None:
        tally, policy = self.found.folded.tally, self.found.folded.policy
        if tally is None or policy is None:
            return
        rate, quote = tally.series.quote_per_eur, policy.eur_rate.asset
        charged = {quote: event.fee, event.symbol.removesuffix(quote): event.fee * event.price}.get(event.fee_asset)
        if charged is None:
            run.other_fees[event.fee_asset] = run.other_fees.get(event.fee_asset, ZERO) + event.fee
        day = run.day(at)
        day.fills += 1
        day.fees += WIDE.divide(charged or ZERO, rate)
        run.fills += 1
        run.maker_fills += event.maker
        run.volume_eur += WIDE.divide(event.quote, rate)
        decided = self._mids.get(event.client_id)
        if decided is not None and decided[0] > 0:
            worse = (event.price - decided[0]) * (1 if event.side is Side.BUY else -1)
            run.slippage_bps.append(WIDE.divide(worse * BPS, decided[0]))


def _equity(run: Run, at: Millis, equity: Decimal, low: Decimal | None, high: Decimal | None) -> None:
    run.equity.add(at, equity, low, high)
    run.first_equity = equity if run.first_equity is None else run.first_equity
    run.peak_equity = max(equity if high is None else high, run.peak_equity or equity)
    worst = min(equity, equity if low is None else low)
    fall = drawdown_fraction(run.peak_equity, worst, run.cap_eur)
    run.drawdown.add(at, drawdown_fraction(run.peak_equity, equity, run.cap_eur), None, fall)
    day = run.day(at)
    day.first = equity if day.first is None else day.first
    day.last = equity


def _shift(run: Run, shift: Decimal) -> None:
    """Draw everything before a deposit or withdrawal as if the money had been there always."""
    run.moved_eur += shift
    run.moves += 1
    run.equity.shift(shift)
    run.first_equity = None if run.first_equity is None else run.first_equity + shift
    run.peak_equity = None if run.peak_equity is None else run.peak_equity + shift
    for day in run.days.values():
        day.first = None if day.first is None else day.first + shift
        day.last = None if day.last is None else day.last + shift


def _outcome(status: OrderStatus, *, partly: bool) -> str:
    if status is OrderStatus.FILLED:
        return "filled"
    if status is OrderStatus.REJECTED:
        return "rejected by the venue"
    return "filled in part, then ended" if partly else "ended without a fill"


def _why_anew(event: e.Event) -> str:
    return {
        e.PolicyAdopted: "a policy came into force",
        e.ReleaseAdopted: "a release came into force",
        e.ControllerStarted: "another version of gatehouse started",
        e.Rebaselined: "a person accepted other balances",
        e.AccountBound: "another account was bound",
    }.get(type(event), f"entry {event.kind}")
