"""Measurements that are held back: every figure is the one that journalling each would give, and a crash only makes it worse."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.held import HOLD_COMPARED_MS, HOLD_SAMPLE_MS
from controller.core.effects import Place
from exchange.model import OrderStatus, Side
from exchange.ports import VenueName
from gates.measure import Tally, metrics
from policies.authority import Verb
from policies.rules import MetricName
from policies.stage import Environment, Stage
from tests.support.desk import D, Desk, replace
from tests.support.holding import HoldingDesk, Pair, judged
from tests.support.tries import tries

TESTNET = VenueName.TESTNET
BASES = (Desk().walk_to(Stage.TESTNET_VALIDATING), Desk().walk_to(Stage.LIVE_EUR10))


@pytest.fixture
def desk() -> HoldingDesk:
    made = HoldingDesk.of(BASES[0])
    quiet(made, 5_000)
    made.give(i.Stopping())
    return made


def quiet(desk: Desk, ms: int) -> None:
    """Time in which nothing changes: four ticks a second, a sweep of every account every three seconds."""
    for at in range(0, ms, 250):
        desk.pass_time(250)
        if at % 3_000 == 0:
            desk.sweep_all()
        desk.tick()


def trade(desk: Desk) -> None:
    if desk.state.position.stage is Stage.HALTED:
        return
    side = Side.SELL if desk.state.order_number % 2 else Side.BUY
    decision = desk.order("0.00003", f"{desk.price:.2f}", side=side)
    if not any(isinstance(effect, Place) for effect in decision.effects):
        return
    client_id = desk.placed(decision)
    order = replace(desk.state.orders[client_id])
    fill = replace(desk.trade_of(order, D("0.00003")), trade_id=f"T-{client_id}")
    desk.trades[order.venue][-1] = fill
    desk.give(i.VenueReported(order.venue, fill))
    desk.give(i.VenueReported(order.venue, desk.report(client_id, OrderStatus.FILLED, "0.00003")))


def move(desk: Desk, by: Decimal) -> None:
    desk.price += by
    desk.tick()


def late(desk: Desk, ms: int) -> None:
    desk.pass_time(ms)
    desk.tick()


def refused(desk: Desk) -> None:
    """A bot that sends too many orders for the policy."""
    for _ in range(12):
        desk.pass_time(20)
        desk.order("0.00003", f"{desk.price - 600:.2f}")


def blind(desk: Desk) -> None:
    desk.pass_time(1_000)
    desk.tick(quoted=False)


def silent(desk: Desk) -> None:
    desk.pass_time(1_000)
    desk.give(replace(desk.seen(), bots={}))


def clock(desk: Desk, offset: int, uncertainty: int) -> None:
    desk.pass_time(1_000)
    offsets, unsure = dict.fromkeys(VenueName, offset), dict.fromkeys(VenueName, uncertainty)
    desk.give(replace(desk.seen(), clock_offset_ms=offsets, clock_uncertainty_ms=unsure))


def differs(desk: Desk) -> None:
    """One sweep that does not agree, which the next one does not confirm."""
    desk.sweep(TESTNET, balances={})
    desk.pass_time(500)
    desk.sweep(TESTNET)


STEPS: st.SearchStrategy[Callable[[Desk], object]] = st.one_of(
    st.builds(lambda ms: partial(quiet, ms=ms), st.sampled_from([1_000, 7_000, 40_000])),
    st.builds(lambda by: partial(move, by=D(by)), st.sampled_from(["-30", "-2", "2", "30"])),
    st.builds(lambda ms: partial(late, ms=ms), st.sampled_from([100, 999, 1_000, 4_999, 5_001, 9_000])),
    st.builds(lambda ms, unsure: partial(clock, offset=ms, uncertainty=unsure), st.integers(-40, 40), st.sampled_from([0, 5, 900])),
    st.sampled_from([trade, blind, silent, differs]),
)


@settings(max_examples=tries(40))
@given(st.sampled_from(BASES), st.lists(st.one_of(STEPS, st.just(refused)), min_size=1, max_size=25))
def test_what_is_judged_is_what_journalling_each_would_give(base: Desk, steps: list[Callable[[Desk], object]]) -> None:
    pair = Pair(base)
    for step in steps:
        pair.both(step)
        assert judged(pair.holding.now_seen) == judged(pair.plain.state)
    assert len(pair.holding.journal) <= len(pair.plain.journal)


@settings(max_examples=tries(40))
@given(st.sampled_from(BASES), st.lists(STEPS, min_size=1, max_size=15), st.lists(STEPS, max_size=8))
def test_a_crash_makes_no_figure_better(
    base: Desk, before: list[Callable[[Desk], object]], after: list[Callable[[Desk], object]]
) -> None:
    pair = Pair(base)
    for step in before:
        pair.both(step)
    pair.plain.boot()
    pair.holding.die()
    for step in (partial(quiet, ms=4_000), *after):
        pair.both(step)
    plain, holding = pair.plain.state, pair.holding.now_seen
    assert holding.position == plain.position
    assert plain.tally is not None
    assert holding.tally is not None
    never_better(holding.tally, plain.tally)
    for name in VenueName:
        assert holding.ledger(name).peak_eur == plain.ledger(name).peak_eur
        assert holding.ledger(name).day_start_eur == plain.ledger(name).day_start_eur
    assert plain.tally.covered_ms - holding.tally.covered_ms <= HOLD_SAMPLE_MS


SMALLER_IS_WORSE = {MetricName.COVERED_MS, MetricName.COVERAGE_RATIO, MetricName.RECONCILIATIONS}
LARGER_IS_WORSE = {MetricName.LONGEST_GAP_MS, MetricName.LONGEST_UNPROTECTED_MS, MetricName.UNPROTECTED_MS}


def never_better(found: Tally, true: Tally) -> None:
    """Every metric of ``found`` is the true one, or worse."""
    for ours, theirs in zip(metrics(found, Environment.REHEARSAL), metrics(true, Environment.REHEARSAL), strict=True):
        assert (ours.value is None) >= (theirs.value is None), ours.name
        if ours.value is None or theirs.value is None:
            continue
        if ours.name in SMALLER_IS_WORSE:
            assert ours.value <= theirs.value, ours.name
        elif ours.name in LARGER_IS_WORSE:
            assert ours.value >= theirs.value
        else:
            assert ours.value == theirs.value, ours.name


# What becomes an entry, and when


def taken(desk: HoldingDesk) -> int:
    """When the newest sample was made. It is held."""
    assert desk.held.sample is not None
    assert desk.held.sample.taken_at is not None
    return desk.held.sample.taken_at


def test_half_a_minute_in_which_nothing_changed_is_one_sample(desk: HoldingDesk) -> None:
    before = len(desk.journal)
    quiet(desk, HOLD_SAMPLE_MS)
    assert not desk.journal[before:]
    quiet(desk, 1_000)
    (sample,) = [event for event, _ in desk.journal[before:]]
    assert isinstance(sample, e.Sampled)
    assert (sample.count, sample.interval_ms) == (30, 30_000)
    assert sample.equity_low_eur == sample.equity_high_eur == sample.equity_eur


def test_a_minute_of_unchanged_sweeps_is_one_entry_for_each_account(desk: HoldingDesk) -> None:
    before = len(desk.journal)
    quiet(desk, HOLD_COMPARED_MS + 3_000)
    found = [event for event, _ in desk.journal[before:] if isinstance(event, e.Reconciled)]
    assert [event.venue for event in found] == sorted(VenueName)
    assert {event.count for event in found} >= {21}


def test_the_lowest_and_highest_figures_are_kept(desk: HoldingDesk) -> None:
    trade(desk)
    quiet(desk, 2_000)
    move(desk, D(-3000))
    quiet(desk, 2_000)
    desk.give(i.Stopping())
    before = len(desk.journal)
    exposures = []
    for price in ("1000", "-500", "700", "-100"):
        desk.price += D(price)
        desk.pass_time(1_000)
        desk.tick()
        exposures.append(desk.held.sample.exposure_eur)
    desk.give(i.Stopping())
    (sample,) = [event for event, _ in desk.journal[before:] if isinstance(event, e.Sampled)]
    assert sample.count == 4
    assert sample.equity_low_eur < sample.equity_eur < sample.equity_high_eur
    assert sample.exposure_high_eur == max(exposures) > exposures[-1]


def _new_peak(desk: Desk) -> None:
    desk.price += 100
    late(desk, 1_000)


AT_ONCE: list[tuple[Callable[[Desk], object], type[e.Event]]] = [
    (_new_peak, e.Sampled),
    (blind, e.Sampled),
    (silent, e.Sampled),
    (differs, e.Reconciled),
    (partial(clock, offset=-30, uncertainty=0), e.Sampled),
    (partial(late, ms=6_000), e.Sampled),
]


@pytest.mark.parametrize(("what", "kind"), AT_ONCE)
def test_what_is_judged_becomes_an_entry_at_once(desk: HoldingDesk, what: Callable[[Desk], object], kind: type[e.Event]) -> None:
    trade(desk)
    quiet(desk, 3_000)
    assert desk.held
    before = len(desk.journal)
    what(desk)
    assert kind in [type(event) for event, _ in desk.journal[before:]]


def test_an_account_that_has_not_agreed_since_the_start_is_not_held(desk: HoldingDesk) -> None:
    for _ in range(3):
        desk.sweep(TESTNET, balances={})
    desk.die()
    before = len(desk.journal)
    for _ in range(3):
        desk.pass_time(3_000)
        desk.sweep(TESTNET, balances={})
    found = [event for event, _ in desk.journal[before:] if isinstance(event, e.Reconciled)]
    assert [event.count for event in found] == [1, 1, 1]


def test_no_entry_is_older_than_what_was_measured_before_it(desk: HoldingDesk) -> None:
    quiet(desk, 10_000)
    before, taken_at = len(desk.journal), taken(desk)
    desk.pass_time(100)
    desk.order("0.00003")
    kinds = [event.kind for event, _ in desk.journal[before:]]
    assert kinds == ["sampled", "reconciled", "reconciled", "reconciled", "order-admitted"]
    sample = desk.journal[before][0]
    assert isinstance(sample, e.Sampled)
    assert sample.taken_at == taken_at


def test_evidence_is_sealed_with_everything_measured_until_then(desk: HoldingDesk) -> None:
    quiet(desk, 10_000)
    taken_at = taken(desk)
    desk.command(Verb.HALT, replace(desk.state.position, stage=Stage.HALTED))
    assert not desk.held
    assert desk.state.tally is not None
    assert desk.state.tally.last_at == taken_at


def test_a_proposal_that_anybody_may_send_writes_nothing(desk: HoldingDesk) -> None:
    quiet(desk, 10_000)
    held, target = desk.held, replace(desk.state.position, stage=Stage.HALTED)
    assert not desk.give(i.ProposalAsked(Verb.HALT, target, seal=False)).events
    assert desk.held == held
    assert desk.give(i.ProposalAsked(Verb.HALT, target)).events


def test_a_planned_stop_loses_nothing(desk: HoldingDesk) -> None:
    quiet(desk, 10_000)
    seen = desk.now_seen
    desk.give(i.Stopping())
    assert desk.state == seen
    assert not desk.give(i.Stopping()).events


def test_what_was_folded_once_is_what_folding_it_again_gives(desk: HoldingDesk) -> None:
    quiet(desk, 20_000)
    assert desk.held.sample is not None
    assert desk.now_seen.at == desk.now
    desk.pass_time(300)
    never_folded = replace(desk.held)
    assert desk.now_seen == never_folded.over(desk.state, desk.now)


def test_what_was_folded_into_one_state_is_folded_anew_into_another(desk: HoldingDesk) -> None:
    quiet(desk, 20_000)
    other = replace(desk.state, started_at=desk.state.started_at + 1)
    assert desk.now_seen != desk.held.over(other, desk.now)
    assert desk.held.over(other, desk.now) == replace(desk.held).over(other, desk.now)
