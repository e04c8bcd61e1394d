"""Hostile bot keys, acknowledgements and drills: each is refused for exactly one reason, and changes nothing but its record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyType, Person, Roster, roster_key
from controller.core import inputs as i
from controller.core.decisions.bot_keys import key_document
from controller.core.decisions.drills import HALT_DRILL
from controller.core.effects import AlertKind
from policies import canonical
from policies.authority import Role, Verb
from policies.stage import Stage
from tests.support.counting import Counted
from tests.support.desk import BOT_KEYS, Desk
from tests.unit.core.test_hostile_commands import assert_refused, hand_in, signed

DIGEST = "sha256:" + "7" * 64
DEMO, OTHER = BOT_KEYS["demo-bot"], BOT_KEYS["other-bot"]
GOOD = {"bot": "new-bot", "key": "newbotkey", "secret_digest": DIGEST}
ANYBODY = {Verb.REVOKE_BOT_KEY, Verb.ACK_ALERT}


@pytest.fixture(scope="module")
def validated() -> Desk:
    """One step from real money, with an alert outstanding."""
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.run(3000)
    desk.give(i.Noticed(AlertKind.VENUE_LOCKOUT, "locked out", "HTTP 418"))
    return desk


@pytest.fixture(scope="module")
def live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3000)
    return desk


def about(desk: Desk, verb: Verb, subject: str, *signers: str, **changes: Any) -> str:
    """A signed command with this subject, right in everything else."""
    document = desk.command(Verb.REVOKE_BOT_KEY, desk.state.position, subject=OTHER).model_dump(mode="json")
    document |= {"verb": verb.value, "subject": subject, **changes}
    return signed(desk, canonical.encode(document), *(signers or ("alice", "bob")))


def issued(**changes: object) -> str:
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
    ("an acknowledgement of an alert that never was", Verb.ACK_ALERT, "A-1", "no-such-alert"),
    ("an acknowledgement of all alerts", Verb.ACK_ALERT, "*", "no-such-alert"),
    ("an acknowledgement with a space", Verb.ACK_ALERT, "A-1 ", "no-such-alert"),
    ("a drill of something else", Verb.DRILL, canonical.encode({"drill": "flatten"}).decode(), "drill-malformed"),
    ("a drill with a field more", Verb.DRILL, canonical.encode({"drill": "halt", "venue": "live"}).decode(), "drill-malformed"),
    ("a drill that is no document", Verb.DRILL, "halt", "not-canonical"),
    ("a drill in another spelling", Verb.DRILL, '{"drill": "halt"}', "not-canonical"),
    ("a drill in a list", Verb.DRILL, '[{"drill":"halt"}]', "drill-malformed"),
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


def _replayed(verb: Verb, subject: Callable[[Desk], str]) -> Callable[[Desk], str]:
    def prepare(desk: Desk) -> str:
        envelope = about(desk, verb, subject(desk))
        assert hand_in(desk, envelope).code == ""
        return envelope

    return prepare


def _alert(desk: Desk) -> str:
    return desk.state.alerts[0].id


def _acknowledged_twice(desk: Desk) -> str:
    alert = _alert(desk)
    assert desk.ask(Verb.ACK_ALERT, alert, "carol").code == ""
    return about(desk, Verb.ACK_ALERT, alert)


def _observed(verb: Verb, subject: Callable[[Desk], str]) -> Callable[[Desk], str]:
    """Signed by somebody who may only look."""

    def prepare(desk: Desk) -> str:
        desk.keys = {**desk.keys, "dave": generate_key()}
        line = public_key(desk.keys["dave"]).line
        dave = Person(name="dave", role=Role.OBSERVER, keys=(roster_key(line, KeyType.FILE),))
        roster = desk.state.roster
        assert roster is not None
        document = Roster(version=roster.version + 1, persons=(*roster.persons, dave)).canonical_bytes.decode()
        assert desk.ask(Verb.SET_ROSTER, document).code == ""
        return about(desk, verb, subject(desk), "dave")

    return prepare


def _by(verb: Verb, subject: Callable[[Desk], str], *signers: str, **changes: Any) -> Callable[[Desk], str]:
    return lambda desk: about(desk, verb, subject(desk), *signers, **changes)


SUBJECT_OF: dict[Verb, Callable[[Desk], str]] = {
    Verb.ISSUE_BOT_KEY: lambda _: issued(),
    Verb.REVOKE_BOT_KEY: lambda _: DEMO,
    Verb.ACK_ALERT: _alert,
    Verb.DRILL: lambda _: HALT_DRILL,
}

SEQUENCES: list[tuple[str, Callable[[Desk], str], str]] = [
    ("a revoked key once more", _revoked_key_reissued, "bot-key-revoked"),
    ("a revoked key for another bot", _revoked_key_for_another_bot, "bot-key-revoked"),
    ("a revoked key in capitals", _revoked_key_in_capitals, "bot-key-revoked"),
    ("an issue signed before the key was revoked", _signed_before_the_revocation, "bot-key-revoked"),
    ("a revocation of a revoked key", _revoked_twice, "already-revoked"),
    ("an issue that changes nothing", _issued_twice, "nothing-changes"),
    ("an acknowledgement of an acknowledged alert", _acknowledged_twice, "already-acknowledged"),
    *((f"a replayed {verb}", _replayed(verb, subject), "command-replayed") for verb, subject in SUBJECT_OF.items()),
    *((f"{verb} by an observer", _observed(verb, subject), "under-quorum") for verb, subject in SUBJECT_OF.items()),
    *(
        (f"{verb} by a key that may only halt", _by(verb, subject, "carol"), "under-quorum")
        for verb, subject in SUBJECT_OF.items()
        if verb not in ANYBODY
    ),
    *(
        (f"{verb} that moves up", _by(verb, subject, target_stage="LIVE_€10"), "no-such-edge")
        for verb, subject in SUBJECT_OF.items()
    ),
    *((f"{verb} that moves down", _by(verb, subject, target_stage="MOCK"), "no-such-edge") for verb, subject in SUBJECT_OF.items()),
    *((f"{verb} that grants more", _by(verb, subject, cap_eur="11"), "other-limits") for verb, subject in SUBJECT_OF.items()),
    *(
        (f"{verb} of another stage", _by(verb, subject, expected_stage="MOCK"), "other-stage")
        for verb, subject in SUBJECT_OF.items()
    ),
    *((f"{verb} in version 1", _by(verb, subject, version=1), "malformed-command") for verb, subject in SUBJECT_OF.items()),
    *((f"{verb} about nothing", _by(verb, lambda _: ""), "malformed-command") for verb in SUBJECT_OF),
]


@pytest.mark.parametrize(("verb", "subject", "code"), [pytest.param(*vector, id=name) for name, *vector in SUBJECTS])
def test_a_subject_that_is_wrong_changes_nothing(validated: Desk, verb: Verb, subject: str, code: str, counted: Counted) -> None:
    desk = validated.fork()
    assert_refused(desk, about(desk, verb, subject), code)
    counted("attack vectors", kind=code)


@pytest.mark.parametrize(("prepare", "code"), [pytest.param(*vector, id=name) for name, *vector in SEQUENCES])
def test_a_command_out_of_its_place_changes_nothing(
    validated: Desk, prepare: Callable[[Desk], str], code: str, counted: Counted
) -> None:
    desk = validated.fork()
    assert_refused(desk, prepare(desk), code)
    counted("attack vectors", kind=code)


def test_a_drill_where_real_money_is_at_work_changes_nothing(live: Desk, counted: Counted) -> None:
    desk = live.fork()
    assert_refused(desk, about(desk, Verb.DRILL, HALT_DRILL), "drill-not-here")
    counted("attack vectors", kind="drill-not-here")


def test_a_drill_of_a_halted_deployment_changes_nothing(live: Desk, counted: Counted) -> None:
    desk = live.fork()
    desk.give(i.HaltAsked("test", "stop"))
    assert_refused(desk, about(desk, Verb.DRILL, HALT_DRILL), "drill-not-here")
    counted("attack vectors", kind="drill-not-here")


def test_one_operator_alone_issues_nothing_where_real_money_is_at_work(live: Desk, counted: Counted) -> None:
    desk = live.fork()
    assert_refused(desk, about(desk, Verb.ISSUE_BOT_KEY, issued(), "alice"), "under-quorum")
    counted("attack vectors", kind="under-quorum")


@pytest.mark.parametrize("verb", SUBJECT_OF)
def test_the_command_they_were_made_from_is_good(validated: Desk, verb: Verb) -> None:
    desk = validated.fork()
    assert hand_in(desk, about(desk, verb, SUBJECT_OF[verb](desk), "alice")).code == ""
