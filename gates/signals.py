"""Whether a bot decides the same when the recorded market is replayed to it (execution-safety.md §4.3, row C10; ADR 67).

The fold collects what the bot decided in the run, ``controller.runtime.signal_replay`` lets it decide again, and ``compare`` says
how many decisions are the same. A decision is a time, a symbol and a side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from exchange.model import Millis
from gates.series import Column, Decision, DeniedAgain
from policies.values import replace

Span = tuple[Millis, Millis]
"""A time, both ends included, in which everything that the bot could read was recorded."""

DECISIONS_MOST = 10_000
"""So many decisions of a replay are read; one that makes more is no replay of a run that a gate judges."""

_EXAMPLES = 5


@dataclass(frozen=True)
class Compared:
    """The newest replay of a run. ``as_of``: decisions after it are in no figure.

    ``agreed`` are decisions that the run and the replay both have, ``only_run`` and ``only_replay`` those that one of them has.
    ``unrecorded`` are decisions of the run at which the market was not recorded; nothing is said about them. ``error`` says why
    there is no comparison, and ``example`` names a few decisions that differ.
    """

    as_of: Millis
    agreed: int = 0
    only_run: int = 0
    only_replay: int = 0
    unrecorded: int = 0
    example: str = ""
    error: str = ""

    @property
    def judged(self) -> int:
        """The decisions that were compared."""
        return self.agreed + self.only_run + self.only_replay

    @property
    def decided(self) -> int:
        """The decisions of the run until then."""
        return self.agreed + self.only_run + self.unrecorded


@dataclass(frozen=True)
class Signals:
    """What the bot decided in one run, the oldest first, and what the newest replay of it showed; ``None`` before the first one."""

    decisions: Column[Decision] = Column()
    again: Column[DeniedAgain] = Column()
    compared: Compared | None = None

    def with_decision(self, at: Millis, symbol: str, side: str) -> Signals:
        """The bot asked for an order, which was admitted or denied."""
        return replace(self, decisions=self.decisions.with_item(Decision(at, symbol, side)))

    def with_denied_again(self, since: Millis, at: Millis, symbol: str, count: int) -> Signals:
        """The bot asked for ``count`` more orders that were denied like one before; their single times and sides are not known."""
        return replace(self, again=self.again.with_item(DeniedAgain(since, at, symbol, count)))


def compare(
    signals: Signals, replayed: Iterable[Decision], spans: Sequence[Span], *, started_at: Millis, as_of: Millis, tolerance_ms: int
) -> Compared:
    """Compare what the bot decided from ``started_at`` to ``as_of`` with what it decides in the replay.

    A decision of the run is the same as one of the replay if symbol and side are, and if it was made at most ``tolerance_ms`` after
    the market data that it was made from; the replay names the time of that data. Each decision is matched with one at most.
    """
    ran = [one for one in signals.decisions if one.at <= as_of]
    seen = [one for one in ran if any(begin <= one.at <= end for begin, end in spans)]
    sides: dict[tuple[str, str], tuple[list[Millis], list[Millis]]] = defaultdict(lambda: ([], []))
    for one in seen:
        sides[one.symbol, one.side][0].append(one.at)
    for one in replayed:
        sides[one.symbol, one.side][1].append(one.at)
    agreed, missing, extra = 0, [], []
    for (symbol, side), (lived, again) in sides.items():
        pairs, alone, too_many = match(sorted(lived), sorted(again), tolerance_ms)
        agreed += pairs
        missing += [Decision(at, symbol, side) for at in alone]
        # What was decided before the run began, or may still become an order, is no difference.
        extra += [Decision(at, symbol, side) for at in too_many if at >= started_at and at + tolerance_ms < as_of]
    denied = [one for one in signals.again if one.at <= as_of]
    recorded = [one for one in denied if any(begin <= one.since and one.at <= end for begin, end in spans)]
    extra, unseen = _without_denied(extra, recorded, tolerance_ms)
    return Compared(
        as_of,
        agreed=agreed,
        only_run=len(missing) + unseen,
        only_replay=len(extra),
        unrecorded=len(ran) - len(seen) + sum(one.count for one in denied) - sum(one.count for one in recorded),
        example=_examples(missing, extra),
    )


def match(lived: Sequence[Millis], again: Sequence[Millis], tolerance_ms: int) -> tuple[int, list[Millis], list[Millis]]:
    """Match times of the run with times of the replay, both sorted; return how many pairs there are, and what is left of both.

    A pair is ``0 <= lived - again <= tolerance_ms``. Taking the earliest that fits gives the most pairs: every time has an interval
    of the same length, so an exchange of partners never gains one.
    """
    pairs, alone, too_many, index = 0, [], [], 0
    for at in lived:
        while index < len(again) and again[index] < at - tolerance_ms:
            too_many.append(again[index])
            index += 1
        if index < len(again) and again[index] <= at:
            pairs += 1
            index += 1
        else:
            alone.append(at)
    return pairs, alone, [*too_many, *again[index:]]


def _without_denied(extra: list[Decision], denied: Iterable[DeniedAgain], tolerance_ms: int) -> tuple[list[Decision], int]:
    """Take out decisions of the replay alone where the run has denied ones without a time; return how many of those are left."""
    left, unseen = sorted(extra, key=lambda one: one.at), 0
    for one in denied:
        kept, found = [], 0
        for decision in left:
            fits = decision.symbol == one.symbol and one.since - tolerance_ms <= decision.at <= one.at
            if fits and found < one.count:
                found += 1
            else:
                kept.append(decision)
        left, unseen = kept, unseen + one.count - found
    return left, unseen


def _examples(missing: list[Decision], extra: list[Decision]) -> str:
    lines = [f"the run alone {_named(one)}" for one in sorted(missing, key=lambda one: one.at)[:_EXAMPLES]]
    lines += [f"the replay alone {_named(one)}" for one in extra[:_EXAMPLES]]
    return "; ".join(lines)


def _named(one: Decision) -> str:
    when = datetime.fromtimestamp(one.at // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{one.side} {one.symbol[:20]} at {when}.{one.at % 1000:03} UTC"


def value_text(one: Decision) -> str:
    """A decision as the journal has it: ``TIME SYMBOL SIDE``."""
    return f"{one.at} {one.symbol} {one.side}"


def decision_of(text: str) -> Decision:
    """The decision of a line. Raises ``ValueError`` for any other line."""
    at, symbol, side = text.split(" ")
    if not (at.isascii() and at.isdigit() and len(at) <= 15 and 1 <= len(symbol) <= 20 and symbol.isascii() and symbol.isalnum()):
        raise ValueError("a decision is a time in ms, a symbol and a side")
    if side not in {"BUY", "SELL"}:
        raise ValueError("a side is BUY or SELL")
    return Decision(Millis(int(at)), symbol, side)
