"""Hostile bot key commands: each is refused for exactly one reason and changes nothing but the record of the refusal."""

from __future__ import annotations

import json

import pytest

from controller.core.decisions.bot_keys import key_document
from policies import canonical
from policies.authority import Verb
from tests.support.counting import Counted
from tests.support.desk import BOT_KEYS, Desk
from tests.unit.core.hostile_subjects import Prepare, about, live, misused, validated
from tests.unit.core.test_hostile_commands import assert_refused, hand_in

DIGEST = "sha256:" + "7" * 64
DEMO = BOT_KEYS["demo-bot"]
GOOD = {"bot": "new-bot", "key": "newbotkey", "secret_digest": DIGEST}


def issued(**changes: object) -> str:
    """The subject of an ``issue-bot-key``."""
    return canonical.encode(GOOD | changes).decode()


SUBJECTS: list[tuple[str, Verb, str, str]] = [
    ("a key that is no document", Verb.ISSUE_BOT_KEY, "newbotkey", "not-canonical"),
    ("a key in another spelling of the same JSON", Verb.ISSUE_BOT_KEY, json.dumps(GOOD), "not-canonical"),
    ("a key with its fields in another order", Verb.ISSUE_BOT_KEY, issued()[:-1] + ',"a":"b"}', "not-canonical"),
    ("a key written twice", Verb.ISSUE_BOT_KEY, issued()[:-1] + f',"secret_digest":"{DIGEST}"}}', "not-canonical"),
    ("a key with a field more", Verb.ISSUE_BOT_KEY, issued(scope="withdraw"), "bot-key-malformed"),
    ("a key that brings its secret along", Verb.ISSUE_BOT_KEY, issued(secret="s"), "bot-key-malformed"),
    (
        "a key without a digest",
        Verb.ISSUE_BOT_KEY,
        canonical.encode({"bot": "new-bot", "key": "newbotkey"}).decode(),
        "bot-key-malformed",
    ),
    ("a key in a list", Verb.ISSUE_BOT_KEY, "[" + issued() + "]", "bot-key-malformed"),
    ("a key whose digest is none", Verb.ISSUE_BOT_KEY, issued(secret_digest="7" * 64), "bot-key-malformed"),
    ("a key whose digest is in capitals", Verb.ISSUE_BOT_KEY, issued(secret_digest=DIGEST.replace("7", "A")), "bot-key-malformed"),
    ("a key whose digest is a number", Verb.ISSUE_BOT_KEY, issued(secret_digest=7), "bot-key-malformed"),
    ("a key that is too short", Verb.ISSUE_BOT_KEY, issued(key="short"), "bot-key-malformed"),
    ("a key longer than the gateway reads", Verb.ISSUE_BOT_KEY, issued(key="k" * 65), "bot-key-malformed"),
    ("a key with a space at its end", Verb.ISSUE_BOT_KEY, issued(key="newbotkey "), "bot-key-malformed"),
    ("a key that ends a header line", Verb.ISSUE_BOT_KEY, issued(key="newbotkey\n"), "bot-key-malformed"),
    ("a key in Cyrillic letters", Verb.ISSUE_BOT_KEY, issued(key="nеwbotkey"), "bot-key-malformed"),
    ("a bot whose name leads out of its directory", Verb.ISSUE_BOT_KEY, issued(bot="../other"), "bot-key-malformed"),
    ("a bot without a name", Verb.ISSUE_BOT_KEY, issued(bot=""), "bot-key-malformed"),
    ("a bot in capitals", Verb.ISSUE_BOT_KEY, issued(bot="New-Bot"), "bot-key-malformed"),
    ("the key of another bot", Verb.ISSUE_BOT_KEY, issued(key=DEMO), "bot-key-taken"),
    ("the key of another bot, in capitals", Verb.ISSUE_BOT_KEY, issued(key=DEMO.upper()), "bot-key-taken"),
    ("the bot's own key, in capitals", Verb.ISSUE_BOT_KEY, issued(bot="demo-bot", key=DEMO.upper()), "bot-key-taken"),
    ("a revocation of a key nobody has", Verb.REVOKE_BOT_KEY, "newbotkey", "no-such-bot-key"),
    ("a revocation of a key in capitals", Verb.REVOKE_BOT_KEY, DEMO.upper(), "no-such-bot-key"),
    ("a revocation by the bot's name", Verb.REVOKE_BOT_KEY, "demo-bot", "no-such-bot-key"),
    ("a revocation of a whole document", Verb.REVOKE_BOT_KEY, issued(), "no-such-bot-key"),
]


