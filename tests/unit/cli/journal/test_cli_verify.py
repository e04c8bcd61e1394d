"""``gatehouse journal verify`` with a witness names a cut tail, an edited row, a swapped file and an older copy."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from controller.core.events import CommandAccepted, CommandRefused
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    """At VALIDATED, after a command that lacked a signature."""
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.move(Verb.ADVANCE, Stage.LIVE_EUR10, signers=("alice",))
    return desk


def settled(directory: Path, text: str) -> None:
    """Put a line before the first table of the settings, and tables after the last."""
    path = directory / "gatehouse.toml"
    settings = path.read_text()
    path.write_text(f"{text}\n{settings}" if not text.startswith("[[") else f"{settings}\n{text}\n")


@pytest.fixture
def witnessed(deployment: Path, desk: Desk, run: Run, tmp_path: Path) -> Path:
    """A deployment whose journal a directory elsewhere has a checkpoint of."""
    write_journal(desk, deployment)
    (tmp_path / "elsewhere").mkdir()
    settled(deployment, f'[[checkpoints]]\nto = "directory"\nname = "elsewhere"\npath = "{tmp_path}/elsewhere"')
    assert run("journal", "key", "-d", deployment).exit_code == 0
    assert run("journal", "checkpoint", "-d", deployment).exit_code == 0
    return deployment


def database(directory: Path) -> Path:
    return directory / "var" / "journal.db"


def rewrite(directory: Path, *statements: str) -> None:
    """Change the file as somebody would who knows its schema, and put the triggers back."""
    connection = sqlite3.connect(database(directory))
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def convicted(run: Run, directory: Path) -> str:
    result = run("journal", "verify", "-d", directory, "-o", "json")
    assert result.exit_code == 1
    error = printed(result, error=True)["error"]
    assert error["code"] == "journal-broken"
    return " ".join(error["message"].split())


def test_a_sound_journal_agrees_with_its_witness_by_name(run: Run, witnessed: Path, desk: Desk, tmp_path: Path) -> None:
    found = printed(run("journal", "verify", "-d", witnessed, "-o", "json"))
    assert found["checkpoints"] == [
        {"target": f"directory {tmp_path}/elsewhere", "verdict": "agrees", "size": len(desk.journal), "problem": ""}
    ]
    assert (found["commands"]["accepted"], found["commands"]["rejudged"], found["commands"]["refused"]) == (2, 2, 1)
    text = run("journal", "verify", "-d", witnessed).stdout
    assert f"directory {tmp_path}/elsewhere: agrees at {len(desk.journal)} entries" in text
    assert "2 applied" in text


def test_verify_names_entries_cut_off_at_the_end(run: Run, witnessed: Path, tmp_path: Path) -> None:
    rewrite(witnessed, "DELETE FROM entry WHERE seq > (SELECT max(seq) FROM entry) - 3")
    said = convicted(run, witnessed)
    assert f"directory {tmp_path}/elsewhere knows" in said
    assert "the end was cut off" in said
    assert "(tail-missing;" in said


def test_verify_names_an_edited_row(run: Run, witnessed: Path) -> None:
    rewrite(witnessed, "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'rehearsal', 'production') AS BLOB) WHERE seq = 1")
    said = convicted(run, witnessed)
    assert "entry 1 is not what was written" in said
    assert "(edited; 0 entries before it are good)" in said


def test_verify_names_a_swapped_file(run: Run, witnessed: Path, tmp_path: Path) -> None:
    database(witnessed).unlink()
    other = Desk().walk_to(Stage.VALIDATED)
    while len(other.journal) < 600:
        other.run(1000)
    write_journal(other, witnessed)
    said = convicted(run, witnessed)
    assert f"not those of the checkpoint that directory {tmp_path}/elsewhere holds" in said
    assert "the file was swapped" in said
    assert "(history-rewritten;" in said


def test_verify_names_a_file_of_another_deployment(run: Run, witnessed: Path, desk: Desk) -> None:
    rewrite(witnessed, "UPDATE controller SET controller_id = 'other'")
    assert "the file is the journal of other, not of desk" in convicted(run, witnessed)


def test_verify_names_a_restored_older_copy(run: Run, witnessed: Path, desk: Desk, tmp_path: Path) -> None:
    database(witnessed).unlink()
    older = desk.fork()
    older.journal = desk.journal[:-5]
    write_journal(older, witnessed)
    said = convicted(run, witnessed)
    assert f"directory {tmp_path}/elsewhere knows {len(desk.journal)} entries and the journal has {len(desk.journal) - 5}" in said
    assert "an older copy was restored" in said


def test_verify_names_a_rewritten_command_with_recomputed_hashes(run: Run, deployment: Path, desk: Desk) -> None:
    forged = desk.fork()
    number = next(place for place, (event, _) in enumerate(forged.journal) if isinstance(event, CommandAccepted))
    event, at = forged.journal[number]
    assert isinstance(event, CommandAccepted)
    envelope = json.loads(event.envelope)
    envelope["signatures"][0]["sig"] = "A" * 86 + "=="
    forged.journal[number] = (event.model_copy(update={"envelope": json.dumps(envelope)}), at)
    write_journal(forged, deployment)
    said = convicted(run, deployment)
    assert f"entry {number + 1}: the signature does not match these bytes" in said


def test_verify_names_an_invented_refusal(run: Run, deployment: Path, desk: Desk) -> None:
    forged = desk.fork()
    (refused,) = forged.events(CommandRefused)
    forged.journal = [
        (event.model_copy(update={"persons": ("alice", "bob")}) if event is refused else event, at) for event, at in desk.journal
    ]
    write_journal(forged, deployment)
    assert "does not match the envelope in it" in convicted(run, deployment)


def test_verify_names_an_unreachable_target_and_the_reason(run: Run, witnessed: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "elsewhere")
    result = run("journal", "verify", "-d", witnessed, "-o", "json")
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (3, "unwitnessed")
    (row,) = json.loads(result.stdout)["checkpoints"]
    assert row["verdict"] == "unreachable"
    assert "cannot be found" in row["problem"]
    assert "unreachable: " in run("journal", "verify", "-d", witnessed).stdout


def test_verify_names_a_target_with_a_forged_note(run: Run, witnessed: Path, tmp_path: Path) -> None:
    (note,) = (tmp_path / "elsewhere").iterdir()
    origin, size, rest = note.read_text().split("\n", 2)
    note.write_text(f"{origin}\n{int(size) - 1}\n{rest}")
    result = run("journal", "verify", "-d", witnessed, "-o", "json")
    assert result.exit_code == 1
    assert str(tmp_path / "elsewhere") in printed(result, error=True)["error"]["message"]


def test_without_a_checkpoint_a_sound_journal_is_refused(run: Run, deployment: Path, desk: Desk) -> None:
    write_journal(desk, deployment)
    result = run("journal", "verify", "-d", deployment)
    assert result.exit_code == 3
    assert f"verified {len(desk.journal)} entries" in result.stdout
    assert "entries cut off at the end would not be found" in " ".join(result.stderr.split())


def test_a_rehearsal_may_accept_that_no_checkpoint_was_compared(run: Run, deployment: Path, desk: Desk) -> None:
    write_journal(desk, deployment)
    assert run("journal", "verify", "-d", deployment, "--allow-unwitnessed").exit_code == 0


def in_production(directory: Path) -> None:
    settings = directory / "gatehouse.toml"
    text = settings.read_text().replace('environment = "rehearsal"', 'environment = "production"')
    settings.write_text(text.replace("lease_s = 30", 'lease_s = 30\napi_key = "another"\nsecret_file = "watchdog.secret"'))


def test_production_never_accepts_that_no_checkpoint_was_compared(run: Run, witnessed: Path) -> None:
    in_production(witnessed)
    result = run("journal", "verify", "-d", witnessed, "--allow-unwitnessed", "-o", "json")
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (2, "usage")


def test_without_a_checkpoint_key_a_target_is_reported_as_unread(run: Run, deployment: Path, desk: Desk) -> None:
    write_journal(desk, deployment)
    settled(deployment, '[[checkpoints]]\nto = "directory"\nname = "elsewhere"\npath = "elsewhere"')
    (row,) = printed(run("journal", "verify", "-d", deployment, "--allow-unwitnessed", "-o", "json"))["checkpoints"]
    assert (row["verdict"], "no checkpoint key" in row["problem"]) == ("unreachable", True)


def test_a_checkpoint_goes_to_every_target_and_a_failure_sets_the_code(run: Run, witnessed: Path, tmp_path: Path) -> None:
    published = printed(run("journal", "checkpoint", "-d", witnessed, "-o", "json"))["published"]
    assert published == [{"target": f"directory {tmp_path}/elsewhere", "outcome": "taken", "problem": ""}]
    shutil.rmtree(tmp_path / "elsewhere")
    assert run("journal", "checkpoint", "-d", witnessed).exit_code == 6
    (tmp_path / "elsewhere").mkdir()
    assert run("journal", "checkpoint", "-d", witnessed).exit_code == 0
    rewrite(witnessed, "DELETE FROM entry WHERE seq = (SELECT max(seq) FROM entry)")
    assert run("journal", "checkpoint", "-d", witnessed).exit_code == 1


def test_a_target_without_its_secret_is_unread_and_others_are_verified(run: Run, witnessed: Path, tmp_path: Path) -> None:
    webhook = 'to = "webhook"\nname = "chat"\nurl = "https://example.com/hook"\nsecret_file = "hook.token"'
    settled(witnessed, f"[[checkpoints]]\n{webhook}")
    found = printed(run("journal", "verify", "-d", witnessed, "-o", "json"))
    verdicts = {row["target"]: (row["verdict"], row["problem"]) for row in found["checkpoints"]}
    assert verdicts[f"directory {tmp_path}/elsewhere"] == ("agrees", "")
    assert verdicts["webhook chat"][0] == "unreachable"
    assert "hook.token cannot be read" in verdicts["webhook chat"][1]


def test_two_targets_with_one_name_are_a_settings_error(run: Run, witnessed: Path, tmp_path: Path) -> None:
    settled(witnessed, f'[[checkpoints]]\nto = "directory"\nname = "again"\npath = "{tmp_path}/elsewhere"')
    result = run("journal", "verify", "-d", witnessed, "-o", "json")
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (2, "checkpoint-name")


def test_doctor_reads_every_checkpoint_target(run: Run, witnessed: Path, tmp_path: Path) -> None:
    def row() -> dict[str, str]:
        rows = json.loads(run("doctor", "-d", witnessed, "-o", "json").stdout)
        return next(one for one in rows if one["check"] == "checkpoints")

    assert row()["ok"]
    shutil.rmtree(tmp_path / "elsewhere")
    assert not row()["ok"]
    assert "cannot be found" in row()["found"]


def test_doctor_fails_in_production_when_only_the_folder_is_witness(run: Run, witnessed: Path, tmp_path: Path) -> None:
    def row() -> dict[str, str]:
        rows = json.loads(run("doctor", "-d", witnessed, "-o", "json").stdout)
        return next(one for one in rows if one["check"] == "checkpoints")

    in_production(witnessed)
    assert row()["verdict"] == "PASS"
    settings = witnessed / "gatehouse.toml"
    settings.write_text(settings.read_text().replace(str(tmp_path / "elsewhere"), "var/checkpoints"))
    assert row()["verdict"] == "FAIL"
    assert row()["found"].startswith("no target outside this folder can be read back: every step to real money is refused")
    assert 'witnesses = ["/mnt/nas/checkpoints"] above the first [table]' in row()["fix"]
