"""What is true now, as values of gauges: pure, from what the writer last published and the time (ADR 65).

Every fact is judged by its age when it is collected, so none stays green because nobody renews it. A writer that decides nothing
makes ``gatehouse.armed`` 0 after ``LATE_NS``; an account that is not valued any more has no equity after ``SAMPLE_STALE_MS``.
``controller.telemetry.book`` calls it; ``runtime.api.facts`` makes what is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from controller.core.alert_catalogue import INFORMS
from controller.core.decisions import bot_liveness
from controller.core.effects import AlertKind
from controller.core.inputs import Tick
from controller.core.state import State
from controller.telemetry import instruments as i
from controller.telemetry.instruments import Instrument
from exchange.model import Millis, OrderStatus
from exchange.ports import VenueName
from policies.guards import Level
from policies.ramp import cap_eur
from policies.schema import Policy
from policies.stage import Stage

LATE_NS = 2_000_000_000
"""A writer whose last decided tick is older places no order, whatever was true then."""

SAMPLE_STALE_MS = 60_000
"""A value of an account that is older is not shown as its present value."""

NO_LEVEL = "none"
"""The level while no guard demands one."""

Fact = tuple[Instrument, tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Target:
    """A checkpoint target: its name, when it last agreed, and whether it agrees now."""

    name: str
    at: Millis | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process saw at one moment.

    ``decided_ns`` is when the last tick was decided, and ``permit_until_ns`` until when an order may be placed, both monotonic;
    0 where none may. ``tick`` has what was measured then, ``unreached`` the venues that did not answer. A standby measures nothing.
    """

    state: State
    leads: bool
    decided_ns: int | None
    permit_until_ns: int
    tick: Tick | None = None
    unreached: frozenset[VenueName] = frozenset()
    targets: tuple[Target, ...] = ()


def observe(seen: Seen | None, now_ns: int, now: Millis) -> Iterator[Fact]:
    """Every gauge that has a value now. ``now_ns`` is monotonic."""
    remaining_ns = _permit_ns(seen, now_ns)
    yield i.ARMED, (), int(remaining_ns > 0)
    yield i.PERMIT_REMAINING, (), remaining_ns / 1e9
    yield i.LEADING, (), int(seen is not None and seen.leads)
    if seen is None or not seen.state.seq:
        return
    if seen.decided_ns is not None:
        yield i.DECISION_AGE, (), max(0, now_ns - seen.decided_ns) / 1e9
    yield from _deployment(seen.state, now)
    yield from _orders(seen.state, now)
    yield from _copies(seen, now)
    if seen.state.policy is not None:
        yield from _money(seen.state, seen.state.policy, now)
        yield from _reconciled(seen.state, seen.state.policy, now)
        if seen.tick is not None:
            yield from _venues(seen, seen.tick, now)
            yield from _bots(seen.state, seen.state.policy, seen.tick, now)


def _permit_ns(seen: Seen | None, now_ns: int) -> int:
    if seen is None or not seen.leads or not seen.state.may_send_orders:
        return 0
    if seen.decided_ns is None or now_ns - seen.decided_ns > LATE_NS:
        return 0
    return max(0, seen.permit_until_ns - now_ns)


def _deployment(state: State, now: Millis) -> Iterator[Fact]:
    here = state.position
    for stage in Stage:
        yield i.STAGE, (stage.value,), int(stage is here.stage)
    halted = here.stage is Stage.HALTED
    yield i.HALTED, (), int(halted)
    if halted and state.halt_cause is not None:
        yield i.HALT_CAUSE, (state.halt_cause.value,), 1
    yield i.STAGE_AGE, (), _age(state.stage_since, now)
    yield i.RAMP_STEP, (), here.step
    for level in (NO_LEVEL, *Level.__members__):
        yield i.GUARD_LEVEL, (level,), int(level == (state.guard_level or NO_LEVEL))
    yield i.COMMAND_PENDING, (), int(state.pending is not None)
    for kind in AlertKind:
        if kind not in INFORMS:
            yield i.ALERTS_OPEN, (kind.value,), sum(1 for alert in state.alerts if alert.kind is kind)
    yield i.DRILL_RUNNING, (), int(state.drill is not None)
    for drill, record in state.drills.items():
        yield i.DRILL_AGE, (drill.value,), _age(record.at, now)
        yield i.DRILL_PASSED, (drill.value,), int(not record.ended_by)
    if state.tally is not None:
        yield i.RUN_TIME, (), _age(state.tally.started_at, now)
        yield i.RUN_COVERED, (), state.tally.covered_ms / 1000
    yield i.JOURNAL_SEQUENCE, (), state.seq


