"""Time passing: samples, coverage and its reasons, and every guard on its way from NO_ENTRY to HALT."""

from collections.abc import Callable

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.effects import Alert, AlertKind, CancelAll, Latch, LookUp
from exchange.model import DataSource, Millis, OrderStatus, Side
from exchange.ports import Rejected, Unknown, VenueName
from policies.authority import Verb
from policies.guards import ClockOffset, GuardName, Measured
from policies.stage import Stage
from policies.values import replace
from tests.support.desk import SYMBOL, D, Desk

MOCK, LIVE = VenueName.MOCK, VenueName.LIVE
DAY_MS = 86_400_000


@pytest.fixture
def desk() -> Desk:
    desk = Desk().arm()
    desk.run(2_000)
    return desk


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3_000)
    return desk


def last_sample(desk: Desk) -> e.Sampled:
    sample = desk.events(e.Sampled)[-1]
    assert isinstance(sample, e.Sampled)
    return sample


def tick(desk: Desk, **changes: object) -> None:
    """A tick of which something is different."""
    market = desk.market()
    usual: dict[str, object] = {
        "markets": {VenueName.TESTNET: market, LIVE: market},
        "clock_offset_ms": dict.fromkeys(VenueName, 3),
        "bots": desk.heard(),
    }
    desk.give(i.Tick(**{**usual, **changes}))  # type: ignore[arg-type]


def halted_by(desk: Desk) -> str:
    assert desk.state.position.stage is Stage.HALTED
    breach = desk.events(e.BreachDetected)[-1]
    assert isinstance(breach, e.BreachDetected)
    assert breach.level == "HALT"
    return breach.guard


# Samples


def test_a_sample_is_taken_once_a_second_however_often_time_ticks(desk: Desk) -> None:
    before = len(desk.events(e.Sampled))
    for _ in range(40):
        desk.pass_time(50)
        desk.tick()
    assert len(desk.events(e.Sampled)) - before == 2


def test_the_first_known_equity_is_sampled_at_once() -> None:
    desk = Desk()
    desk.boot()
    desk.sweep_all()
    desk.pass_time(20)
    desk.tick()
    assert last_sample(desk).equity_eur is not None
    assert desk.state.ledger(MOCK).day_start_eur == last_sample(desk).equity_eur


def test_an_account_that_cannot_be_valued_does_not_flood_the_journal() -> None:
    desk = Desk().arm()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    ledger = replace(desk.state.ledger(MOCK), day_start_eur=None, sampled_at=None)
    desk.state = replace(desk.state, ledgers=desk.state.ledgers.set(MOCK, ledger))
    desk.journal.clear()
    for _ in range(100):
        desk.pass_time(20)
        desk.tick(quoted=False)
    assert [event.equity_eur for event in desk.events(e.Sampled) if isinstance(event, e.Sampled)] == [None, None]


def test_equity_values_holdings_at_the_bid(desk: Desk) -> None:
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.pass_time(1_000)
    desk.tick()
    expected = (D(100) - D("5.4") + D("0.00009") * (desk.price - D("0.5"))) / D("1.09")
    assert last_sample(desk).equity_eur == expected.quantize(D("0.00000001"), rounding="ROUND_DOWN")


def test_a_sample_carries_its_source_and_whether_time_was_accelerated(desk: Desk) -> None:
    desk.pass_time(1_000)
    market = i.Market(DataSource.SYNTHETIC, True, {SYMBOL: desk.quote()}, {SYMBOL: desk.now}, desk.market().rules)
    tick(desk, markets={LIVE: market})
    assert (last_sample(desk).source, last_sample(desk).accelerated) == (DataSource.SYNTHETIC, True)
    desk.run(5_000)
    tally = desk.state.tally
    assert tally is not None
    assert (tally.source, tally.accelerated) == (DataSource.SYNTHETIC, True)


def test_a_second_with_all_inputs_counts_as_covered(desk: Desk) -> None:
    desk.run(1_000)
    sample = last_sample(desk)
    assert (sample.covered, sample.uncovered_reason, sample.interval_ms) == (True, "", 1_000)


def _no_quote(desk: Desk) -> None:
    desk.tick(quoted=False)


