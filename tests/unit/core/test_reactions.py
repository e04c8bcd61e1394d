"""Every event at every stage, played through ``decide`` and compared with the table; and gaps of 120 and 121 s of a testnet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.evidence import judge
from controller.core.effects import Alert, AlertKind, CancelAll
from controller.core.lifecycle import Position
from controller.core.reactions import OCCURRENCES, Occurrence, Reaction, reactions
from controller.core.state import State
from exchange.model import Balance, Fill, OrderStatus, Side
from exchange.ports import Rejected, Unknown, VenueName
from gates.verdict import Verdict
from policies.authority import Verb
from policies.guards import ClockOffset, Level, Measured
from policies.rules import GateName
from policies.schema import Policy
from policies.stage import RISK_ORDER, WITHOUT_REAL_MONEY, Stage
from tests.support.desk import SYMBOL, D, Desk, demo_policy, with_policy
from tests.support.folding import fold

NAMES = {event.name: event for event in OCCURRENCES}
BLIND_HALT_MS = 600_000
GAP_MS = 120_000


def production_times(**blind_halt_ms: int) -> Policy:
    """The demo policy with the times of a production policy, and a validation that tolerates gaps of 120 s."""
    old = demo_policy().model_dump()
    guards = {
        **old["guards"],
        "quote_stale": {"no_entry_ms": 3_000, "cancel_ms": 15_000, "halt_ms": 60_000},
        "reconciliation": {"tolerated_breaks": 0, "max_age_ms": 60_000},
        "unknown_order": {"max_age_ms": 60_000},
        "blind_deadline_ms": 30_000,
        "blind_halt_ms": blind_halt_ms,
    }
    rules = ({**rule, "threshold": D(GAP_MS)} if rule["id"] == "longest-gap" else rule for rule in old["gates"]["validation"])
    return with_policy(guards=guards, gates={**old["gates"], "validation": tuple(rules)})


@cache
def desk_at(stage: Stage) -> Desk:
    policy = production_times(mock=BLIND_HALT_MS, testnet_validating=BLIND_HALT_MS, validated=BLIND_HALT_MS)
    desk = Desk(policy).walk_to(stage, 1 if stage is Stage.RAMPING else 0)
    desk.run(3_000)
    return desk


def venue_of(desk: Desk) -> VenueName:
    assert desk.state.watched is not None
    return desk.state.watched


def spend(desk: Desk, seconds: int, tick: Callable[[Desk], object] = Desk.tick, *, swept: bool = True) -> None:
    """Time passes, and the account is read every second unless the venue does not answer."""
    for _ in range(seconds):
        desk.pass_time(1_000)
        if swept:
            desk.sweep_all()
        tick(desk)


# What happens. What is returned shows the same again a second later.

Again = Callable[[Desk], object]


def _bot_silent(desk: Desk) -> Again:
    def tick(desk: Desk) -> object:
        return desk.give(replace(desk.seen(), bots=desk.heard(ago_ms=120_001)))

    spend(desk, 1, tick)
    return tick


def _quote(age_ms: int) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        seen_at = desk.now - age_ms
        desk.tick(age_ms=age_ms)
        return lambda desk: desk.tick(age_ms=desk.now - seen_at)

    return happen


def _hold(desk: Desk) -> None:
    bought = desk.placed(desk.order("0.00009"))
    desk.fill(bought, "0.00009")
    desk.give(i.VenueReported(venue_of(desk), desk.report(bought, OrderStatus.FILLED, "0.00009")))
    spend(desk, 2)


def _equity_unknown(desk: Desk) -> Again:
    def unpriced(desk: Desk) -> object:
        return desk.tick(quoted=False)

    _hold(desk)
    spend(desk, 31, unpriced)
    return unpriced


def _unread(seconds: int) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        spend(desk, seconds, swept=False)
        return Desk.tick

    return happen


def _no_clock(seconds: int, *, bounded: bool = True, held: bool = False) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        if held:
            _hold(desk)
        near = {venue: Measured(ClockOffset(10, 20), desk.now) for venue in VenueName}
        good = near if bounded else {venue: Measured(ClockOffset(10, 880), desk.now) for venue in VenueName}

        def tick(desk: Desk) -> object:
            return desk.give(replace(desk.seen(), clock_offset_ms={}, clock_good=good))

        spend(desk, seconds, tick)
        return tick

    return happen


def _clock(offset_ms: int) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        def tick(desk: Desk) -> object:
            return desk.give(replace(desk.seen(), clock_offset_ms=dict.fromkeys(VenueName, offset_ms)))

        spend(desk, 1, tick)
        return tick

    return happen


def _no_outcome(*, answers: bool) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        desk.placed(desk.order("0.00003"), Unknown("time-out"))
        spend(desk, 61, swept=answers)
        return Desk.tick

    return happen


def _blind_too_long(desk: Desk) -> Again:
    desk.pass_time(BLIND_HALT_MS + 1)
    desk.sweep_all()
    return _quote(BLIND_HALT_MS + 1)(desk)


def _price_falls_to(part: str) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        _hold(desk)
        desk.price *= D(part)
        spend(desk, 1)
        return Desk.tick

    return happen


def _rejections(desk: Desk) -> Again:
    for _ in range(20):
        desk.pass_time(100)
        desk.placed(desk.order("0.00002"), Rejected(30004, "no"))
    spend(desk, 1)
    return Desk.tick


def _impossible(desk: Desk) -> Again:
    desk.pass_time(-5_000)
    desk.tick()
    return Desk.tick


def _books_differ(times: int) -> Callable[[Desk], Again]:
    def happen(desk: Desk) -> Again:
        wrong = {"USDT": Balance("USDT", D(1), D(0))}
        for _ in range(times):
            desk.sweep(venue_of(desk), balances=wrong)
        return Desk.tick

    return happen


def _foreign_order(desk: Desk) -> Again:
    mine = desk.placed(desk.order("0.00003"))
    report = replace(desk.report(mine, OrderStatus.NEW), client_id="stranger", order_id="C02__stranger")
    desk.give(i.VenueReported(venue_of(desk), report))
    return Desk.tick


def _contradiction(desk: Desk) -> Again:
    mine = desk.placed(desk.order("0.00003"))
    desk.give(i.VenueReported(venue_of(desk), desk.report(mine, OrderStatus.PARTIALLY_FILLED, "1")))
    return Desk.tick


def _fee_asset(desk: Desk) -> Again:
    mine = desk.placed(desk.order("0.00003"))
    ours = desk.state.orders[mine].order_id
    price, quantity, quote = D(60_000), D("0.00003"), D("1.8")
    fill = Fill("T-fee", ours, mine, SYMBOL, Side.BUY, price, quantity, quote, D("0.01"), "MX", False, desk.now)
    desk.give(i.VenueReported(venue_of(desk), fill))
    return Desk.tick


def _watchdog_fired(desk: Desk) -> Again:
    desk.give(i.WatchdogLogRead(seq=1, hash="sha256:" + "5" * 64, entries=1, fired=True, reason="silent"))
    return Desk.tick


PLAYED: dict[str, Callable[[Desk], Again]] = {
    "bot-silent": _bot_silent,
    "quote-old": _quote(3_001),
    "quote-older": _quote(15_001),
    "quote-oldest": _quote(60_001),
    "equity-unknown": _equity_unknown,
    "account-old": _unread(61),
    "account-older": _unread(91),
    "clock-unknown": _no_clock(1),
    "clock-long-unknown": _no_clock(31),
    "clock-longer-unknown": _no_clock(91, held=True),
    "clock-unbounded": _no_clock(31, bounded=False),
    "outcome-unseen": _no_outcome(answers=False),
    "blind-too-long": _blind_too_long,
    "outcome-unknown": _no_outcome(answers=True),
    "clock-off": _clock(501),
    "clock-wrong": _clock(901),
    "loss-near": _price_falls_to("0.95"),
    "loss": _price_falls_to("0.9"),
    "rejections": _rejections,
    "impossible": _impossible,
    "books-differ-once": _books_differ(1),
    "books-differ": _books_differ(2),
    "foreign-order": _foreign_order,
    "contradiction": _contradiction,
    "fee-asset": _fee_asset,
    "watchdog-fired": _watchdog_fired,
}


def observed(desk: Desk, again: Again, before: Position, decided: int) -> set[Reaction]:
    """What the journal and the effects show of an event, and of the second after it."""
    state = desk.state
    if state.position.stage is Stage.HALTED:
        return {Reaction.HALT} | ({Reaction.VOID} if state.validation_void else set())
    effects = [effect for decision in desk.decisions[decided:] for effect in decision.effects]
    venue = VenueName.LIVE if before.stage in RISK_ORDER[3:] else venue_of(desk)
    found = {Reaction.CANCEL} if any(isinstance(one, CancelAll) and one.venue is venue for one in effects) else set[Reaction]()
    if state.position != before:
        return found | {Reaction.DEMOTE}
    desk.pass_time(1_000)
    denied = len(desk.events(e.OrderDenied))
    desk.order("0.00002")
    again(desk)
    sample = desk.events(e.Sampled)[-1]
    assert isinstance(sample, e.Sampled)
    assert desk.state.position == before
    found |= {Reaction.PAUSE} if not sample.covered else set()
    return found | ({Reaction.DENY} if len(desk.events(e.OrderDenied)) > denied else set())


@pytest.mark.parametrize(("event", "stage"), list(product(OCCURRENCES, RISK_ORDER)), ids=lambda one: getattr(one, "name", one))
def test_every_event_at_every_stage_does_what_the_table_says(event: Occurrence, stage: Stage) -> None:
    desk = desk_at(stage).fork()
    before, decided = desk.state.position, len(desk.decisions)
    again = PLAYED[event.name](desk)
    assert observed(desk, again, before, decided) == reactions(event, stage)
    assert fold(State(), desk.journal).fingerprint() == desk.state.fingerprint()


def test_every_event_of_the_table_is_played() -> None:
    assert PLAYED.keys() == NAMES.keys()


def test_nothing_is_milder_with_real_money_than_without() -> None:
    """The more money is at risk, the more severe what an event does; and what is not only unseen halts everywhere or nowhere."""
    order = (Reaction.PAUSE, Reaction.DENY, Reaction.CANCEL, Reaction.DEMOTE, Reaction.HALT, Reaction.VOID)
    for event in OCCURRENCES:
        worst = [max(order.index(one) for one in reactions(event, stage) - {Reaction.VOID}) for stage in RISK_ORDER]
        assert worst == sorted(worst), event.name
        if not event.unseen:
            assert len({Reaction.HALT in reactions(event, stage) for stage in RISK_ORDER}) == 1, event.name


# A testnet that is away


def validating(policy: Policy) -> Desk:
    desk = Desk(policy).walk_to(Stage.TESTNET_VALIDATING)
    desk.trade(6)
    desk.run(40_000)
    return desk


def away(desk: Desk, seconds: int) -> None:
    """The testnet is down for so many samples: no quotes, no readings, no clock. Then it is back."""
    good = desk.seen().clock_good
    seen_at = desk.market().seen_at

    def blind(desk: Desk) -> object:
        dark = replace(desk.market(quoted=False), seen_at=seen_at)
        return desk.give(replace(desk.seen(), markets=dict.fromkeys(VenueName, dark), clock_offset_ms={}, clock_good=good))

    spend(desk, seconds, blind, swept=False)
    desk.sweep_all()
    desk.tick()
    desk.run(2_000)


def gap_rule(desk: Desk) -> tuple[Verdict, str]:
    """What the gate of the validation says of the longest gap."""
    assert desk.state.policy is not None
    result = judge(desk.state, desk.state.policy, GateName.VALIDATION, desk.now)
    (rule,) = [one for one in result.rules if one.rule == "longest-gap"]
    return rule.verdict, str(rule.measured)


@pytest.mark.parametrize("blind_halt_ms", [{}, {"testnet_validating": GAP_MS}], ids=["no deadline", "the earliest deadline"])
def test_a_testnet_away_for_120_s_is_a_gap_that_the_gate_tolerates(blind_halt_ms: dict[str, int]) -> None:
    desk = validating(production_times(**blind_halt_ms))
    away(desk, 120)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    assert (desk.state.guard_level, desk.events(e.BreachDetected)) == ("", [])
    assert gap_rule(desk) == (Verdict.PASS, "120000")
    client_id = desk.placed(desk.order("0.00002"))
    assert desk.state.orders[client_id].status is OrderStatus.NEW


def test_a_testnet_away_for_121_s_fails_the_gate_and_does_not_halt() -> None:
    desk = validating(production_times())
    away(desk, 121)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    assert desk.events(e.BreachDetected) == []
    assert gap_rule(desk) == (Verdict.FAIL, "121000")


def test_a_deadline_of_the_policy_halts_after_it_and_not_before() -> None:
    desk = validating(production_times(testnet_validating=GAP_MS))
    away(desk, 121)
    assert desk.state.position.stage is Stage.HALTED
    samples = [event for event in desk.events(e.Sampled) if isinstance(event, e.Sampled) and not event.covered]
    assert sum(sample.interval_ms for sample in samples) > GAP_MS


def test_a_gap_of_a_silent_bot_gives_a_blind_guard_no_less_time() -> None:
    desk = validating(production_times(testnet_validating=GAP_MS))
    spend(desk, 300, lambda desk: desk.give(replace(desk.seen(), bots={})))
    away(desk, 100)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING


def test_an_order_in_flight_when_the_testnet_went_away_is_looked_up_first() -> None:
    desk = validating(production_times())
    client_id = desk.placed(desk.order("0.00003"), Unknown("the connection broke"))
    away(desk, 120)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    assert desk.state.orders[client_id].status is OrderStatus.UNKNOWN
    desk.give(i.LookupAnswered(client_id, desk.report(client_id, OrderStatus.CANCELED), absent_everywhere=False, asked_at=desk.now))
    desk.run(3_000)
    assert (desk.state.guard_level, desk.state.orders[client_id].status) == ("", OrderStatus.CANCELED)


def test_an_order_that_a_venue_which_is_back_does_not_explain_halts() -> None:
    desk = validating(production_times())
    desk.placed(desk.order("0.00003"), Unknown("the connection broke"))
    away(desk, 120)
    desk.run(56_000)
    assert desk.state.position == Position(Stage.TESTNET_VALIDATING)
    desk.run(10_000)
    assert desk.state.position == Position(Stage.HALTED)
    assert "unknown for" in desk.state.halt_reason


def test_a_live_order_without_an_outcome_halts_at_validated_too() -> None:
    desk = desk_at(Stage.LIVE_EUR10).fork()
    desk.placed(desk.order("0.00003"), Unknown("time-out"))
    desk.move(Verb.DEMOTE, Stage.VALIDATED, signers=("alice",))
    desk.run(2_000)
    spend(desk, 62, swept=False)
    assert desk.state.position.stage is Stage.HALTED
    assert "unknown for" in desk.state.halt_reason


def test_people_hear_once_of_a_pause_and_once_of_its_end() -> None:
    desk = validating(production_times())
    before = len(desk.decisions)
    away(desk, 100)
    alerts = [one for decision in desk.decisions[before:] for one in decision.effects if isinstance(one, Alert)]
    assert [(one.kind, one.title) for one in alerts] == [
        (AlertKind.PAUSED, "testnet is not seen: orders are cancelled, coverage is paused"),
        (AlertKind.PAUSED, "testnet is seen again"),
    ]
    assert "the open gap in the coverage is 100000 ms" in [one.detail for one in alerts]
    assert desk.state.alerts == ()


def test_a_start_while_the_testnet_is_away_pauses_too() -> None:
    desk = validating(production_times())
    desk.boot()
    away(desk, 100)
    assert desk.state.position.stage is Stage.TESTNET_VALIDATING
    assert gap_rule(desk)[0] is Verdict.PASS


def test_without_real_money_what_is_not_seen_pauses_and_cancels_at_most() -> None:
    for event, stage in product(OCCURRENCES, RISK_ORDER):
        if event.unseen and not event.overdue and stage in WITHOUT_REAL_MONEY:
            found = reactions(event, stage)
            assert found - {Reaction.CANCEL} == {Reaction.PAUSE, Reaction.DENY}, (event.name, stage)
            assert (Reaction.CANCEL in found) == (event.level is not Level.NO_ENTRY), (event.name, stage)
        elif event.level is Level.HALT:
            assert Reaction.HALT in reactions(event, stage), (event.name, stage)
