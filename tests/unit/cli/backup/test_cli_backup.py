"""``gatehouse backup``: what is copied, what is refused, what a damaged copy says, and what a restored folder holds."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from controller.backup import create
from controller.backup.files import copies_in
from controller.journal.last_backup import age_of_verified_backup_ms, last_backup
from controller.runtime.followers.latchfile import LatchFile
from controller.runtime.recovery.old_roster import OldRoster, read_old_roster
from controller.runtime.recovery.restored import read_restored
from exchange.model import Millis
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk().walk_to(Stage.VALIDATED)


@pytest.fixture
def identity(run: Run, tmp_path: Path) -> Path:
    assert run("backup", "key", tmp_path / "identity").exit_code == 0
    return tmp_path / "identity"


@pytest.fixture
def copied(run: Run, deployment: Path, desk: Desk, identity: Path) -> Path:
    """A deployment with a journal, evidence, and somebody who can open its copies."""
    write_journal(desk, deployment)
    (recipient,) = re.findall(r"age1\w+", identity.read_text())
    with (deployment / "gatehouse.toml").open("a") as file:
        file.write(f'[backup]\nrecipients = ["{recipient}"]\n')
    (deployment / "reports").mkdir()
    (deployment / "reports" / "page.html").write_text("what a run did")
    assert run("journal", "key", "-d", deployment).exit_code == 0
    return deployment


def made(run: Run, deployment: Path, to: Path, *options: str) -> Path:
    result = run("backup", "create", to, "-d", deployment, "-o", "json", *options)
    assert result.exit_code == 0, result.stderr
    return Path(printed(result)["file"])


def refused(run: Run, *arguments: str | Path) -> tuple[int, str, str]:
    """The exit code, the error's code and its message."""
    result = run(*arguments, "-o", "json")
    error = printed(result, error=True)["error"]
    return result.exit_code, error["code"], error["message"]


def plaintext(copy: Path, identity: Path) -> bytes:
    """What a copy holds, before it is unpacked."""
    import zlib

    secret = identity.read_text().splitlines()[-1]
    return zlib.decompress(pyrage.decrypt(copy.read_bytes(), [pyrage.x25519.Identity.from_str(secret)]), 31)


def secrets_of(deployment: Path) -> list[bytes]:
    """Every secret value of the deployment."""
    files = [*(deployment / "secrets").iterdir(), *(deployment / "keys").iterdir(), deployment / "var" / "checkpoint.key"]
    lines = (line for file in files for line in file.read_bytes().splitlines())
    return [line for line in lines if len(line) >= 32 and not line.startswith(b"api_key")]


