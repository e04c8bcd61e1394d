"""No signed command counts in a restored deployment before its roster is proven or confirmed, and no key that was revoked since."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.core.lifecycle import Position
from controller.runtime.recovery.old_roster import (
    FILE_NAME,
    OldRoster,
    read_old_roster,
    require_trusted_roster,
    roster_is_proven,
    write_old_roster,
)
from exchange.errors import Unauthorised
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk().walk_to(Stage.TESTNET_VALIDATING)


def refusal(data: Path, desk: Desk, *signers: str, verb: Verb = Verb.DEMOTE) -> str:
    """Why a command of these signers is refused; empty when it counts."""
    stage = Stage.HALTED if verb is Verb.HALT else Stage.MOCK
    verified = desk.verified(desk.command(verb, Position(stage)), *signers)
    try:
        require_trusted_roster(data, verified)
    except Unauthorised as error:
        return error.code
    return ""


def test_a_roster_that_nobody_confirmed_signs_nothing(tmp_path: Path, desk: Desk) -> None:
    write_old_roster(tmp_path, OldRoster(confirmed=False))
    assert refusal(tmp_path, desk, "alice", "bob") == "roster-not-confirmed"


def test_a_halt_needs_no_trust(tmp_path: Path, desk: Desk) -> None:
    write_old_roster(tmp_path, OldRoster(confirmed=False))
    assert refusal(tmp_path, desk, "alice", verb=Verb.HALT) == ""


def test_a_deployment_that_was_not_restored_is_not_asked(tmp_path: Path, desk: Desk) -> None:
    assert refusal(tmp_path, desk, "alice") == ""


def test_a_file_that_cannot_be_read_confirms_nothing(tmp_path: Path, desk: Desk) -> None:
    (tmp_path / FILE_NAME).write_text('{"confirmed": "yes"')
    assert refusal(tmp_path, desk, "alice") == "roster-not-confirmed"


def test_a_key_revoked_since_signs_nothing(tmp_path: Path, desk: Desk) -> None:
    assert desk.state.roster is not None
    (alice,) = (key.id for person in desk.state.roster.persons if person.name == "alice" for key in person.keys)
    write_old_roster(tmp_path, OldRoster(confirmed=True, revoked=(alice,)))
    assert refusal(tmp_path, desk, "bob") == ""
    assert refusal(tmp_path, desk, "bob", "alice") == "revoked-key"


def test_a_checkpoint_proves_what_waits_and_keeps_what_was_confirmed(tmp_path: Path) -> None:
    write_old_roster(tmp_path, OldRoster(confirmed=False))
    roster_is_proven(tmp_path)
    assert read_old_roster(tmp_path) is None
    write_old_roster(tmp_path, kept := OldRoster(confirmed=True, revoked=("sha256:1",)))
    roster_is_proven(tmp_path)
    assert read_old_roster(tmp_path) == kept
