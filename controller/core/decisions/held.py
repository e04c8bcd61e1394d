"""Measurements that are decided and not journalled yet: what holds them back, and what does not (ADR 42).

A sample a second and a reading of every account every three seconds were nine tenths of a journal, and nearly all of them say that
nothing changed. So a decision that brings nothing but such measurements may hold them back, and later ones join them: the figures
of the newest, how many there were, and the lowest and highest figures. They become one entry of each kind

- before any other event: no entry is older than what was measured before it,
- at once when something changed that a gate or a guard judges, or that a start needs: see ``_judged_alike``,
- after ``HOLD_SAMPLE_MS`` or ``HOLD_COMPARED_MS`` at the latest.

The writer owns what is held; it is no part of the state, which is a fold of the journal. Every decision is made on the state with
what is held folded in, so guards and limits judge what they would judge if every measurement were journalled at once. A process
that dies loses what it held, and that time counts as not covered.

Measurements join only where folding them together gives the state that folding them one by one gives; ``settled`` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from immutables import Map

from controller.core import events as e
from controller.core.decisions.refusals import Refusals, fact_of
from controller.core.fold.apply import apply
from controller.core.state import Ledger, State
from exchange.model import Millis
from exchange.ports import VenueName
from gates.measure import Tally
from gates.protection import Protection
from policies.values import replace

HOLD_SAMPLE_MS = 30_000
"""The longest time for which a sample is held back. A process that dies loses so much covered time at most."""

HOLD_COMPARED_MS = 60_000
"""The longest time for which a reconciliation is held back. A process that dies loses the number of them, nothing else."""

Measurement = e.Sampled | e.Reconciled

_ALIKE = ("venue", "source", "accelerated", "covered", "uncovered_reason", "attested", "unprotected")
_ALIKE_IN_KIND = ("equity_eur", "exposure_eur", "bid", "ask", "clock_offset_ms", "statement_at")


@dataclass(frozen=True, slots=True)
class Held:
    """What is held back: at most one sample, and one reconciliation of each account. Each says when its newest was made.

    ``sampled_since`` and ``compared_since`` are when the oldest of them was made, ``newest`` when the newest was. They mean nothing
    while there is none.
    """

    sample: e.Sampled | None = None
    compared: tuple[e.Reconciled, ...] = ()
    sampled_since: Millis = Millis(0)
    compared_since: Millis = Millis(0)
    newest: Millis = Millis(0)
    refusals: Refusals = Refusals()
    # The last state that this was folded into, and the result. A copy by ``replace`` starts without it.
    _folded: tuple[State, State] | None = field(default=None, init=False, repr=False, compare=False)
    # The last state and comparisons of which it was judged whether they change anything. A sample that joins changes neither.
    _judged: tuple[State, tuple[e.Reconciled, ...], bool] | None = field(default=None, init=False, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.sample is not None or bool(self.compared) or bool(self.refusals)

    def events(self, now: Millis) -> tuple[e.Event, ...]:
        """What the journal gets now."""
        held = (*((self.sample,) if self.sample is not None else ()), *self.compared)
        measured = (event.model_copy(update={"taken_at": None}) if event.taken_at == now else event for event in held)
        return (*measured, *self.refusals.events())

    def over(self, state: State, now: Millis) -> State:
        """The state as if all of this were journalled now.

        Most decisions hold back what the decision before held back, on the same state. Only the time differs then: a measurement
        says itself when it was made. A repeated refusal and an alert take the time of their entry, so those are folded each time.
        """
        if not self:
            return state
        if self._folded is not None and self._folded[0] is state:
            return replace(self._folded[1], at=now)
        after = folded(state, self.events(now), now)
        if after is not state and not self.refusals and after.alerts is state.alerts:
            object.__setattr__(self, "_folded", (state, after))
        return after

    def joined(self, events: Sequence[e.Event], now: Millis, before: State) -> Held | None:
        """This with more measurements and repeated refusals, made now; ``None`` if something is among them that is written at once.

        ``before`` is the state in which they were decided.
        """
        held: Held | None = self
        for event in events:
            match event:
                case e.Sampled() if held is not None:
                    held = held._with_sample(event, now)  # noqa: SLF001
                case e.Reconciled() if held is not None:
                    held = held._with_comparison(event, now)  # noqa: SLF001
                case e.OrderDenied() if held is not None:
                    held = held._with_refusal(event, now, before)  # noqa: SLF001
                case _:
                    return None
        return held

    def _with_sample(self, event: e.Sampled, now: Millis) -> Held | None:
        if self.sample is None:
            return replace(self, sample=event.model_copy(update={"taken_at": now}), sampled_since=now, newest=now)
        joined = _joined_samples(self.sample, event, now)
        if joined is None:
            return None
        after = replace(self, sample=joined, newest=now)
        object.__setattr__(after, "_judged", self._judged)
        return after

    def _with_comparison(self, event: e.Reconciled, now: Millis) -> Held | None:
        before = next((one for one in self.compared if one.venue is event.venue), None)
        joined = event.model_copy(update={"taken_at": now, "count": event.count + (before.count if before is not None else 0)})
        if before is not None and before.model_copy(update={"taken_at": now, "count": joined.count}) != joined:
            return None
        others = (one for one in self.compared if one is not before)
        compared = tuple(sorted((*others, joined), key=lambda one: one.venue))
        return replace(self, compared=compared, compared_since=self.compared_since if self.compared else now, newest=now)

    def _with_refusal(self, event: e.OrderDenied, now: Millis, before: State) -> Held | None:
        counted = self.refusals.counted(event, fact_of(before), now)
        return None if counted is None else replace(self, refusals=counted, newest=now)

    def due(self, before: State, now: Millis) -> Held:
        """The part of this that is not held back any longer: it is old, or ``_judged_alike`` sees it."""
        samples = replace(self, refusals=Refusals(), compared=())
        sample_due = now - self.sampled_since >= HOLD_SAMPLE_MS or not _judged_alike(samples.over(before, now), before)
        compared_due = now - self.compared_since >= HOLD_COMPARED_MS or not self._comparisons_alike(before, now)
        # An account that has not agreed since the start is not an account in which nothing changed.
        compared_due = compared_due or any(before.ledger(one.venue).reconciled_at is None for one in self.compared)
        return replace(
            self,
            sample=self.sample if sample_due else None,
            compared=self.compared if compared_due else (),
            refusals=self.refusals.due(now),
        )

    def _comparisons_alike(self, before: State, now: Millis) -> bool:
        """Whether the comparisons alone change nothing that is judged. As in ``over``, only the time may differ from then."""
        known = self._judged
        if known is not None and known[0] is before and known[1] is self.compared:
            return known[2]
        comparisons = replace(self, refusals=Refusals(), sample=None)
        alike = _judged_alike(comparisons.over(before, now), before)
        if comparisons._folded is not None:  # noqa: SLF001
            object.__setattr__(self, "_judged", (before, self.compared, alike))
        return alike

    def without(self, written: Held, now: Millis) -> Held:
        """What is still held after a part of it was written now."""
        left = replace(
            self,
            sample=None if written.sample else self.sample,
            compared=() if written.compared else self.compared,
            refusals=self.refusals.without(written.refusals, now),
        )
        if left and left == self:
            return self
        return left or Held(refusals=left.refusals)

    def all_written(self, events: Sequence[e.Event], now: Millis, before: State) -> Held:
        """What is known after all of this and ``events`` were written now: which refusals the next ones are compared with."""
        denied = [event for event in events if isinstance(event, e.OrderDenied)]
        if not (self or self.refusals.known or denied):
            return self
        refusals = self.refusals.without(self.refusals, now)
        for event in denied:
            refusals = refusals.first(event, fact_of(before), now)
        return Held(refusals=refusals)


NOTHING = Held()


def settled(
    before: State, held: Held, events: Sequence[e.Event], after: State, now: Millis
) -> tuple[tuple[e.Event, ...], Held, State]:
    """What a decision without effects writes now, what is held after it, and the state with what is written.

    ``events`` are new; ``after`` is the state with everything folded that was held and is new, one by one.
    """
    together = held.joined(events, now, before)
    if together is None or _plain(together.over(before, now)) != _plain(after):
        return (*held.events(now), *events), held.all_written(events, now, before), after
    due = together if after.drill is not None else together.due(before, now)
    written = due.events(now)
    return written, together.without(due, now), folded(before, written, now)


def folded(state: State, events: Sequence[e.Event], now: Millis) -> State:
    """The state after events that are journalled now."""
    for event in events:
        state = apply(state, event, now)
    return state


def _joined_samples(first: e.Sampled, then: e.Sampled, now: Millis) -> e.Sampled | None:
    differ = any(getattr(first, name) != getattr(then, name) for name in _ALIKE)
    if differ or any((getattr(first, name) is None) is not (getattr(then, name) is None) for name in _ALIKE_IN_KIND):
        return None
    changes: dict[str, object] = {
        "interval_ms": first.interval_ms + then.interval_ms, "count": first.count + then.count, "taken_at": now,
    }  # fmt: skip
    if then.equity_eur is not None and first.equity_eur is not None:
        changes["equity_low_eur"] = min(_first_of(first.equity_low_eur, first.equity_eur), then.equity_eur)
        changes["equity_high_eur"] = max(_first_of(first.equity_high_eur, first.equity_eur), then.equity_eur)
    if then.exposure_eur is not None and first.exposure_eur is not None:
        changes["exposure_high_eur"] = max(_first_of(first.exposure_high_eur, first.exposure_eur), then.exposure_eur)
    return then.model_copy(update=changes)


def _first_of(extreme: Decimal | None, value: Decimal) -> Decimal:
    return value if extreme is None else extreme


def _plain(state: State) -> State:
    """A state without the number of entries that made it."""
    return replace(state, seq=0)


def _judged_alike(one: State, other: State) -> bool:
    """Whether two states differ in nothing but the figures that a crash may take back: how long it was measured, how often, and
    the newest values.

    What is left must not be lost: peaks, falls, breaks, the first value of a day, whether something is known at all.
    """
    values, others = vars(one), vars(other)
    return all(
        _ALIKE_TO_JUDGE[name](value, others[name]) if name in _ALIKE_TO_JUDGE else value == others[name]
        for name, value in values.items()
        if value is not others[name]
    )


def _ledgers_alike(some: Map[VenueName, Ledger], others: Map[VenueName, Ledger]) -> bool:
    one, other = dict(some.items()), dict(others.items())
    return one.keys() == other.keys() and all(
        ledger is other[name] or _judged_ledger(ledger) == _judged_ledger(other[name]) for name, ledger in one.items()
    )


def _tallies_alike(one: Tally | None, other: Tally | None) -> bool:
    return one is not None and other is not None and _judged_tally(one) == _judged_tally(other)


def _judged_ledger(ledger: Ledger) -> Ledger:
    return replace(
        ledger,
        reconciled_at=_known(ledger.reconciled_at),
        read_at=_known(ledger.read_at),
        read_since=Millis(0),
        # With an earlier one more deposits and withdrawals can explain a difference, and each that was booked is known by its id.
        agreed_at=Millis(0),
        equity_eur=_known(ledger.equity_eur),
        exposure_eur=_known(ledger.exposure_eur),
        sampled_at=_known(ledger.sampled_at),
        valued_eur=_known(ledger.valued_eur),
        valued_at=_known(ledger.valued_at),
        clock_judged_at=_known(ledger.clock_judged_at),
        statement_at=_known(ledger.statement_at),
    )


def _judged_tally(tally: Tally) -> Tally:
    return replace(
        tally,
        last_at=Millis(0),
        samples=min(tally.samples, 1),
        total_ms=0,
        covered_ms=0,
        attested_ms=0,
        # Time that is not covered counts as a gap without an entry too, so only its edges matter.
        gap_ms=min(tally.gap_ms, 1),
        longest_gap_ms=0,
        reconciliations=min(tally.reconciliations, 1),
        clock_samples=min(tally.clock_samples, 1),
        equity_samples=min(tally.equity_samples, 1),
        equity_last=_known(tally.equity_last),
        collected=replace(tally.collected, mid=_known(tally.collected.mid)),
        # They are read with the longest gap, and it is not judged here.
        gap_why="",
        longest_gap_why="",
        longest_gap_at=Millis(0),
        protection=_judged_protection(tally.protection),
    )


def _judged_protection(protection: Protection) -> Protection:
    """As with the gaps: time with a position and without an entry counts as unprotected too, so only the edges matter."""
    return Protection(min(protection.samples, 1), open_ms=min(protection.open_ms, 1))


_ALIKE_TO_JUDGE: dict[str, Callable[[Any, Any], bool]] = {
    "seq": lambda _, __: True,
    "at": lambda _, __: True,
    "ledgers": _ledgers_alike,
    "tally": _tallies_alike,
}


def _known(value: object) -> Any:
    return None if value is None else 0
