"""Who may use the gateway: adopted once, then issued and revoked by signature; the pure core has the last word on every order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.decisions.bot_keys import key_document, secret_digest
from controller.core.decisions.draft import Admitted
from controller.core.effects import AlertKind, Cancel
from controller.core.lifecycle import Position
from exchange.errors import ConfigError
from policies.authority import Verb
from policies.limit_types import Deny
from policies.stage import Mode, Stage
from tests.support.desk import BOT_KEYS, Desk, with_policy

DIGEST = "sha256:" + "7" * 64
DEMO = BOT_KEYS["demo-bot"]


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def rule_of(desk: Desk, **who: str) -> str:
    """The rule that denies an order; empty when it is admitted."""
    reply = desk.give(desk.requested("0.00003", **who)).reply  # type: ignore[arg-type]
    assert isinstance(reply, Deny | Admitted)
    return reply.rule if isinstance(reply, Deny) else ""


def test_the_first_start_adopts_the_keys_of_the_settings(desk: Desk) -> None:
    (adopted,) = desk.events(e.BotKeysAdopted)
    assert isinstance(adopted, e.BotKeysAdopted)
    assert {one.key: one.bot for one in adopted.keys} == {key: bot for bot, key in BOT_KEYS.items()}
    assert all(one.secret_digest == secret_digest(one.key, "secret") for one in adopted.keys)


def test_one_secret_under_two_keys_has_two_digests() -> None:
    assert secret_digest("firstbotkey", "secret") != secret_digest("secondbotkey", "secret")


def test_a_journal_without_keys_adopts_them_at_the_next_start() -> None:
    old = Desk()
    old.bots = ()
    old.arm()
    old.state = replace(old.state, bot_keys_since=None)
    old.bots = Desk().bots
    old.boot()
    assert set(old.state.bot_keys) == set(BOT_KEYS.values())


def test_settings_without_bots_adopt_no_key_once_and_for_all() -> None:
    desk = Desk()
    desk.bots = ()
    desk.arm()
    desk.bots = Desk().bots
    desk.boot()
    assert not desk.state.bot_keys


def test_a_key_added_to_the_settings_is_unusable_and_alerts_once(desk: Desk) -> None:
    desk.bots = (*desk.bots, i.BotKeyFound("late-bot", "latebotkey", DIGEST))
    desk.boot()
    desk.boot()
    desk.sweep_all()
    (alert,) = desk.state.alerts
    assert (alert.kind, "latebotkey" in alert.title, "issue-bot-key" in alert.detail) == (AlertKind.BOT_KEY, True, True)
    assert len(desk.events(e.AlertRaised)) == 1
    assert rule_of(desk, bot="late-bot", key="latebotkey") == "bot-key"


def test_a_secret_that_changed_in_the_settings_raises_an_alert(desk: Desk) -> None:
    desk.bots = (i.BotKeyFound("demo-bot", DEMO, DIGEST),)
    desk.boot()
    assert "not the one that was issued" in desk.state.alerts[0].detail


def test_a_key_of_the_settings_under_another_bot_raises_an_alert(desk: Desk) -> None:
    desk.bots = (i.BotKeyFound("late-bot", DEMO.upper(), DIGEST),)
    desk.boot()
    assert "demo-bot's key" in desk.state.alerts[0].detail


def test_a_revoked_key_that_is_still_in_the_settings_raises_no_alert(desk: Desk) -> None:
    assert desk.ask(Verb.REVOKE_BOT_KEY, DEMO).code == ""
    desk.boot()
    assert desk.state.alerts == ()


def test_a_key_listed_twice_stops_the_start() -> None:
    desk = Desk()
    desk.bots = (i.BotKeyFound("demo-bot", DEMO, DIGEST), i.BotKeyFound("late-bot", DEMO.upper(), DIGEST))
    with pytest.raises(ConfigError, match="twice"):
        desk.boot()


def test_an_issued_key_trades_at_once_and_only_for_its_bot(desk: Desk) -> None:
    assert rule_of(desk, bot="new-bot", key="newbotkey") == "bot-key"
    assert desk.ask(Verb.ISSUE_BOT_KEY, key_document("new-bot", "newbotkey", DIGEST), "alice").code == ""
    assert rule_of(desk, bot="new-bot", key="newbotkey") == ""
    assert rule_of(desk, bot="demo-bot", key="newbotkey") == "bot-key"


def test_a_queued_order_is_denied_when_its_key_is_revoked(desk: Desk) -> None:
    on_its_way = desk.requested("0.00003")
    assert desk.ask(Verb.REVOKE_BOT_KEY, DEMO, "carol").code == ""
    reply = desk.give(on_its_way).reply
    assert isinstance(reply, Deny)
    assert reply.rule == "bot-key"


def test_a_repeated_id_with_a_revoked_key_is_denied(desk: Desk) -> None:
    desk.placed(desk.order("0.00003", bot_id="mine"))
    assert desk.ask(Verb.REVOKE_BOT_KEY, DEMO, "carol").code == ""
    assert isinstance(desk.order("0.00003", bot_id="mine").reply, Deny)


def test_a_revocation_cancels_the_open_orders_of_its_bot_alone(desk: Desk) -> None:
    mine = desk.placed(desk.order("0.00003"))
    desk.placed(desk.give(desk.requested("0.00003", bot="other-bot")))
    assert desk.ask(Verb.REVOKE_BOT_KEY, DEMO, "carol").code == ""
    assert [effect.client_id for effect in desk.decisions[-1].effects if isinstance(effect, Cancel)] == [mine]
    assert desk.state.orders[mine].cancel_requested


def test_an_unknown_order_is_cancelled_once_the_venue_reports_it(desk: Desk) -> None:
    admitted = desk.order("0.00003")
    assert desk.ask(Verb.REVOKE_BOT_KEY, DEMO, "carol").code == ""
    client_id = desk.placed(admitted)
    assert [effect.client_id for effect in desk.decisions[-1].effects if isinstance(effect, Cancel)] == [client_id]


def test_the_last_key_can_be_revoked(desk: Desk) -> None:
    for key in BOT_KEYS.values():
        assert desk.ask(Verb.REVOKE_BOT_KEY, key, "carol").code == ""
    assert all(one.revoked for one in desk.state.bot_keys.values())


def test_a_key_may_get_a_new_secret(desk: Desk) -> None:
    assert desk.ask(Verb.ISSUE_BOT_KEY, key_document("demo-bot", DEMO, DIGEST), "alice").code == ""
    assert desk.state.bot_keys[DEMO].secret_digest == DIGEST


def test_a_revocation_leaves_a_waiting_command_pending() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.trade(6)
    desk.run(40_000)
    applies_at = desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",)).applies_at
    assert applies_at is not None
    assert desk.ask(Verb.REVOKE_BOT_KEY, BOT_KEYS["other-bot"], "carol").code == ""
    desk.run(applies_at - desk.now)
    assert desk.state.position.stage is Stage.LIVE_EUR10


def test_a_new_key_at_a_live_stage_needs_two_persons_or_waits() -> None:
    subject = key_document("new-bot", "newbotkey", DIGEST)
    team = Desk().walk_to(Stage.LIVE_EUR10)
    assert team.ask(Verb.ISSUE_BOT_KEY, subject, "alice").code == "under-quorum"
    assert team.ask(Verb.ISSUE_BOT_KEY, subject, "alice", "bob").code == ""
    solo = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.LIVE_EUR10)
    applies_at = solo.ask(Verb.ISSUE_BOT_KEY, subject, "alice").applies_at
    assert applies_at is not None
    assert "newbotkey" not in solo.state.bot_keys
    solo.run(applies_at - solo.now)
    assert "newbotkey" in solo.state.bot_keys


@pytest.mark.parametrize(("verb", "before"), [(Verb.ADVANCE, Stage.VALIDATED), (Verb.RESUME, Stage.HALTED)])
def test_issuing_a_key_invalidates_a_signed_move_up(verb: Verb, before: Stage) -> None:
    desk = Desk().walk_to(Stage.VALIDATED if before is Stage.VALIDATED else Stage.LIVE_EUR10)
    if before is Stage.HALTED:
        desk.move(Verb.HALT, Stage.HALTED, signers=("carol",))
    desk.trade(6 if before is Stage.VALIDATED else 0)
    desk.run(40_000)
    signed = desk.command(verb, Position(Stage.LIVE_EUR10))
    assert desk.ask(Verb.ISSUE_BOT_KEY, key_document("new-bot", "newbotkey", DIGEST), "alice").code == ""
    assert desk.submit(signed, "alice", "bob").code == "stale-head"
    assert desk.submit(desk.command(verb, Position(Stage.LIVE_EUR10)), "alice", "bob").code == ""


def test_issuing_a_key_withdraws_a_waiting_command() -> None:
    desk = Desk(with_policy(mode=Mode.SOLO)).walk_to(Stage.VALIDATED)
    desk.trade(6)
    desk.run(40_000)
    assert desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",)).applies_at is not None
    assert desk.ask(Verb.ISSUE_BOT_KEY, key_document("new-bot", "newbotkey", DIGEST), "alice").code == ""
    assert desk.state.pending is None
