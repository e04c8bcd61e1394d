"""The watchdog's state machine: whom it watches, when it fires, what it takes as proof, and what ends it."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.watchdog import lease
from controller.watchdog.lease import (
    CONFIRM_NS,
    RETRY_MOST_NS,
    SECOND,
    Absorbed,
    Action,
    Beat,
    Cancel,
    End,
    Event,
    Goodbye,
    Kind,
    Look,
    Note,
    Phase,
    Read,
    State,
    Targets,
    Tell,
    Terms,
    Tick,
    decide,
    resumed,
)
from exchange.ports import VenueName

LEASE = 30 * SECOND
PLACES: Targets = ((VenueName.TESTNET, ("BTCUSDT",)),)
BOTH: Targets = ((VenueName.LIVE, ("BTCUSDT",)), (VenueName.TESTNET, ("BTCUSDT",)))


@dataclass
class Run:
    """A machine with a clock, and everything it did."""

    terms: Terms = Terms(LEASE, 3600 * SECOND)
    state: State = State()
    now: int = 1_000 * SECOND
    seq: int = 0
    actions: list[Action] = field(default_factory=list)

    def give(self, event: Event) -> tuple[Action, ...]:
        self.state, actions = decide(self.state, event, self.terms, self.now)
        self.actions.extend(actions)
        return actions

    def beat(self, *, epoch: int = 1, age_s: float = 0, targets: Targets = PLACES) -> tuple[Action, ...]:
        self.seq += 1
        return self.give(Beat(epoch, self.seq, int(age_s * SECOND), targets))

    def after(self, seconds: float) -> tuple[Action, ...]:
        self.now += int(seconds * SECOND)
        return self.give(Tick())

    def answer(self, orders: int | None, *, took_s: float = 0, problem: str = "") -> tuple[Action, ...]:
        began = self.now
        self.now += int(took_s * SECOND)
        return self.give(Read(self.state.reading, began, orders, problem))

    def fired(self) -> "Run":
        """The lease has run out and the first cancel is under way."""
        self.beat()
        self.after(30)
        assert self.state.phase is Phase.FIRING
        return self

    def proven(self) -> "Run":
        self.fired().answer(0)
        self.after(1)
        self.answer(0)
        assert self.state.phase is Phase.FIRED
        return self

    def notes(self) -> list[Kind]:
        return [action.kind for action in self.actions if isinstance(action, Note)]


def kinds(actions: tuple[Action, ...]) -> list[type[Any]]:
    return [type(action) for action in actions]


def test_without_a_controller_nothing_happens() -> None:
    assert Run().after(100_000) == ()


def test_a_beat_renews_the_lease() -> None:
    run = Run()
    for _ in range(10):
        run.beat()
        run.after(29)
        run.answer(3)
    assert run.state.phase is Phase.WATCHING


def test_a_silent_controller_is_cancelled_when_the_lease_ends() -> None:
    run = Run()
    run.beat()
    run.after(29.999)
    assert run.state.phase is Phase.WATCHING
    actions = run.after(0.001)
    assert kinds(actions) == [Note, Cancel, Tell]
    assert actions[1] == Cancel(run.state.reading, PLACES)


def test_the_log_entry_comes_before_the_cancel() -> None:
    run = Run().fired()
    written = next(number for number, action in enumerate(run.actions) if isinstance(action, Note) and action.kind is Kind.FIRED)
    assert kinds(tuple(run.actions)).index(Cancel) > written


def test_a_controller_without_a_venue_outside_may_be_silent() -> None:
    run = Run()
    run.beat(targets=())
    run.after(100)
    assert run.state.phase is Phase.WATCHING


def test_a_watchdog_that_stood_still_hears_the_controller_first() -> None:
    run = Run()
    run.beat()
    run.now += 38 * SECOND
    assert run.give(Tick(late_ns=38 * SECOND)) == (Look(run.state.reading, PLACES),)
    run.after(6)
    run.beat()
    run.after(29)
    assert run.state.phase is Phase.WATCHING


def test_a_watchdog_that_stood_still_fires_when_nobody_is_heard() -> None:
    run = Run()
    run.beat()
    run.now += 38 * SECOND
    run.give(Tick(late_ns=38 * SECOND))
    run.after(9.999)
    assert run.state.phase is Phase.WATCHING
    run.after(0.001)
    assert run.state.phase is Phase.FIRING


def test_standing_still_again_and_again_does_not_put_off_the_firing() -> None:
    run = Run()
    run.beat()
    run.now += 38 * SECOND
    run.give(Tick(late_ns=38 * SECOND))
    run.now += 10 * SECOND
    run.give(Tick(late_ns=10 * SECOND))
    assert run.state.phase is Phase.FIRING


def test_a_tick_that_is_a_little_late_excuses_nobody() -> None:
    run = Run()
    run.beat()
    run.now += 30 * SECOND
    run.give(Tick(late_ns=7 * SECOND))
    assert run.state.phase is Phase.FIRING


def test_the_lease_counts_from_the_last_decision_not_from_the_beat() -> None:
    run = Run()
    run.beat()
    for _ in range(14):
        run.now += 2 * SECOND
        run.beat(age_s=(run.now - 1_000 * SECOND) / SECOND)
    run.after(2)
    assert run.state.phase is Phase.FIRING


@pytest.mark.parametrize(("epoch", "seq"), [(1, 1), (1, 0), (0, 99)], ids=["again", "older", "older controller"])
def test_a_beat_that_is_not_newer_renews_nothing(epoch: int, seq: int) -> None:
    run = Run()
    run.beat()
    run.after(29)
    run.give(Beat(epoch, seq, 0, PLACES))
    run.after(1)
    assert run.state.phase is Phase.FIRING


def test_a_controller_that_took_over_holds_the_lease() -> None:
    run = Run()
    run.beat(epoch=1)
    run.now += 20 * SECOND
    run.beat(epoch=2)
    run.after(29)
    assert run.state.phase is Phase.WATCHING


def test_two_empty_readings_a_second_apart_are_the_proof() -> None:
    run = Run().fired()
    run.answer(0)
    assert run.state.phase is Phase.FIRING
    assert kinds(run.after(1)) == [Look]
    assert run.answer(0)[0] == Note(Kind.EMPTY, "two empty readings 1000 ms apart at testnet: BTCUSDT", PLACES, 1)
    assert run.state.phase is Phase.FIRED


def test_a_second_reading_that_finds_an_order_starts_over() -> None:
    run = Run().fired()
    run.answer(0)
    run.after(1)
    run.answer(1)
    assert kinds(run.after(5)) == [Cancel]
    run.answer(0)
    run.after(1)
    assert run.state.phase is Phase.FIRING


def test_a_reading_from_before_the_lease_ended_proves_nothing() -> None:
    run = Run()
    run.beat()
    run.after(0)
    early = run.state.reading
    run.after(30)
    assert run.give(Read(early, run.now, 0)) == ()
    assert run.state.empty_ns is None


def test_a_second_reading_that_began_too_early_proves_nothing() -> None:
    run = Run().fired()
    run.answer(0)
    run.after(1)
    run.give(Read(run.state.reading, run.now - SECOND // 2, 0))
    assert run.state.phase is Phase.FIRING


def test_a_reading_that_ends_late_is_no_second_reading() -> None:
    run = Run().fired()
    run.answer(0, took_s=3)
    assert run.after(0.5) == ()


def test_the_cancelling_goes_on_for_ever_and_slower() -> None:
    run = Run().fired()
    pauses = []
    for _ in range(2_000):
        run.answer(None, problem="the firewall answered")
        ended, pause = run.now, 0
        while not any(isinstance(action, Cancel) for action in run.after(0.05)):
            pause = run.now - ended
        pauses.append(pause)
    assert pauses[0] < SECOND // 2
    assert pauses[:6] == sorted(pauses[:6])
    assert all(RETRY_MOST_NS // 2 < pause <= RETRY_MOST_NS for pause in pauses[10:])
    assert run.state.phase is Phase.FIRING


def test_the_log_of_a_long_cancelling_stays_short() -> None:
    run = Run().fired()
    for attempt in range(1_000):
        run.answer(None, problem=f"held back, try {attempt}")
        run.after(5)
    assert run.notes().count(Kind.NO_ANSWER) < 15


def test_a_controller_that_comes_back_does_not_end_the_cancelling() -> None:
    run = Run().fired()
    run.beat(epoch=2)
    run.answer(2)
    assert kinds(run.after(1)) == [Cancel]


def test_a_controller_that_comes_back_can_add_places() -> None:
    run = Run().proven()
    run.beat(epoch=2, targets=BOTH)
    assert run.after(0) == (Cancel(run.state.reading, BOTH),)


def test_an_absorbed_log_releases_a_watchdog_that_has_its_proof() -> None:
    run = Run().proven()
    run.give(Absorbed(2))
    assert run.state.phase is Phase.WATCHING
    run.seq = 0
    run.now += 20 * SECOND
    run.beat(epoch=2)
    run.after(29)
    assert run.state.phase is Phase.WATCHING


def test_an_absorbed_log_does_not_release_a_watchdog_without_proof() -> None:
    run = Run().fired()
    assert run.give(Absorbed(2)) == ()


def test_a_controller_that_absorbed_and_fell_silent_is_watched() -> None:
    run = Run().proven()
    run.give(Absorbed(2))
    run.after(30)
    assert run.state.phase is Phase.FIRING


def test_an_order_that_shows_up_later_is_cancelled_too() -> None:
    run = Run().proven()
    assert kinds(run.after(10)) == [Look]
    actions = run.answer(1)
    assert isinstance(actions[0], Note)
    assert actions[0].kind is Kind.REOPENED
    assert kinds(run.after(0)) == [Cancel]


def test_goodbye_ends_the_watch() -> None:
    run = Run()
    run.beat()
    run.give(Goodbye(1))
    run.after(100)
    assert run.state.phase is Phase.WAITING


def test_an_older_controllers_goodbye_ends_nothing() -> None:
    run = Run()
    run.beat(epoch=2)
    run.give(Goodbye(1))
    run.after(30)
    assert run.state.phase is Phase.FIRING


def test_goodbye_does_not_stop_what_was_begun() -> None:
    run = Run().fired()
    assert run.give(Goodbye(1)) == ()


def test_goodbye_ends_the_process_that_run_started() -> None:
    run = Run(Terms(LEASE, 3600 * SECOND, attached=True))
    run.beat()
    assert kinds(run.give(Goodbye(1))) == [Note, End]


def test_a_process_that_fired_ends_when_nobody_comes_for_an_hour() -> None:
    run = Run().proven()
    assert not any(isinstance(action, End) for action in run.after(3590))
    run.answer(0)
    assert kinds(run.after(20)) == [End]


@pytest.mark.parametrize("simulated", [False, True])
def test_only_real_money_keeps_a_process_cancelling_for_ever(simulated: bool) -> None:
    run = Run(Terms(LEASE, 3600 * SECOND, simulated=simulated)).fired()
    assert any(isinstance(action, End) for action in run.after(100_000)) is simulated


@pytest.mark.parametrize("heard", [False, True])
def test_a_process_started_by_run_ends_when_there_is_nothing_to_watch(heard: bool) -> None:
    run = Run(Terms(LEASE, 3600 * SECOND, attached=True))
    if heard:
        run.beat(targets=())
    else:
        run.state = resumed(None, (), 0, run.now)
    assert not any(isinstance(action, End) for action in run.after(3599))
    assert kinds(run.after(1)) == [End]


@pytest.mark.parametrize(
    ("last", "phase"),
    [
        (None, Phase.WAITING),
        (Kind.GOODBYE, Phase.WAITING),
        (Kind.WATCHING, Phase.WATCHING),
        (Kind.RELEASED, Phase.WATCHING),
        (Kind.FIRED, Phase.FIRING),
        (Kind.REOPENED, Phase.FIRING),
        (Kind.EMPTY, Phase.FIRED),
    ],
)
def test_a_new_process_goes_on_where_the_last_one_stopped(last: Kind | None, phase: Phase) -> None:
    assert resumed(last, PLACES, 1, 5 * SECOND).phase is phase


def test_a_controller_watched_before_a_restart_has_one_lease_to_be_heard() -> None:
    run = Run(state=resumed(Kind.WATCHING, PLACES, 1, 1_000 * SECOND))
    run.after(29)
    assert run.state.phase is Phase.WATCHING
    assert any(isinstance(action, Cancel) for action in run.after(1))


class Chance(RuleBasedStateMachine):
    """Any order of beats, silences, readings and arrivals of orders, against a venue that keeps its own books."""

    @initialize()
    def begin(self) -> None:
        self.run = Run()
        self.orders = 0
        self.epoch = 1
        self.decided = -1
        self.under_way: list[tuple[int, int, bool]] = []
        self.empties: list[int] = []

    def took(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Cancel):
                assert self.run.state.phase is Phase.FIRING
                assert self.decided >= 0, "it cancelled although no controller was ever heard"
            if isinstance(action, Cancel | Look):
                self.under_way.append((action.reading, self.run.now, isinstance(action, Cancel)))
            if isinstance(action, Note) and action.kind is Kind.FIRED and "lease" in action.detail:
                assert self.run.now - self.decided >= LEASE, "it fired before the lease was over"
                self.empties = []
            if isinstance(action, Note) and action.kind is Kind.EMPTY:
                assert any(later - first >= CONFIRM_NS for first in self.empties for later in self.empties), "no proof"

    @rule(age=st.integers(0, 40), more=st.booleans())
    def beats(self, age: int, more: bool) -> None:
        newest = self.run.state.controller_epoch <= self.epoch
        self.took(self.run.beat(epoch=self.epoch, age_s=age, targets=BOTH if more else PLACES))
        if newest:
            self.decided = max(self.decided, self.run.now - age * SECOND)

    @rule()
    def another_controller(self) -> None:
        self.epoch += 1

    @rule(seconds=st.integers(0, 40))
    def time_passes(self, seconds: int) -> None:
        self.took(self.run.after(seconds))

    @rule()
    def an_order_arrives(self) -> None:
        self.orders += 1

    @rule(answers=st.booleans(), took_ms=st.integers(0, 3_000))
    def a_reading_ends(self, answers: bool, took_ms: int) -> None:
        if not self.under_way:
            return
        reading, began, cancels = self.under_way.pop(0)
        if answers and cancels:
            self.orders = 0
        self.run.now += took_ms * 1_000_000
        if answers and self.orders == 0 and self.run.state.phase is Phase.FIRING:
            self.empties.append(self.run.now)
        elif answers and self.orders:
            self.empties = []
        self.took(self.run.give(Read(reading, began, self.orders if answers else None, "" if answers else "silence")))

    @rule(own=st.booleans())
    def says_goodbye(self, own: bool) -> None:
        self.took(self.run.give(Goodbye(self.epoch if own else 0)))

    @rule()
    def absorbs(self) -> None:
        before = self.run.state.phase
        self.took(self.run.give(Absorbed(self.epoch)))
        if before is Phase.FIRED and self.run.state.phase is Phase.WATCHING:
            self.decided = max(self.decided, self.run.now)

    @invariant()
    def a_lease_that_is_over_is_acted_on(self) -> None:
        if not hasattr(self, "run") or self.run.state.phase is not Phase.WATCHING:
            return
        self.took(self.run.after(0))
        assert self.run.state.targets
        assert self.run.state.phase is Phase.FIRING or self.run.now - self.run.state.vouched_ns < LEASE

    @invariant()
    def firing_always_has_a_next_step(self) -> None:
        if hasattr(self, "run") and self.run.state.phase is Phase.FIRING:
            state = self.run.state
            assert state.busy or state.due_ns <= self.run.now + RETRY_MOST_NS


TestChance = Chance.TestCase


def test_the_retry_pause_is_bounded() -> None:
    assert lease.RETRY_NS < RETRY_MOST_NS <= 5 * SECOND