def _old_quote(desk: Desk) -> None:
    desk.tick(age_ms=2_001)


def _silent_bot(desk: Desk) -> None:
    tick(desk, bots=desk.heard(ago_ms=120_001))


def _no_bot(desk: Desk) -> None:
    tick(desk, bots={})


def _dirty_books(desk: Desk) -> None:
    desk.sweep(MOCK, balances={})
    desk.tick()


def _unarmed(desk: Desk) -> None:
    desk.boot()
    desk.pass_time(1_000)
    desk.tick()


UNCOVERED: list[tuple[Callable[[Desk], None], str]] = [
    (_no_quote, "no valid order book for BTCUSDT"),
    (_old_quote, "the quote for BTCUSDT is older than 2000 ms"),
    (_silent_bot, "the bot demo-bot is silent for longer than 120000 ms"),
    (_no_bot, "the bot demo-bot was not heard since this process started"),
    (_dirty_books, "reconciliation is not clean"),
    (_unarmed, "the venues are not reconciled yet"),
]


@pytest.mark.parametrize(("what", "why"), UNCOVERED)
def test_a_second_with_a_missing_input_is_not_covered(desk: Desk, what: Callable[[Desk], None], why: str) -> None:
    desk.pass_time(1_000)
    what(desk)
    assert (last_sample(desk).covered, last_sample(desk).uncovered_reason) == (False, why)


