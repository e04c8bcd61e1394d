"""The EUR rate renews itself inside the signed band, at every stage. Outside it a person signs; without a fresh one nobody buys."""

from __future__ import annotations

from decimal import Decimal

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import Admitted, Decision
from controller.core.decisions.rates import ANNOUNCED_AFTER_MS, line, rate_document
from controller.core.effects import Alert, AlertKind
from controller.core.lifecycle import Position
from controller.core.state import State
from controller.core.state_codec import pack, unpack
from exchange.errors import Refused
from exchange.model import Millis, Side
from exchange.ports import VenueName
from policies.authority import Verb
from policies.eur import NO_RATES, RateSource, lowest
from policies.limit_types import Deny
from policies.stage import Mode, Stage
from tests.support.desk import D, Desk, with_policy
from tests.support.flattening import hold
from tests.support.rates import DAY, ECB_MS, VENUE_MS, following, read, read_pair

SIZE = "0.00003"
STAGES = [(Stage.MOCK, 0), (Stage.TESTNET_VALIDATING, 0), (Stage.VALIDATED, 0), (Stage.LIVE_EUR10, 0), (Stage.RAMPING, 1)]
_WALKED: dict[tuple[Stage, int], Desk] = {}


def desk_at(stage: Stage, step: int = 0) -> Desk:
    """A desk at a stage, with the ECB's rate of 1.09 read at the start."""
    if (stage, step) not in _WALKED:
        desk = Desk(with_policy(eur_rate=following())).arm()
        read(desk)
        desk.walk_to(stage, step).run(3_000)
        _WALKED[stage, step] = desk
    return _WALKED[stage, step].fork()


@pytest.fixture
def desk() -> Desk:
    """A desk in MOCK that has read the ECB's file."""
    return desk_at(Stage.MOCK)


def rule_of(decision: Decision) -> str:
    """The rule that denied, or nothing when the order was admitted."""
    if isinstance(decision.reply, Admitted):
        return ""
    assert isinstance(decision.reply, Deny), decision.reply
    return str(decision.reply.rule)


def titles(desk: Desk) -> list[str]:
    return [one.title for one in desk.state.alerts]


# Inside the band


@pytest.mark.parametrize(("stage", "step"), STAGES)
def test_inside_the_band_the_rate_moves_without_a_signature(stage: Stage, step: int) -> None:
    desk = desk_at(stage, step)
    before = desk.state
    for day, rate in enumerate(("1.06", "1.12", "1.04"), start=1):
        desk.now = Millis(desk.now + DAY)
        read(desk, rate)
        desk.sweep_all()
        desk.tick()
        assert rule_of(desk.order(SIZE)) == "", day
    after = desk.state
    assert str(after.position) == str(Position(stage, step))
    assert after.governance_seq == before.governance_seq
    assert after.policy_digest == before.policy_digest
    assert after.tally is not None
    assert before.tally is not None
    assert after.tally.started_at == before.tally.started_at


