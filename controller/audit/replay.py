"""Replays a journal from its entries alone: the state, the result of every account, every decision (architecture.md §11).

`gatehouse replay` calls it. It needs no venue, no clock and no settings file. The gate verdicts behind accepted commands are
judged again from the evidence and the policy in the journal, and must have the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from controller.audit.measured import Compute, Remeasured
from controller.core import event_codec
from controller.core import events as e
from controller.core.fold.apply import apply
from controller.core.state import State
from controller.journal.chain import ChainWalk, Entry, Head
from exchange.errors import IntegrityError
from exchange.model import Millis, Side
from exchange.ports import VenueName
from gates.computed import Statistic
from gates.engine import reevaluate
from gates.series import RunSeries
from policies import canonical
from policies.document import canonical_bytes
from policies.schema import Performance

DECISIONS = (
    e.OrderAdmitted,
    e.OrderDenied,
    e.OrdersDeniedAgain,
    e.CommandAccepted,
    e.CommandRefused,
    e.CommandPending,
    e.CommandVoided,
    e.EvidenceSealed,
    e.StageChanged,
    e.BreachDetected,
    e.GuardLevelChanged,
    e.Armed,
    e.Disarmed,
)
"""The events that record a decision of the controller, not a report to it."""

ZERO = Decimal(0)


def figures_of(series: RunSeries, performance: Performance | None, covered_ms: int) -> tuple[Statistic, ...]:
    """The statistics of a series. Most journals need none, so numpy and scipy are loaded only here."""
    from gates.figures import figures

    return figures(series, performance, covered_ms)


@dataclass(frozen=True, slots=True)
class Decided:
    """One recorded decision. ``position`` is the stage at that time; ``rejudged`` says whether its verdict was judged again."""

    entry: Entry
    event: e.Event
    position: str
    rejudged: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one venue's account. ``equity_eur`` is in EUR, every other amount in the asset it is listed under.

    ``equity_eur`` is the last known equity minus the first, summed over all baselines of the account. ``flow`` is the net change
    of each asset by trades, without fees; ``fees`` are the fees paid in each asset.
    """

    fills: int = 0
    volume_quote: Decimal = ZERO
    flow: Mapping[str, Decimal] = field(default_factory=dict)
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    settled_eur: Decimal = ZERO
    first_eur: Decimal | None = None
    last_eur: Decimal | None = None

    @property
    def equity_eur(self) -> Decimal:
        """The account's profit or loss so far."""
        return self.settled_eur + ((self.last_eur or ZERO) - (self.first_eur or ZERO))


@dataclass(frozen=True, slots=True)
class Replay:
    """The outcome of a replay."""

    head: Head
    state: State
    results: Mapping[VenueName, Result]
    decisions: Mapping[str, int]
    rejudged: int
    recomputed: int = 0


def replay(
    entries: Iterable[Entry],
    controller_id: str,
    *,
    upto: int | None = None,
    on_decision: Callable[[Decided], None] | None = None,
    compute: Compute = figures_of,
) -> Replay:
    """Replay entries from the first one up to and including ``upto``; ``on_decision`` is called with every decision, in order.

    ``compute`` makes the statistics of a run again.

    Raises:
        IntegrityError: the chain is broken, an entry cannot be read, a move does not start at the present position, or a verdict
            or a statistic is not the same when it is judged or computed again.
    """
    walk, state, rejudged, statistics = ChainWalk(controller_id), State(), 0, Remeasured(compute)
    results = dict.fromkeys(VenueName, Result())
    decisions: dict[str, int] = {}
    rest = iter(entries)
    for entry in rest:
        if upto is not None and entry.seq > upto:
            break
        if (problem := walk.step(entry, rest)) is not None:
            raise _differs(problem.message, "journal-broken")
        event = event_codec.decode(entry.kind, entry.body)
        if isinstance(event, DECISIONS):
            judged = _rejudged(state, event, entry.seq)
            rejudged += judged
            decisions[entry.kind] = decisions.get(entry.kind, 0) + 1
            if on_decision is not None:
                on_decision(Decided(entry, event, str(state.position), judged))
        if isinstance(event, e.RunMeasured):
            statistics.measured(event, entry.seq)
        elif isinstance(event, e.EvidenceSealed):
            statistics.relied_on()
        state = apply(state, event, entry.at)
        statistics.followed(state)
        _account(results, event, state)
    statistics.relied_on()
    if upto is not None and walk.head.seq < upto:
        raise IntegrityError(
            f"the journal ends at entry {walk.head.seq}, before entry {upto}",
            code="no-such-entry",
            remedy="Give the number of an existing entry; `gatehouse journal tail` shows the last entries.",
        )
    return Replay(walk.head, state, results, decisions, rejudged, statistics.recomputed)


