"""Who may trade on an account of this host: controllers of one journal, as long as one of their processes lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.journal.claim import AccountClaims, claim_accounts, journal_name
from controller.journal.location import DatabaseLocation, FileLocation
from exchange.errors import Refused

ACCOUNTS = ("sha256:" + "1" * 64, "sha256:" + "2" * 64)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def held() -> Iterator[list[AccountClaims]]:
    """Claims that end with the test."""
    found: list[AccountClaims] = []
    yield found
    for one in found:
        one.close()


def place(tmp_path: Path, name: str) -> FileLocation:
    (tmp_path / name).touch()
    return FileLocation(tmp_path / name)


def claim(state: Path | None, at: FileLocation | DatabaseLocation, *accounts: str) -> AccountClaims:
    return claim_accounts(state, accounts or ACCOUNTS, at, controller_id="desk", folder=Path("/srv/desk"))


def test_another_journal_on_a_claimed_account_is_refused(tmp_path: Path, state: Path, held: list[AccountClaims]) -> None:
    held.append(claim(state, place(tmp_path, "first"), ACCOUNTS[1]))
    with pytest.raises(Refused, match="desk in /srv/desk, process") as refused:
        claim(state, place(tmp_path, "copy"))
    assert (refused.value.code, refused.value.exit_code) == ("account-claimed", 3)


def test_a_refused_claim_claims_nothing(tmp_path: Path, state: Path, held: list[AccountClaims]) -> None:
    held.append(claim(state, place(tmp_path, "first"), ACCOUNTS[1]))
    with pytest.raises(Refused):
        claim(state, place(tmp_path, "copy"))
    held.append(claim(state, place(tmp_path, "third"), ACCOUNTS[0]))


def test_a_claim_ends_with_its_holder_and_leaves_no_file(tmp_path: Path, state: Path, held: list[AccountClaims]) -> None:
    claim(state, place(tmp_path, "first")).close()
    assert not [path for path in state.rglob("*") if path.is_file()]
    held.append(claim(state, place(tmp_path, "copy")))


def test_the_claim_of_a_process_that_was_killed_is_no_claim(tmp_path: Path, state: Path, held: list[AccountClaims]) -> None:
    left = state / "accounts" / ("1" * 32) / "file-1-1"
    left.parent.mkdir(parents=True)
    left.write_text("desk in /srv/gone, process 1")
    held.append(claim(state, place(tmp_path, "first")))
    assert not left.exists()


def test_controllers_of_one_journal_share_the_claim(tmp_path: Path, state: Path, held: list[AccountClaims]) -> None:
    database = DatabaseLocation("postgresql://host/journal")
    leader, standby = claim(state, database), claim(state, database)
    leader.close()
    held.append(standby)
    with pytest.raises(Refused):
        claim(state, DatabaseLocation("postgresql://other/journal"))


def test_accounts_of_others_are_free(tmp_path: Path, state: Path, held: list[AccountClaims]) -> None:
    held.append(claim(state, place(tmp_path, "first"), ACCOUNTS[0]))
    held.append(claim(state, place(tmp_path, "second"), ACCOUNTS[1]))


def test_a_copied_file_has_another_name_and_a_linked_one_has_not(tmp_path: Path) -> None:
    first, copy = place(tmp_path, "first"), place(tmp_path, "copy")
    (tmp_path / "link").symlink_to("first")
    assert journal_name(first) != journal_name(copy)
    assert journal_name(FileLocation(tmp_path / "link")) == journal_name(first)


@pytest.mark.parametrize("name", [None, "file"])
def test_without_a_place_for_claims_nothing_is_refused(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "file").touch()
    claim(None if name is None else tmp_path / name, place(tmp_path, "first")).close()
