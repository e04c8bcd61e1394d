"""Verbs that read the journal on disk: verify, tail, export, checkpoint and explain."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from controller.authority.keys import generate_key, save_key
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A deployment that went to RAMPING, was refused on the way, and was halted by a price gap."""
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    desk.move(Verb.ADVANCE, Stage.VALIDATED)
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    desk.run(10_000)
    desk.move(Verb.ADVANCE, Stage.LIVE_EUR10)
    desk.tick()
    bought = desk.placed(desk.order("0.00009", bot_id="my-order"))
    desk.fill(bought, "0.00009")
    desk.order("9", bot_id="too-much")
    desk.price = desk.price * 9 / 10
    desk.tick()
    return desk


@pytest.fixture
def journalled(deployment: Path, desk: Desk) -> Path:
    write_journal(desk, deployment)
    return deployment


def tamper(directory: Path, trigger: str, sql: str) -> None:
    """Change the journal's file as somebody would who knows its schema, and put the trigger back."""
    connection = sqlite3.connect(directory / "var" / "journal.db")
    (definition,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (trigger,)).fetchone()
    connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(sql)
    connection.execute(definition)
    connection.commit()
    connection.close()


def test_a_sound_journal_verifies_with_its_head(run: Run, journalled: Path, desk: Desk) -> None:
    found = printed(run("journal", "verify", "-d", journalled, "-o", "json"))
    assert found["ok"]
    assert found["entries"] == len(desk.journal)


def test_an_edited_journal_is_an_error_that_names_the_entry(run: Run, journalled: Path) -> None:
    tamper(journalled, "entry_stays", "UPDATE entry SET at = at + 1 WHERE seq = 7")
    result = run("journal", "verify", "-d", journalled, "-o", "json")
    assert result.exit_code == 1
    assert printed(result, error=True)["error"]["code"] == "journal-broken"
    assert "6 entries before it are good" in result.stderr


def test_the_tail_shows_the_last_entries_of_one_kind(run: Run, journalled: Path) -> None:
    rows = printed(run("journal", "tail", "-d", journalled, "--kind", "stage-changed", "-o", "json"))
    assert [row["body"]["stage"] for row in rows] == ["TESTNET_VALIDATING", "VALIDATED", "LIVE_€10", "HALTED"]
    assert "LIVE_€10 → HALTED" in run("journal", "tail", "-d", journalled, "--kind", "stage-changed").stdout


def test_an_export_verifies_without_the_database(run: Run, journalled: Path, tmp_path: Path) -> None:
    from controller.journal.export import verify_export

    assert run("journal", "export", tmp_path / "out", "-d", journalled).exit_code == 0
    assert verify_export(tmp_path / "out").ok
    assert run("journal", "export", tmp_path / "out", "-d", journalled).exit_code == 2


def test_a_checkpoint_shows_that_a_journal_lost_its_last_entries(run: Run, journalled: Path, tmp_path: Path) -> None:
    save_key(generate_key(), tmp_path / "k")
    signed = printed(run("journal", "checkpoint", "-d", journalled, "--key", tmp_path / "k", "-o", "json"))
    note = tmp_path / "note"
    note.write_text(signed["checkpoint"])
    check = ("journal", "verify", "-d", journalled, "--checkpoint", note, "--checkpoint-key", signed["public_key"])
    assert run(*check).exit_code == 0
    tamper(journalled, "entry_remains", "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)")
    result = run(*check)
    assert result.exit_code == 1
    assert "the end was cut off" in result.stderr


def test_a_refused_command_is_explained_with_its_signers_and_the_reason(run: Run, journalled: Path) -> None:
    (refused,) = printed(run("journal", "tail", "-d", journalled, "--kind", "command-refused", "-o", "json"))
    text = run("explain", refused["body"]["command_id"], "-d", journalled).stdout
    for words in ("under-quorum", "signed by alice", "must sign"):
        assert words in text


def test_a_denied_order_is_explained_by_the_bots_own_id(run: Run, journalled: Path) -> None:
    text = run("explain", "too-much", "-d", journalled).stdout
    assert "order-denied" in text
    assert "rule " in text


def test_an_order_is_explained_from_admission_to_fill(run: Run, journalled: Path) -> None:
    kinds = [row["kind"] for row in printed(run("explain", "my-order", "-d", journalled, "-o", "json"))]
    assert kinds[0] == "order-admitted"
    assert "fill-booked" in kinds


def test_a_halt_is_explained_by_guard_measured_and_threshold(run: Run, journalled: Path) -> None:
    text = run("explain", "halt", "-d", journalled).stdout
    assert "guard daily-loss: measured" in text


def test_a_gate_is_explained_by_its_last_decision(run: Run, journalled: Path) -> None:
    assert "covered-time" in run("explain", "live-ready", "-d", journalled).stdout


@pytest.mark.parametrize("subject", ["nobody", "f" * 32, "99999", "resume"])
def test_an_unknown_subject_is_a_usage_error(run: Run, journalled: Path, subject: str) -> None:
    assert run("explain", subject, "-d", journalled).exit_code == 2