def test_a_halted_deployment_is_sampled_on_the_venue_it_left(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    desk.run(2_000)
    assert last_sample(desk).venue is LIVE
    assert last_sample(desk).covered


# Guards


@pytest.mark.parametrize(("age_ms", "level"), [(2_000, ""), (2_001, "NO_ENTRY"), (5_000, "NO_ENTRY"), (5_001, "CANCEL_ALL")])
def test_a_stale_quote_restricts_step_by_step(desk: Desk, age_ms: int, level: str) -> None:
    desk.tick(age_ms=age_ms)
    assert desk.state.guard_level == level
    assert desk.state.position.stage is Stage.MOCK


def test_a_quote_that_stays_stale_halts_with_real_money(desk: Desk, live: Desk) -> None:
    desk.tick(age_ms=15_001)
    assert (desk.state.guard_level, desk.state.position.stage) == ("CANCEL_ALL", Stage.MOCK)
    desk = live.fork()
    desk.tick(age_ms=15_001)
    assert halted_by(desk) == "quote-stale"


def test_reaching_cancel_all_cancels_once(desk: Desk) -> None:
    desk.tick(age_ms=5_001)
    assert [effect.venue for effect in desk.decisions[-1].effects if isinstance(effect, CancelAll)] == [MOCK]
    desk.tick(age_ms=5_500)
    assert desk.decisions[-1].effects == ()


def test_a_restriction_ends_when_its_cause_is_gone(desk: Desk) -> None:
    desk.tick(age_ms=2_001)
    desk.tick()
    levels = [event.level for event in desk.events(e.GuardLevelChanged) if isinstance(event, e.GuardLevelChanged)]
    assert levels[-2:] == ["NO_ENTRY", ""]


@pytest.mark.parametrize(("offset", "level"), [(500, ""), (501, "NO_ENTRY"), (-501, "NO_ENTRY")])
def test_a_wrong_clock_stops_entries(desk: Desk, offset: int, level: str) -> None:
    tick(desk, clock_offset_ms=dict.fromkeys(VenueName, offset))
    assert desk.state.guard_level == level


@pytest.mark.parametrize("offset", [901, -901])
def test_a_very_wrong_clock_halts(desk: Desk, offset: int) -> None:
    tick(desk, clock_offset_ms=dict.fromkeys(VenueName, offset))
    assert halted_by(desk) == "clock-offset"


def test_an_unmeasured_clock_stops_entries_and_then_halts(live: Desk) -> None:
    desk = live.fork()
    tick(desk, clock_offset_ms={})
    assert desk.state.guard_level == "NO_ENTRY"
    for _ in range(16):
        desk.pass_time(1_000)
        desk.sweep_all()
        tick(desk, clock_offset_ms={})
    assert halted_by(desk) == "clock-offset"


def unsure(desk: Desk, good: dict[VenueName, Measured[ClockOffset]] | None = None) -> None:
    """A tick after a question that took 0.1 s there and 2.0 s back between equal clocks."""
    offsets, uncertainty = dict.fromkeys(VenueName, 950), dict.fromkeys(VenueName, 1_051)
    tick(desk, clock_offset_ms=offsets, clock_uncertainty_ms=uncertainty, clock_good=good or {})


def test_an_offset_that_may_be_all_travel_time_only_stops_entries(desk: Desk) -> None:
    unsure(desk)
    assert (desk.state.guard_level, desk.state.position.stage) == ("NO_ENTRY", Stage.MOCK)
    assert "cannot be judged" in desk.state.guard_reason
    desk.tick()
    assert desk.state.guard_level == ""


def test_a_clock_that_stays_uncertain_goes_one_step_down_at_its_deadline(live: Desk) -> None:
    desk = live.fork()
    deadline = desk.policy.guards.blind_deadline_ms
    desk.run(deadline + 5_000)
    good = {VenueName.LIVE: Measured(ClockOffset(3, 0), desk.now)}
    judged = desk.now
    while desk.now - judged < deadline:
        desk.pass_time(1_000)
        desk.sweep_all()
        assert desk.state.position.stage is Stage.LIVE_EUR10
        unsure(desk, good)
    desk.pass_time(1_000)
    desk.sweep_all()
    unsure(desk, good)
    assert desk.state.position.stage is Stage.VALIDATED


@pytest.mark.parametrize("stage", [Stage.MOCK, Stage.TESTNET_VALIDATING, Stage.VALIDATED, Stage.LIVE_EUR10, Stage.RAMPING])
def test_one_missing_measurement_halts_at_no_stage(stage: Stage) -> None:
    desk = Desk()
    desk.walk_to(stage, 1 if stage is Stage.RAMPING else 0)
    desk.run(224_000)
    good = dict.fromkeys(VenueName, Measured(ClockOffset(3, 0), desk.now))
    desk.pass_time(650)
    tick(desk, clock_offset_ms={}, clock_good=good)
    assert (desk.state.guard_level, desk.state.position.stage) == ("NO_ENTRY", stage)
    assert "measured well enough 650 ms ago" in desk.state.guard_reason


def test_a_ramp_step_on_the_same_venue_gives_a_blind_clock_no_more_time() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    since = desk.state.watched_since
    desk.walk_to(Stage.RAMPING, 1)
    assert desk.state.watched_since == since
    assert desk.state.stage_since > since
    good = dict.fromkeys(VenueName, Measured(ClockOffset(3, 0), Millis(desk.state.stage_since - 20_000)))
    tick(desk, clock_offset_ms={}, clock_good=good)
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_a_demotion_to_another_venue_begins_to_guard_its_clock() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    old = dict.fromkeys(VenueName, Measured(ClockOffset(3, 0), Millis(desk.now - 600_000)))
    desk.move(Verb.DEMOTE, Stage.VALIDATED, signers=("alice",))
    assert desk.state.watched_since == desk.now
    tick(desk, clock_offset_ms={}, clock_good=old)
    assert (desk.state.guard_level, desk.state.position.stage) == ("NO_ENTRY", Stage.VALIDATED)


def test_the_gate_keeps_the_largest_offset_that_is_certain(desk: Desk) -> None:
    before = desk.state.tally
    assert before is not None
    for offset, uncertainty in ((300, 100), (950, 1_051), (-400, 150), (500, -1), (1, -5_000)):
        desk.pass_time(1_000)
        desk.sweep_all()
        tick(
            desk,
            clock_offset_ms=dict.fromkeys(VenueName, offset),
            clock_uncertainty_ms=dict.fromkeys(VenueName, uncertainty),
        )
    tally = desk.state.tally
    assert tally is not None
    assert (tally.clock_offset_max_ms, tally.clock_samples) == (250, before.clock_samples + 2)


def test_a_market_without_quotes_halts(live: Desk) -> None:
    desk = live.fork()
    for _ in range(16):
        desk.pass_time(1_000)
        desk.sweep_all()
        tick(desk, markets={})
    assert halted_by(desk) in {"quote-stale", "daily-loss", "drawdown"}


def test_a_short_gap_in_quotes_does_not_halt_with_holdings(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.run(20_000)
    for _ in range(8):
        desk.pass_time(500)
        desk.sweep_all()
        desk.tick(quoted=False)
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_holdings_without_a_value_past_the_deadline_halt(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.run(3_000)
    for _ in range(17):
        desk.pass_time(1_000)
        desk.sweep_all()
        desk.tick(quoted=False)
    assert halted_by(desk) in {"daily-loss", "drawdown"}


def test_after_a_restart_holdings_may_lack_a_quote_until_the_deadline(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.run(3_000)
    desk.pass_time(3_600_000)
    desk.boot()
    desk.sweep_all()
    desk.tick(quoted=False)
    assert desk.state.position.stage is Stage.LIVE_EUR10
    assert desk.state.guard_level == "NO_ENTRY"


def test_missing_reconciliations_stop_entries_and_then_halt(live: Desk) -> None:
    desk = live.fork()
    looked_up = []
    for _ in range(32):
        desk.pass_time(1_000)
        desk.tick()
        stage = desk.state.position.stage
        looked_up.append(stage.value if stage is Stage.HALTED else desk.state.guard_level or stage.value)
    assert list(dict.fromkeys(looked_up)) == ["LIVE_€10", "NO_ENTRY", "HALTED"]
    assert halted_by(desk) == "reconciliation"


def test_an_outcome_that_stays_unknown_halts(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"), Unknown("time-out"))
    desk.run(30_000)
    assert desk.state.position.stage is Stage.MOCK
    desk.run(1_000)
    assert halted_by(desk) == "unknown-order"
    assert desk.state.orders[client_id].status is OrderStatus.UNKNOWN


def test_too_many_rejections_halt_only_with_enough_samples(desk: Desk) -> None:
    for number in range(20):
        desk.pass_time(100)
        desk.placed(desk.order("0.00002"), Rejected(30004, "no"))
        desk.tick()
        assert (desk.state.position.stage is Stage.HALTED) == (number == 19)
    assert halted_by(desk) == "reject-rate"


def test_a_daily_loss_halts_and_latches_first(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.price *= D("0.9")
    desk.tick()
    assert halted_by(desk) == "daily-loss"
    effects = desk.decisions[-1].effects
    assert isinstance(effects[0], Latch)
    assert {effect.kind for effect in effects if isinstance(effect, Alert)} == {AlertKind.BREACH, AlertKind.HALTED}


def test_a_new_day_resets_the_daily_loss_but_not_the_drawdown(live: Desk) -> None:
    desk = live.fork()
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    start = desk.state.ledger(LIVE).day_start_eur
    desk.price *= D("0.95")
    desk.run(2_000)
    desk.pass_time(DAY_MS - desk.now % DAY_MS)
    desk.sweep_all()
    desk.tick()
    ledger = desk.state.ledger(LIVE)
    assert start is not None
    assert ledger.day_start_eur is not None
    assert ledger.day_start_eur < start
    assert ledger.peak_eur == start


def test_a_halted_deployment_only_records_the_guard_level(live: Desk) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    tick(desk, clock_offset_ms=dict.fromkeys(VenueName, 5_000))
    assert desk.events(e.BreachDetected) == []
    assert (desk.state.guard_level, desk.state.guard) == ("HALT", GuardName.CLOCK_OFFSET)
    assert desk.decisions[-1].effects == ()


def test_unknown_orders_are_looked_up_even_while_halted(desk: Desk) -> None:
    client_id = desk.placed(desk.order("0.00003"), Unknown("time-out"))
    desk.give(i.HaltAsked("test", "stop"))
    desk.tick()
    assert LookUp(MOCK, SYMBOL, client_id) in desk.decisions[-1].effects


def test_a_sell_of_everything_needs_no_quote(desk: Desk) -> None:
    desk.fill(desk.placed(desk.order("0.00009")), "0.00009")
    desk.fill(desk.placed(desk.order("0.00009", side=Side.SELL)), "0.00009")
    desk.pass_time(1_000)
    desk.tick(quoted=False)
    assert last_sample(desk).equity_eur is not None