def _money(state: State, policy: Policy, now: Millis) -> Iterator[Fact]:
    yield i.EXPOSURE_LIMIT, (), float(cap_eur(policy, state.position.stage, state.position.step))
    for venue, ledger in state.ledgers.items():
        if ledger.sampled_at is None:
            continue
        yield i.SAMPLE_AGE, (venue.value,), _age(ledger.sampled_at, now)
        if now - ledger.sampled_at > SAMPLE_STALE_MS:
            continue
        run_start = state.tally.equity_start if state.tally is not None and venue is state.watched else None
        for instrument, amount in (
            (i.EXPOSURE, ledger.exposure_eur),
            (i.EQUITY, ledger.equity_eur),
            (i.PNL_DAY, _less(ledger.equity_eur, ledger.day_start_eur)),
            (i.PNL_RUN, _less(ledger.equity_eur, run_start)),
        ):
            if amount is not None:
                yield instrument, (venue.value,), float(amount)


def _reconciled(state: State, policy: Policy, now: Millis) -> Iterator[Fact]:
    for venue, ledger in state.ledgers.items():
        if ledger.reconciled_at is not None:
            yield i.RECONCILIATION_AGE, (venue.value,), _age(ledger.reconciled_at, now)
        if _in_use(state, venue):
            fresh = ledger.reconciled_at is not None and now - ledger.reconciled_at <= policy.guards.reconciliation.max_age_ms
            yield i.RECONCILED, (venue.value,), int(ledger.clean and fresh)


def _in_use(state: State, venue: VenueName) -> bool:
    return venue is state.watched or any(order.venue is venue for order in state.open.values())


def _orders(state: State, now: Millis) -> Iterator[Fact]:
    counts = {(venue, name): 0 for venue in VenueName for name in ("working", "unknown", "ending")}
    longest = 0.0
    for order in state.open.values():
        unknown = order.status is OrderStatus.UNKNOWN
        counts[order.venue, "unknown" if unknown else "working" if order.working else "ending"] += 1
        if unknown and order.unknown_since is not None:
            longest = max(longest, _age(order.unknown_since, now))
    for (venue, name), count in counts.items():
        yield i.ORDERS_OPEN, (venue.value, name), count
    yield i.UNKNOWN_AGE, (), longest


def _venues(seen: Seen, tick: Tick, now: Millis) -> Iterator[Fact]:
    policy = seen.state.policy
    if policy is not None:
        yield i.QUOTE_LIMIT, (), policy.guards.quote_stale.no_entry_ms / 1000
    for venue, market in tick.markets.items():
        for symbol, at in market.seen_at.items():
            yield i.QUOTE_AGE, (venue.value, symbol), _age(at, now)
    for venue in VenueName:
        yield i.VENUE_REACHABLE, (venue.value,), int(venue not in seen.unreached)
    for venue, offset in tick.clock_offset_ms.items():
        yield i.CLOCK_OFFSET, (venue.value,), offset / 1000
        yield i.CLOCK_UNCERTAINTY, (venue.value,), tick.clock_uncertainty_ms.get(venue, 0) / 1000
    for venue, streams in tick.streams.items():
        for stream in streams:
            yield i.STREAM_UP, (venue.value, stream.name), int(stream.down_since is None)


def _bots(state: State, policy: Policy, tick: Tick, now: Millis) -> Iterator[Fact]:
    for bot in bot_liveness.of_all(state, policy, tick.bots, now):
        yield i.BOT_LIVE, (bot.bot,), int(bot.live)
        if bot.heard is not None:
            yield i.BOT_HEARD_AGE, (bot.bot,), _age(bot.heard.at, now)


def _copies(seen: Seen, now: Millis) -> Iterator[Fact]:
    for target in seen.targets:
        yield i.CHECKPOINT_AGREES, (target.name,), int(target.agrees)
        if target.at is not None:
            yield i.CHECKPOINT_AGE, (target.name,), _age(target.at, now)


def _age(since: Millis, now: Millis) -> float:
    return max(0, now - since) / 1000


def _less(value: Decimal | None, start: Decimal | None) -> Decimal | None:
    return value - start if value is not None and start is not None else None