def decision_line(decided: Decided) -> bytes:
    """Return a decision as one line of canonical JSON, with the hash of its entry."""
    entry = decided.entry
    return canonical.encode({
        "seq": entry.seq, "at": int(entry.at), "kind": entry.kind, "hash": entry.hash, "position": decided.position,
        "rejudged": decided.rejudged, "decision": canonical.decode(entry.body),
    }) + b"\n"  # fmt: skip


def _rejudged(state: State, event: e.Event, seq: int) -> bool:
    if isinstance(event, e.StageChanged) and (event.from_stage, event.from_step) != (state.position.stage, state.position.step):
        raise _differs(f"entry {seq} moves from {event.from_stage}, but the replay is at {state.position}")
    if not isinstance(event, e.CommandAccepted) or not event.evidence or state.policy is None:
        return False
    as_of = Millis(canonical.decode(event.result.encode())["as_of"])
    if reevaluate(canonical_bytes(state.policy), event.evidence.encode(), as_of) != event.result.encode():
        raise _differs(f"judging the gate of the command in entry {seq} again gives another result")
    return True


def _account(results: dict[VenueName, Result], event: e.Event, state: State) -> None:
    if isinstance(event, e.BalancesBaselined):
        before = results[event.venue]
        results[event.venue] = replace(before, settled_eur=before.equity_eur, first_eur=None, last_eur=None)
    elif isinstance(event, e.Rebaselined | e.CapitalMoved):
        # What came or went is neither gain nor loss: both ends of the difference move.
        before = results[event.venue]
        first, last = (None if one is None else one + event.shift_eur for one in (before.first_eur, before.last_eur))
        results[event.venue] = replace(before, first_eur=first, last_eur=last)
    elif isinstance(event, e.Sampled) and event.equity_eur is not None:
        before = results[event.venue]
        first = event.equity_eur if before.first_eur is None else before.first_eur
        results[event.venue] = replace(before, first_eur=first, last_eur=event.equity_eur)
    elif isinstance(event, e.FillBooked):
        results[event.venue] = _with_fill(results[event.venue], event, state)


def _with_fill(before: Result, event: e.FillBooked, state: State) -> Result:
    quote = state.policy.eur_rate.asset if state.policy is not None else ""
    base = event.symbol.removesuffix(quote)
    sign = 1 if event.side is Side.BUY else -1
    flow = _plus(_plus(before.flow, base, sign * event.quantity), quote, -sign * event.quote)
    return replace(
        before,
        fills=before.fills + 1,
        volume_quote=before.volume_quote + event.quote,
        flow=flow,
        fees=_plus(before.fees, event.fee_asset, event.fee),
    )


def _plus(amounts: Mapping[str, Decimal], asset: str, amount: Decimal) -> Mapping[str, Decimal]:
    return {**amounts, asset: amounts.get(asset, ZERO) + amount}


def _differs(why: str, code: str = "replay-differs") -> IntegrityError:
    return IntegrityError(why, code=code, remedy="Halt, keep a copy of the journal unchanged, and run `gatehouse journal verify`.")
