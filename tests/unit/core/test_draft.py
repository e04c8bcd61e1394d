"""What a decision keeps when it brings no event: the state before it, what is held back, its effects and its reply."""

from __future__ import annotations

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.draft import CommandReply, Draft
from controller.core.decisions.held import NOTHING, Held
from controller.core.decisions.refusals import Refusals, fact_of
from controller.core.effects import Latch, ReadAccount
from controller.core.state import State
from exchange.model import Millis
from exchange.ports import VenueName
from tests.support.desk import Desk

NOW = Millis(1_800_000_000_000)
READ = ReadAccount(VenueName.LIVE)
REPLY = CommandReply(message="nothing changed")


def test_a_decision_without_events_keeps_its_effects_and_its_reply() -> None:
    before = State()
    draft = Draft(before, NOW, NOTHING)
    draft.do(READ)
    decision = draft.done(REPLY)
    assert (decision.after, decision.held) == (before, NOTHING)
    assert (decision.events, decision.effects, decision.reply) == ((), (READ,), REPLY)


def test_nothing_that_is_due_and_not_held_writes_nothing() -> None:
    draft = Draft(State(), NOW, NOTHING)
    draft.hold_nothing()
    decision = draft.done(REPLY)
    assert (decision.events, decision.reply, decision.held, decision.measured) == ((), REPLY, NOTHING, ())


@pytest.fixture
def desk() -> Desk:
    """A deployment that has just measured what it measures every second."""
    desk = Desk().arm()
    desk.tick()
    return desk


def sampled(desk: Desk) -> e.Sampled:
    """What the desk measured last."""
    found = desk.events(e.Sampled)[-1]
    assert isinstance(found, e.Sampled)
    return found


def refusal(desk: Desk) -> e.OrderDenied:
    """A refusal that is not about what is in the order."""
    desk.give(i.HaltAsked("test", "stop"))
    desk.order("0.00003")
    found = desk.events(e.OrderDenied)[-1]
    assert isinstance(found, e.OrderDenied)
    return found


def test_what_is_due_is_written_as_taken_now(desk: Desk) -> None:
    now = Millis(desk.now + 1_000)
    held = Held(sample=sampled(desk).model_copy(update={"taken_at": now}), sampled_since=now, newest=now)
    draft = Draft(desk.state, now, held)
    draft.hold_nothing()
    (written,) = draft.done().events
    assert isinstance(written, e.Sampled)
    assert written.taken_at is None


def test_a_measurement_that_is_held_is_shown_with_its_time(desk: Desk) -> None:
    now = Millis(desk.now + 1_000)
    draft = Draft(desk.state, now, NOTHING)
    draft.emit(sampled(desk))
    decision = draft.done(REPLY)
    assert (decision.events, bool(decision.held), decision.reply) == ((), True, REPLY)
    assert [event.taken_at for event in decision.measured] == [now]


def test_a_measurement_that_is_written_is_not_shown_as_held(desk: Desk) -> None:
    peak = sampled(desk)
    assert peak.equity_eur is not None
    draft = Draft(desk.state, Millis(desk.now + 1_000), NOTHING)
    draft.emit(peak.model_copy(update={"equity_eur": peak.equity_eur + 1}))
    decision = draft.done()
    assert ([type(event) for event in decision.events], decision.measured) == ([e.Sampled], ())


def test_a_refusal_beside_an_effect_is_known_from_now_on_by_its_facts(desk: Desk) -> None:
    event, before, now = refusal(desk), desk.state, Millis(desk.now + 1_000)
    draft = Draft(before, now, NOTHING)
    draft.emit(event)
    draft.do(READ)
    assert draft.done().held == Held(refusals=Refusals().first(event, fact_of(before), now))


def test_a_latch_goes_before_every_other_effect() -> None:
    draft = Draft(State(), NOW)
    latch = Latch("enough")
    for effect in (READ, latch, READ):
        draft.do(effect)
    assert draft.done().effects == (latch, READ, READ)