def test_a_lower_rate_makes_the_same_holding_a_larger_exposure() -> None:
    desk = desk_at(Stage.LIVE_EUR10)
    hold(desk, SIZE)
    seen = []
    for rate in ("1.14", "1.04"):
        desk.pass_time(DAY // 24)
        read(desk, rate)
        desk.run(3_000)
        seen.append(desk.state.ledger(VenueName.LIVE).exposure_eur)
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[1] > seen[0] * D("1.09")


@pytest.mark.parametrize("rate", ["1.0356", "1.1444"])
def test_a_moving_rate_is_neither_a_profit_nor_a_loss(rate: str) -> None:
    desk = desk_at(Stage.LIVE_EUR10)
    before = desk.state.ledger(VenueName.LIVE)
    desk.pass_time(1000)
    read(desk, rate)
    desk.run(3_000)
    after = desk.state.ledger(VenueName.LIVE)
    assert after.equity_eur == before.equity_eur
    assert desk.state.position == Position(Stage.LIVE_EUR10)


def test_a_loss_is_counted_at_the_lowest_rate_of_the_band(desk: Desk) -> None:
    assert desk.state.policy is not None
    equity = desk.state.ledger(VenueName.MOCK).equity_eur
    assert equity is not None
    assert equity == (desk.usdt / lowest(desk.state.policy.eur_rate, NO_RATES)).quantize(D("0.00000001"), rounding="ROUND_DOWN")


# Outside the band, and stale


@pytest.mark.parametrize(("stage", "step"), STAGES)
def test_outside_the_band_buys_are_denied_until_a_rate_is_signed(stage: Stage, step: int) -> None:
    desk = desk_at(stage, step)
    before = desk.state
    hold(desk, SIZE)
    read(desk, "1.15")
    assert rule_of(desk.order(SIZE)) == "eur-rate-band"
    assert rule_of(desk.order(SIZE, side=Side.SELL)) == ""
    assert "the EUR rate is outside the band around the signed rate" in titles(desk)
    assert "`gatehouse set-rate RATE --key KEY --reason WHY`" in desk.state.alerts[-1].detail
    reply = desk.ask(Verb.SET_RATE, rate_document(D("1.15")))
    assert not reply.code, reply
    after = desk.state
    assert after.position == before.position
    assert after.policy_digest == before.policy_digest
    assert after.drills == before.drills
    assert after.tally is not None
    assert before.tally is not None
    assert (after.tally.started_at, after.tally.covered_ms) == (before.tally.started_at, before.tally.covered_ms)
    assert rule_of(desk.order(SIZE)) == ""


@pytest.mark.parametrize(("stage", "step"), STAGES)
def test_without_a_fresh_reading_only_sales_pass(stage: Stage, step: int) -> None:
    desk = desk_at(stage, step)
    hold(desk, SIZE)
    desk.now = Millis(desk.state.rates.last[0].at + ECB_MS - 1)
    desk.sweep_all()
    desk.tick()
    assert rule_of(desk.order(SIZE)) == ""
    desk.pass_time(1)
    assert rule_of(desk.order(SIZE)) == "eur-rate"
    assert rule_of(desk.order(SIZE, side=Side.SELL)) == ""
    read(desk)
    assert rule_of(desk.order(SIZE)) == ""


def test_a_stale_rate_stops_no_halt_no_cancel_and_no_guard() -> None:
    desk = desk_at(Stage.LIVE_EUR10)
    placed = desk.placed(desk.order(SIZE, price="59900"))
    desk.now = Millis(desk.state.rates.last[0].at + ECB_MS)
    desk.sweep(VenueName.LIVE, orders=(desk.report(placed, desk.state.orders[placed].status),))
    cancelled = desk.give(i.CancelAsked("demo-bot", placed))
    assert [type(effect).__name__ for effect in cancelled.effects] == ["Cancel"]
    assert desk.state.ledger(VenueName.LIVE).valued_eur is not None
    desk.give(i.HaltAsked("test", "stop"))
    assert desk.state.position.stage is Stage.HALTED


def test_time_without_a_rate_is_not_covered(desk: Desk) -> None:
    desk.now = Millis(desk.now + ECB_MS)
    desk.boot()
    desk.sweep_all()
    desk.run(3_000)
    sampled = desk.events(e.Sampled)[-1]
    assert isinstance(sampled, e.Sampled)
    assert not sampled.covered
    assert "no fresh USDT rate" in sampled.uncovered_reason
    assert sampled.exposure_eur is None
    assert sampled.equity_eur is not None


def test_a_person_is_called_when_the_rate_stays_away(desk: Desk) -> None:
    fresh = Desk(with_policy(eur_rate=following())).arm()
    fresh.run(ANNOUNCED_AFTER_MS - 1_000)
    assert titles(fresh) == []
    fresh.run(10_000)
    assert titles(fresh) == ["there is no fresh EUR rate"]
    sent = [
        effect for one in fresh.decisions for effect in one.effects if isinstance(effect, Alert) and effect.kind is AlertKind.RATE
    ]
    assert len(sent) == 1
    assert desk.state.policy is not None
    assert "none: there is no fresh USDT rate from ecb or venue" in line(desk.state.policy.eur_rate, fresh.state.rates, fresh.now)


# Readings in the journal


def test_only_what_says_something_new_is_journalled(desk: Desk) -> None:
    before = len(desk.events(e.EurRateRead))
    for _ in range(48):
        desk.pass_time(1_800_000)
        desk.give(i.RateRead(RateSource.ECB, D("1.09"), D("1.09"), desk.state.rates.last[0].at))
    assert len(desk.events(e.EurRateRead)) == before
    read(desk, "1.091")
    assert len(desk.events(e.EurRateRead)) == before + 1


def test_a_pair_that_stands_still_adds_one_entry_in_half_its_deadline(desk: Desk) -> None:
    before = len(desk.events(e.EurRateRead))
    for minute in range(60):
        desk.pass_time(60_000)
        read_pair(desk, "1.09", "1.0905" if minute % 2 else "1.0904")
    assert len(desk.events(e.EurRateRead)) - before == 3_600_000 // (VENUE_MS // 2)
    assert rule_of_now(desk) == ""


def rule_of_now(desk: Desk) -> str:
    desk.sweep_all()
    desk.tick()
    return rule_of(desk.order(SIZE))


@pytest.mark.parametrize(("low", "high"), [("1.0885", "1.0905"), ("1.09", "1.093"), ("1.0915", "1.0916"), ("1.0895", "1.08951")])
def test_a_pair_that_moves_is_journalled_at_once(desk: Desk, low: str, high: str) -> None:
    read_pair(desk, "1.09", "1.091")
    before = len(desk.events(e.EurRateRead))
    desk.pass_time(60_000)
    read_pair(desk, low, high)
    assert len(desk.events(e.EurRateRead)) == before + 1


def test_a_pair_that_crosses_the_edge_of_the_band_is_journalled(desk: Desk) -> None:
    read_pair(desk, "1.144", "1.1444")
    assert rule_of_now(desk) == ""
    for high, rule in (("1.1446", "eur-rate-band"), ("1.1444", "")):
        desk.pass_time(60_000)
        read_pair(desk, "1.144", high)
        assert rule_of_now(desk) == rule


@pytest.mark.parametrize("age_ms", [-1, ECB_MS, 2 * DAY])
def test_a_reading_that_is_late_early_or_older_changes_nothing(desk: Desk, age_ms: int) -> None:
    desk.pass_time(DAY)
    read(desk, "1.1")
    assert not read(desk, "1.05", age_ms=age_ms).events


@pytest.mark.parametrize(("low", "high"), [("0", "0"), ("-1", "1"), ("1.1", "1.0")])
def test_a_reading_that_is_no_rate_changes_nothing(desk: Desk, low: str, high: str) -> None:
    desk.pass_time(60_000)
    assert not read_pair(desk, low, high).events


def test_a_pinned_policy_reads_nothing_and_calls_no_one() -> None:
    desk = Desk().arm()
    assert not read(desk, "9").events
    desk.run(ANNOUNCED_AFTER_MS + 10_000)
    assert titles(desk) == []
    assert rule_of(desk.order(SIZE)) == ""


def test_a_source_that_the_policy_does_not_follow_is_not_journalled() -> None:
    desk = Desk(with_policy(eur_rate=following(venue_max_age_ms=None))).arm()
    assert not read_pair(desk, "1.09", "1.1").events
    assert read(desk).events


def test_a_start_goes_on_with_what_was_read(desk: Desk) -> None:
    desk.pass_time(DAY)
    desk.boot()
    assert rule_of_now(desk) == ""


def test_a_snapshot_keeps_the_rates(desk: Desk) -> None:
    read_pair(desk, "1.09", "1.091")
    desk.ask(Verb.SET_RATE, rate_document(D("1.1")))
    (restored,) = unpack([State], memoryview(b"".join(pack(desk.state))))
    assert restored.rates == desk.state.rates
    assert restored.rates.centre == D("1.1")


# set-rate


def test_a_signed_rate_is_neither_a_profit_nor_a_loss() -> None:
    desk = desk_at(Stage.RAMPING, 1)
    read(desk, "1.04")
    before = desk.state
    desk.ask(Verb.SET_RATE, rate_document(D("1.04")))
    desk.run(3_000)
    ledger, earlier = desk.state.ledger(VenueName.LIVE), before.ledger(VenueName.LIVE)
    tally = desk.state.tally
    assert ledger.equity_eur is not None
    assert earlier.equity_eur is not None
    assert abs(ledger.equity_eur - earlier.equity_eur * D("1.09") / D("1.04")) < D("0.0000001")
    assert ledger.day_start_eur is not None
    assert tally is not None
    assert tally.equity_last is not None
    assert tally.equity_start is not None
    assert before.tally is not None
    assert before.tally.equity_last is not None
    assert before.tally.equity_start is not None
    shift = (tally.equity_last - tally.equity_start) - (before.tally.equity_last - before.tally.equity_start)
    assert abs(shift) < D("0.0000001")
    assert desk.state.position == Position(Stage.RAMPING, 1)
    assert desk.state.guard is None


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        (rate_document(D("1.09")), "nothing-changes"),
        (rate_document(D("1.3")), "rate-implausible"),
        (rate_document(D("0.9")), "rate-implausible"),
        ('{"quote_per_eur":"1.10"}', "rate-malformed"),
        ('{"quote_per_eur":1.1}', "rate-malformed"),
        ('{"quote_per_eur":"0"}', "rate-malformed"),
        ('{"quote_per_eur":"-1"}', "rate-malformed"),
        ('{"asset":"USDC","quote_per_eur":"1.1"}', "rate-malformed"),
        ('["1.1"]', "rate-malformed"),
        ("1.1", "rate-malformed"),
        ("\x00", "rate-malformed"),
    ],
)
def test_a_rate_that_cannot_be_signed_is_refused(desk: Desk, subject: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        desk.give(i.ProposalAsked(Verb.SET_RATE, desk.state.position, subject))
    assert caught.value.code == code


def test_a_pinned_rate_is_not_moved_by_a_signature() -> None:
    desk = Desk().arm()
    with pytest.raises(Refused) as caught:
        desk.give(i.ProposalAsked(Verb.SET_RATE, desk.state.position, rate_document(D("1.1"))))
    assert caught.value.code == "rate-pinned"


def test_one_person_of_a_team_moves_no_rate(desk: Desk) -> None:
    reply = desk.ask(Verb.SET_RATE, rate_document(D("1.1")), "alice")
    assert reply.code == "under-quorum"
    assert desk.state.rates.centre is None


def test_alone_a_rate_waits_and_can_be_vetoed() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO, eur_rate=following())).arm()
    read(desk)
    reply = desk.ask(Verb.SET_RATE, rate_document(D("1.1")), "alice")
    assert reply.applies_at is not None
    assert desk.state.rates.centre is None
    desk.run(reply.applies_at - desk.now)
    assert desk.state.rates.centre == D("1.1")
    assert desk.state.pending is None


def test_another_policy_begins_with_its_own_centre(desk: Desk) -> None:
    from policies.document import canonical_bytes

    desk.ask(Verb.SET_RATE, rate_document(D("1.1")))
    limits = desk.policy.limits.model_copy(update={"price_collar_bps": D(50)}).model_dump()
    desk.ask(Verb.SET_POLICY, canonical_bytes(with_policy(eur_rate=following(), limits=limits)).decode())
    assert desk.state.rates.centre is None
    assert desk.state.rates.last


def test_a_pinned_policy_takes_over_without_a_profit_or_a_loss(desk: Desk) -> None:
    from policies.document import canonical_bytes

    before = desk.state.ledger(VenueName.MOCK).day_start_eur
    desk.ask(Verb.SET_POLICY, canonical_bytes(with_policy()).decode())
    after = desk.state.ledger(VenueName.MOCK).day_start_eur
    assert before is not None
    assert after is not None
    assert abs(after - desk.usdt / Decimal("1.09")) < D("0.0000001")
    assert not desk.state.rates.last
