"""Hostile commands with a subject: shared by the tests about bot keys, alerts and drills."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from controller.authority.keys import generate_key, public_key
from controller.authority.roster import KeyType, Person, Roster, roster_key
from controller.core import inputs as i
from controller.core.effects import AlertKind
from policies import canonical
from policies.authority import Role, Verb
from policies.stage import Stage
from tests.support.desk import BOT_KEYS, Desk
from tests.unit.core.test_hostile_commands import hand_in, signed

Subject = Callable[[Desk], str]
Prepare = Callable[[Desk], str]
"""Prepares a desk and returns the envelope to submit to it."""


@cache
def _validated() -> Desk:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.run(3000)
    desk.give(i.AlertNoticed(AlertKind.VENUE_LOCKOUT, "locked out", "HTTP 418"))
    return desk


@cache
def _live() -> Desk:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.run(3000)
    return desk


def validated() -> Desk:
    """A deployment at VALIDATED with one open alert."""
    return _validated().fork()


def live() -> Desk:
    """A deployment at LIVE_€10."""
    return _live().fork()


def about(desk: Desk, verb: Verb, subject: str, *signers: str, **changes: Any) -> str:
    """A signed command with this subject; every other field is right unless ``changes`` replaces it."""
    document = desk.command(Verb.REVOKE_BOT_KEY, desk.state.position, subject=BOT_KEYS["other-bot"]).model_dump(mode="json")
    document |= {"verb": verb.value, "subject": subject, **changes}
    return signed(desk, canonical.encode(document), *(signers or ("alice", "bob")))


def _replayed(verb: Verb, subject: Subject) -> Prepare:
    def prepare(desk: Desk) -> str:
        envelope = about(desk, verb, subject(desk))
        assert hand_in(desk, envelope).code == ""
        return envelope

    return prepare


def _by_observer(verb: Verb, subject: Subject) -> Prepare:
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


def _by(verb: Verb, subject: Subject, *signers: str, **changes: Any) -> Prepare:
    return lambda desk: about(desk, verb, subject(desk), *signers, **changes)


def misused(verb: Verb, subject: Subject, *, halt_only_may_sign: bool) -> list[tuple[str, Prepare, str]]:
    """A good command of this verb, misused in every way that does not depend on the verb: name, preparation, refusal code."""
    return [
        (f"a replayed {verb}", _replayed(verb, subject), "command-replayed"),
        (f"{verb} by an observer", _by_observer(verb, subject), "under-quorum"),
        *([] if halt_only_may_sign else [(f"{verb} by a key that may only halt", _by(verb, subject, "carol"), "under-quorum")]),
        (f"{verb} that moves up", _by(verb, subject, target_stage="LIVE_€10"), "no-such-edge"),
        (f"{verb} that moves down", _by(verb, subject, target_stage="MOCK"), "no-such-edge"),
        (f"{verb} that grants more", _by(verb, subject, cap_eur="11"), "other-limits"),
        (f"{verb} of another stage", _by(verb, subject, expected_stage="MOCK"), "other-stage"),
        (f"{verb} in version 1", _by(verb, subject, version=1), "malformed-command"),
        (f"{verb} about nothing", _by(verb, lambda _: ""), "malformed-command"),
    ]