def _revoked(desk: Desk) -> None:
    assert desk.ask(Verb.REVOKE_BOT_KEY, DEMO, "carol").code == ""


def _revoked_key_reissued(desk: Desk) -> str:
    _revoked(desk)
    return about(desk, Verb.ISSUE_BOT_KEY, key_document("demo-bot", DEMO, DIGEST))


def _revoked_key_for_another_bot(desk: Desk) -> str:
    _revoked(desk)
    return about(desk, Verb.ISSUE_BOT_KEY, issued(key=DEMO))


def _revoked_key_in_capitals(desk: Desk) -> str:
    _revoked(desk)
    return about(desk, Verb.ISSUE_BOT_KEY, issued(key=DEMO.upper()))


def _signed_before_the_revocation(desk: Desk) -> str:
    envelope = about(desk, Verb.ISSUE_BOT_KEY, key_document("demo-bot", DEMO, DIGEST))
    _revoked(desk)
    return envelope


def _revoked_twice(desk: Desk) -> str:
    _revoked(desk)
    return about(desk, Verb.REVOKE_BOT_KEY, DEMO)


def _issued_twice(desk: Desk) -> str:
    assert desk.ask(Verb.ISSUE_BOT_KEY, issued(), "alice").code == ""
    return about(desk, Verb.ISSUE_BOT_KEY, issued())


SEQUENCES: list[tuple[str, Prepare, str]] = [
    ("a revoked key once more", _revoked_key_reissued, "bot-key-revoked"),
    ("a revoked key for another bot", _revoked_key_for_another_bot, "bot-key-revoked"),
    ("a revoked key in capitals", _revoked_key_in_capitals, "bot-key-revoked"),
    ("an issue signed before the key was revoked", _signed_before_the_revocation, "bot-key-revoked"),
    ("a revocation of a revoked key", _revoked_twice, "already-revoked"),
    ("an issue that changes nothing", _issued_twice, "nothing-changes"),
    *misused(Verb.ISSUE_BOT_KEY, lambda _: issued(), halt_only_may_sign=False),
    *misused(Verb.REVOKE_BOT_KEY, lambda _: DEMO, halt_only_may_sign=True),
]


@pytest.mark.parametrize(("verb", "subject", "code"), [pytest.param(*vector, id=name) for name, *vector in SUBJECTS])
def test_a_bot_key_command_with_a_wrong_subject_changes_nothing(verb: Verb, subject: str, code: str, counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, about(desk, verb, subject), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("prepare", "code"), [pytest.param(*vector, id=name) for name, *vector in SEQUENCES])
def test_a_misused_bot_key_command_changes_nothing(prepare: Prepare, code: str, counted: Counted) -> None:
    desk = validated()
    assert_refused(desk, prepare(desk), code)
    counted("attack vectors", kind=code)


def test_one_operator_alone_issues_no_bot_key_at_a_live_stage(counted: Counted) -> None:
    desk = live()
    assert_refused(desk, about(desk, Verb.ISSUE_BOT_KEY, issued(), "alice"), "under-quorum")
    counted("attack vectors", kind="under-quorum")


@pytest.mark.parametrize(("verb", "subject"), [(Verb.ISSUE_BOT_KEY, issued()), (Verb.REVOKE_BOT_KEY, DEMO)])
def test_the_unchanged_bot_key_command_is_accepted(verb: Verb, subject: str) -> None:
    desk = validated()
    assert hand_in(desk, about(desk, verb, subject, "alice")).code == ""