def test_a_copy_verifies_and_its_age_is_kept(run: Run, copied: Path, identity: Path, desk: Desk, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    assert last_backup(copied / "var").verified is None
    found = printed(run("backup", "verify", copy, "-i", identity, "-d", copied, "-o", "json"))
    assert (found["entries"], found["stage"]) == (len(desk.journal), "VALIDATED")
    assert found["fingerprint"] == desk.state.fingerprint()
    assert found["recorded"]
    assert age_of_verified_backup_ms(copied / "var", Millis(found["until_ms"] + 5)) == 5


def test_a_copy_holds_no_secret(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    content = plaintext(made(run, copied, tmp_path / "copies"), identity)
    assert b"what a run did" in content
    assert not [secret for secret in secrets_of(copied) if secret in content]


def test_a_copy_with_secrets_holds_all_of_them(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    content = plaintext(made(run, copied, tmp_path / "copies", "--with-secrets"), identity)
    assert not [secret for secret in secrets_of(copied) if secret not in content]


def test_a_private_key_among_the_reports_is_left_out(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    shutil.copy(copied / "keys" / "alice.key", copied / "reports" / "notes.txt")
    result = run("backup", "create", tmp_path / "copies", "-d", copied)
    assert "not copied: reports/notes.txt: it holds a private key" in result.stdout
    (copy,) = copies_in(tmp_path / "copies")
    assert not [secret for secret in secrets_of(copied) if secret in plaintext(copy, identity)]


def test_a_copy_can_be_read_by_its_owner_alone(run: Run, copied: Path, tmp_path: Path) -> None:
    assert made(run, copied, tmp_path / "copies").stat().st_mode & 0o777 == 0o600


def test_another_identity_does_not_open_a_copy(run: Run, copied: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    assert run("backup", "key", tmp_path / "other").exit_code == 0
    code, kind, message = refused(run, "backup", "verify", copy, "-i", tmp_path / "other", "-d", copied)
    assert (code, kind) == (4, "backup-identity")
    assert "made for other recipients" in message


def test_a_copy_of_another_deployment_is_not_taken_for_it(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    (copied / "var" / "checkpoint.key").unlink()
    key = run("journal", "key", "-d", copied).stdout.strip()
    assert refused(run, "backup", "verify", copy, "-i", identity, "--checkpoint-key", key)[1] == "backup-manifest"


@pytest.mark.parametrize("keep", [1, 2])
def test_only_the_newest_copies_are_kept(run: Run, copied: Path, tmp_path: Path, keep: int) -> None:
    files = [made(run, copied, tmp_path / "copies", "--keep", str(keep)) for _ in range(3)]
    assert copies_in(tmp_path / "copies") == files[-keep:]


def test_a_broken_journal_gives_no_copy(run: Run, copied: Path, tmp_path: Path) -> None:
    path = copied / "var" / "journal.db"
    content = path.read_bytes()
    assert content.count(b'"stage":"VALIDATED"') >= 1
    path.write_bytes(content.replace(b'"stage":"VALIDATED"', b'"stage":"VALIDATEX"'))
    assert refused(run, "backup", "create", tmp_path / "copies", "-d", copied)[1] == "journal-broken"
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_full_disk_leaves_nothing(run: Run, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fills_up(pieces: Iterator[bytes], _handle: int) -> Iterator[bytes]:
        yield next(pieces)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(create, "_synced", fills_up)
    code, kind, message = refused(run, "backup", "create", tmp_path / "copies", "-d", copied)
    assert (code, kind) == (1, "disk-full")
    assert "no copy was made" in message
    assert list((tmp_path / "copies").iterdir()) == []
    assert not (copied / "var" / create.STAGING).exists()


def test_a_disk_without_room_is_named(run: Run, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1 << 20))  # type: ignore[attr-defined]
    assert refused(run, "backup", "create", tmp_path / "copies", "-d", copied)[1] == "disk-full"


def test_a_file_that_changes_gives_no_copy(run: Run, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = create.packed

    def changing(members: Iterator[create.Member]) -> Iterator[bytes]:
        (copied / "reports" / "page.html").write_text("what another run did")
        return packed(members)

    monkeypatch.setattr(create, "packed", changing)
    assert refused(run, "backup", "create", tmp_path / "copies", "-d", copied)[1] == "backup-changed"
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 101, "é" * 60, "\udcff"])
def test_a_name_that_no_copy_can_hold_is_named(run: Run, copied: Path, tmp_path: Path, name: str) -> None:
    (copied / "reports" / name).write_text("evidence")
    assert refused(run, "backup", "create", tmp_path / "copies", "-d", copied)[:2] == (2, "backup-name")
    assert list((tmp_path / "copies").iterdir()) == []


def test_nobody_who_can_open_it_means_no_copy(run: Run, copied: Path, tmp_path: Path) -> None:
    settings = copied / "gatehouse.toml"
    settings.write_text(re.sub(r"recipients = .*", "", settings.read_text()))
    assert refused(run, "backup", "create", tmp_path / "copies", "-d", copied)[1] == "backup-no-recipient"


def test_a_database_that_does_not_answer_gives_no_copy(run: Run, copied: Path, tmp_path: Path) -> None:
    settings = copied / "gatehouse.toml"
    alone = settings.read_text().replace("enabled = true", "enabled = false")
    settings.write_text(f'journal = "postgresql://gatehouse@/journal?host={tmp_path}"\n{alone}')
    assert refused(run, "backup", "create", tmp_path / "copies", "-d", copied)[:2] == (1, "journal-unusable")
    assert list((tmp_path / "copies").glob("*")) == []


def test_a_restored_folder_is_marked_and_latched(run: Run, copied: Path, identity: Path, desk: Desk, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    result = run("backup", "restore", copy, tmp_path / "new", "-i", identity, "-o", "json")
    assert result.exit_code == 0, result.stderr
    mark, latch = read_restored(tmp_path / "new" / "var"), LatchFile(tmp_path / "new" / "var" / "latch").read()
    assert mark is not None
    assert mark.entries == len(desk.journal)
    assert latch is not None
    assert latch.halted
    for name in ("gatehouse.toml", "policy.toml", "roster.toml", "reports/page.html"):
        assert (tmp_path / "new" / name).read_bytes() == (copied / name).read_bytes()
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "new").rglob("*")} == {0}


def test_nothing_is_restored_over_anything(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    assert refused(run, "backup", "restore", copy, copied, "-i", identity)[:2] == (2, "not-empty")


def test_two_restores_into_one_folder_do_not_mix(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    with (tmp_path / ".new.restoring.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refused(run, "backup", "restore", copy, tmp_path / "new", "-i", identity)[:2] == (3, "restore-running")
    assert not (tmp_path / "new").exists()


def test_a_link_is_no_new_folder(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert refused(run, "backup", "restore", copy, tmp_path / "link", "-i", identity)[:2] == (2, "no-directory")


def test_a_folder_of_several_deployments_needs_a_name(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    mine, key = made(run, copied, tmp_path / "copies"), run("journal", "key", "-d", copied).stdout.strip()
    (copied / "var" / "checkpoint.key").unlink()
    assert run("journal", "key", "-d", copied).exit_code == 0
    made(run, copied, tmp_path / "copies")
    copies, new = tmp_path / "copies", tmp_path / "new"
    assert refused(run, "backup", "restore", copies, new, "-i", identity)[:2] == (2, "several-deployments")
    found = printed(run("backup", "restore", copies, new, "-i", identity, "--checkpoint-key", key, "-o", "json"))
    assert found["file"] == str(mine)


def test_a_restored_roster_is_shown_and_confirmed(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert run("backup", "restore", made(run, copied, tmp_path / "copies"), new, "-i", identity).exit_code == 0
    shown = printed(run("backup", "confirm", "-d", new, "-o", "json"))
    assert not shown["confirmed"]
    assert read_old_roster(new / "var") == OldRoster(confirmed=False)
    lost = shown["keys"][0]["id"]
    assert refused(run, "backup", "confirm", "-d", new, "--roster", "sha256:0", "--revoked", lost)[1] == "other-roster"
    assert run("backup", "confirm", "-d", new, "--roster", shown["roster"], "--revoked", lost).exit_code == 0
    assert read_old_roster(new / "var") == OldRoster(confirmed=True, revoked=(lost,))


def test_a_running_deployment_has_nothing_to_confirm(run: Run, copied: Path) -> None:
    assert refused(run, "backup", "confirm", "-d", copied)[:2] == (3, "nothing-to-confirm")


def test_nothing_is_restored_over_a_running_controller(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    with (copied / "var" / "journal.db.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refused(run, "backup", "restore", copy, copied, "-i", identity)[:2] == (3, "controller-running")


def test_a_damaged_copy_leaves_no_folder(run: Run, copied: Path, identity: Path, tmp_path: Path) -> None:
    copy = made(run, copied, tmp_path / "copies")
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    code, kind, message = refused(run, "backup", "restore", copy, tmp_path / "new", "-i", identity)
    assert (code, kind) == (1, "backup-damaged")
    assert f"{len(content)} of {len(content)} were changed" in message
    assert not list(tmp_path.glob("*new*"))


def test_a_schedule_names_folder_retention_and_the_check(run: Run, copied: Path, tmp_path: Path) -> None:
    with (copied / "gatehouse.toml").open("a") as file:
        file.write('identity_file = "secrets/identity"\n')
    arguments = ("backup", "schedule", tmp_path / "copies", "-d", copied, "--keep", "9", "--write", tmp_path / "units")
    result = run(*arguments, "-o", "json")
    found = json.loads(result.stdout)
    service, timer = ((tmp_path / "units" / name).read_text() for name in sorted(found["units"]))
    assert re.search(rf"ExecStart=\S+ backup create {tmp_path}/copies --dir {copied} --keep 9\n", service)
    assert re.search(rf"ExecStart=\S+ backup verify {tmp_path}/copies --dir {copied}\n", service)
    assert "OnCalendar=*-*-* *:07:00" in timer
    assert found["cron"].startswith("7 * * * * ")
