"""Persons let old entries be archived: one signature, at any stage, about an entry of the past. Nothing else changes."""

import pytest

from controller.core import events as e
from controller.core.decisions.archiving import archive_document
from exchange.errors import Refused
from policies.authority import Verb
from policies.stage import Stage
from tests.support.desk import Desk

HASH = "sha256:" + "7" * 64


@pytest.fixture
def desk() -> Desk:
    return Desk().arm()


def test_one_person_lets_entries_be_archived(desk: Desk) -> None:
    before = desk.state
    assert desk.ask(Verb.ARCHIVE, archive_document(3, HASH), "alice").code == ""
    (approved,) = desk.events(e.ArchiveApproved)
    assert isinstance(approved, e.ArchiveApproved)
    assert (approved.upto, approved.hash, approved.persons) == (3, HASH, ("alice",))
    assert (desk.state.position, desk.state.armed) == (before.position, before.armed)


def test_a_halted_deployment_may_be_archived(desk: Desk) -> None:
    desk.move(Verb.HALT, Stage.HALTED, signers=("carol",))
    assert desk.ask(Verb.ARCHIVE, archive_document(3, HASH), "alice").code == ""


def test_a_key_that_may_only_halt_lets_nothing_be_archived(desk: Desk) -> None:
    assert desk.ask(Verb.ARCHIVE, archive_document(3, HASH), "carol").code == "under-quorum"


def test_an_entry_that_is_not_written_yet_cannot_be_archived(desk: Desk) -> None:
    assert refused(desk, archive_document(desk.state.seq + 100, HASH)) == "no-such-entry"


def refused(desk: Desk, subject: str) -> str:
    """The code with which a command about ``subject`` is refused, proposed or signed without a proposal."""
    with pytest.raises(Refused) as proposed:
        desk.ask(Verb.ARCHIVE, subject, "alice")
    command = desk.command(Verb.ARCHIVE, desk.state.position, subject=archive_document(3, HASH))
    signed = desk.submit(command.model_copy(update={"subject": subject}), "alice")
    assert signed.code == proposed.value.code
    return signed.code


@pytest.mark.parametrize("subject", ["{}", "3", '{"hash":"x","upto":3}', archive_document(0, HASH), "nonsense", "[3]"])
def test_a_subject_that_names_no_entry_is_refused(desk: Desk, subject: str) -> None:
    assert refused(desk, subject) == "archive-malformed"
