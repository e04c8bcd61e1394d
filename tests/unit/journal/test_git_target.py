"""A git remote as a checkpoint target: a commit per checkpoint, no forced push, no inherited settings, no prompts."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from controller.journal.publishing import Outcome, read_from
from controller.journal.targets import git as git_target
from controller.journal.targets.git import GitRemote, GitTarget
from controller.runtime.loop.clock import SystemClock
from exchange.errors import ConfigError, IntegrityError, Unreachable
from tests.support.checkpoint_target_cases import bare_repository, published
from tests.support.logbook import Logbook

LOG = Logbook()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare_repository(tmp_path / "remote.git")


def target(tmp_path: Path, remote: object, name: str = "work", **settings: object) -> GitTarget:
    there = GitRemote(str(remote), "main", **settings)
    return GitTarget("backup", there, tmp_path / f"{name}.git", LOG.owner, LOG.key, now=SystemClock().now)


def git(repository: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t.invalid"]
    return subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def running_from(programs: Path) -> list[str]:
    """The ids of the processes that look for programs there first."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{programs}:".encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


async def test_each_checkpoint_is_a_commit_on_the_one_before(tmp_path: Path, remote: Path) -> None:
    here = target(tmp_path, remote)
    for size in (3, 7):
        await published(here, LOG, size)
    assert git(remote, "log", "--format=%s|%an|%ae|%ct", "main").splitlines() == [
        "desk-1: 7 entries|gatehouse|desk-1@gatehouse.invalid|1800000000",
        "desk-1: 3 entries|gatehouse|desk-1@gatehouse.invalid|1800000000",
    ]
    assert git(remote, "show", "main:gatehouse-desk-1.checkpoint") + "\n" == LOG.note(7)


async def test_other_files_of_the_branch_are_kept(tmp_path: Path, remote: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(remote), "clone")
    (tmp_path / "clone" / "README").write_text("ours\n")
    git(tmp_path / "clone", "add", "README")
    git(tmp_path / "clone", "commit", "--quiet", "-m", "begin")
    git(tmp_path / "clone", "push", "--quiet", "origin", "HEAD:main")
    assert (await published(target(tmp_path, remote), LOG, 3)).outcome is Outcome.TAKEN
    assert git(remote, "ls-tree", "--name-only", "main").split() == ["README", "gatehouse-desk-1.checkpoint"]


async def test_a_branch_that_moved_meanwhile_is_not_overwritten(tmp_path: Path, remote: Path) -> None:
    slow, quick = target(tmp_path, remote, "slow"), target(tmp_path, remote, "quick")
    real_read = slow.read

    async def read_then_overtaken() -> object:
        held = await real_read()
        await published(quick, LOG, 5)
        return held

    slow.read = read_then_overtaken  # type: ignore[method-assign]
    found = await published(slow, LOG, 7)
    assert found.outcome is Outcome.REFUSED
    assert "rejected" in found.problem
    assert git(remote, "show", "main:gatehouse-desk-1.checkpoint") + "\n" == LOG.note(5)


async def test_a_remote_that_forbids_the_push_counts_as_refused(tmp_path: Path, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    found = await published(target(tmp_path, remote), LOG, 3)
    assert found.outcome is Outcome.REFUSED
    assert "pre-receive hook declined" in found.problem


async def test_a_rewritten_branch_is_refused(tmp_path: Path, remote: Path) -> None:
    here = target(tmp_path, remote)
    await published(here, LOG, 3)
    older = git(remote, "rev-parse", "main")
    await published(here, LOG, 7)
    git(remote, "update-ref", "refs/heads/main", older)
    with pytest.raises(IntegrityError, match="no longer contains commit"):
        await read_from(here)


async def test_a_deleted_branch_is_not_created_again(tmp_path: Path, remote: Path) -> None:
    here = target(tmp_path, remote)
    await published(here, LOG, 3)
    git(remote, "update-ref", "-d", "refs/heads/main")
    found = await published(here, LOG, 7)
    assert found.outcome is Outcome.REFUSED
    assert "was deleted" in found.problem


async def test_git_does_not_use_our_environment(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_SSH", "GIT_PROXY_COMMAND"):
        monkeypatch.setenv(name, "/nonexistent")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text("[core]\n\thooksPath = /nonexistent\n[push]\n\tdefault = nothing\n[bad\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert (await published(target(tmp_path, remote), LOG, 3)).outcome is Outcome.TAKEN


async def test_a_stale_lock_is_removed(tmp_path: Path, remote: Path) -> None:
    here = target(tmp_path, remote)
    await published(here, LOG, 3)
    for name in ("checkpoint.index.lock", "refs/taken/main.lock", "refs/seen/main.lock"):
        lock = tmp_path / "work.git" / name
        lock.touch()
        os.utime(lock, (1_700_000_000, 1_700_000_000))
    assert (await published(here, LOG, 7)).outcome is Outcome.TAKEN


async def test_a_remote_helper_is_not_allowed_as_an_address(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="not allowed"):
        await target(tmp_path, f"ext::touch {tmp_path}/ran").read()
    assert not (tmp_path / "ran").exists()


def test_a_token_is_in_no_argument(tmp_path: Path) -> None:
    environment = GitRemote("https://example.com/r.git", "main", token="s3cret-token").environment()
    assert [key for key, value in environment.items() if "Basic" in value] == ["GIT_CONFIG_VALUE_3"]
    assert "s3cret-token" not in " ".join(environment.values())


@pytest.mark.parametrize("remote", ["https://me:password@example.com/r.git", "--upload-pack=touch /tmp/x"])
def test_an_address_with_a_password_or_an_option_is_refused(tmp_path: Path, remote: str) -> None:
    with pytest.raises(ConfigError) as refused:
        target(tmp_path, remote)
    assert refused.value.code == "checkpoint-address"


async def test_a_remote_that_never_answers_ends_with_all_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    stuck = tmp_path / "bin" / "ssh"
    stuck.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    stuck.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    bare_repository(tmp_path / "work.git")
    monkeypatch.setattr(git_target, "TIMEOUT_S", 0.5)
    here = target(tmp_path, "ssh://git@example.invalid/r.git")
    with pytest.raises(Unreachable, match="did not end"):
        await here.read()
    async with asyncio.timeout(30):
        while running_from(tmp_path / "bin"):  # noqa: ASYNC110 - the kernel ends them without an event to wait for
            await asyncio.sleep(0.01)
