"""What a decision keeps when it brings no event: the state before it, what is held back, its effects and its reply."""

from __future__ import annotations

from controller.core.decisions.draft import CommandReply, Draft
from controller.core.decisions.held import NOTHING
from controller.core.effects import Latch, ReadAccount
from controller.core.state import State
from exchange.model import Millis
from exchange.ports import VenueName

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


def test_a_latch_goes_before_every_other_effect() -> None:
    draft = Draft(State(), NOW)
    latch = Latch("enough")
    for effect in (READ, latch, READ):
        draft.do(effect)
    assert draft.done().effects == (latch, READ, READ)
