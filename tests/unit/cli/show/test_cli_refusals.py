"""``gatehouse explain`` shows why a command was refused: by command id, by entry, or the last refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.authority.command import Command
from controller.authority.envelope import Envelope
from controller.authority.signing import propose, sign_with_file_key
from controller.core.inputs import SubmissionInvalid
from controller.core.lifecycle import Position
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def refused() -> tuple[Desk, Command]:
    """A command nobody signed, then one that too few did, then bytes that are no envelope."""
    desk = Desk().walk_to(Stage.VALIDATED)
    unsigned = desk.command(Verb.DEMOTE, Position(Stage.MOCK))
    desk.give(_invalid(propose(unsigned), "no-signatures", "the envelope is not signed"))
    desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    desk.give(SubmissionInvalid("{}", "malformed-envelope", "it is no envelope", "Send it as it was written.", 4))
    return desk, unsigned


def _invalid(envelope: Envelope, code: str, message: str) -> SubmissionInvalid:
    return SubmissionInvalid(envelope.text[:4096], code, message, "Sign the proposal.", 4)


@pytest.fixture
def journalled(deployment: Path, refused: tuple[Desk, Command]) -> Path:
    write_journal(refused[0], deployment)
    return deployment


def test_a_command_whose_signatures_did_not_hold_is_found_by_its_id(
    run: Run, journalled: Path, refused: tuple[Desk, Command]
) -> None:
    text = run("explain", "refusal", refused[1].command_id, "-d", journalled).stdout
    for words in ("no-signatures", "Sign the proposal", "did not verify"):
        assert words in text


def test_without_an_id_the_last_refusal_is_explained(run: Run, journalled: Path) -> None:
    text = run("explain", "refusal", "-d", journalled).stdout
    for words in ("malformed-envelope", "it is no envelope", "Send it as it was written."):
        assert words in text


def test_a_refusal_is_explained_in_words_by_the_number_of_its_entry(run: Run, journalled: Path) -> None:
    (last,) = printed(run("explain", "refusal", "-d", journalled, "-o", "json"))
    text = run("explain", "refusal", str(last["seq"]), "-d", journalled).stdout
    assert "refused [malformed-envelope] it is no envelope" in text


def test_a_command_that_was_cut_when_it_was_stored_is_found_by_its_id(run: Run, deployment: Path) -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    command = desk.command(Verb.HALT, Position(Stage.HALTED)).model_copy(
        update={"version": 2, "verb": Verb.VETO, "subject": "x" * 6000}
    )
    desk.give(_invalid(sign_with_file_key(propose(command), desk.keys["alice"]), "bad-signature", "does not match these bytes"))
    write_journal(desk, deployment)
    assert "bad-signature" in run("explain", "refusal", command.command_id, "-d", deployment).stdout


def test_without_a_refusal_there_is_nothing_to_explain(run: Run, deployment: Path) -> None:
    write_journal(Desk().arm(), deployment)
    assert run("explain", "refusal", "-d", deployment).exit_code == 2
