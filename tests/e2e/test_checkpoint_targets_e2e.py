"""A real controller whose checkpoints go to a git remote, a locked bucket, a webhook and a witness process, all at once."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.authority.keys import generate_key, save_key
from controller.cli.backup.making import make_identity
from controller.journal.checkpoint import checkpoint_public_key
from controller.journal.cosignature import cosigned_at, parse_cosigner_key
from tests.support.bucket_server import ACCESS_KEY, BUCKET, REGION, SECRET, BucketServer, running_bucket
from tests.support.checkpoint_hook import Hook, running_hook
from tests.support.checkpoint_target_cases import bare_repository
from tests.support.rig import ROOT, Rig, rig

pytestmark = pytest.mark.e2e

SECRETS = (
    "testnet.secret",
    "live.secret",
    "bot.secret",
    "bucket.secret",
    "hook.secret",
    "secrets/control.token",
    "var/checkpoint.key",
)


@dataclass
class Scene:
    """A deployment and all targets of its checkpoints."""

    rig: Rig
    remote: Path
    bucket: BucketServer
    hook: Hook
    witness: Path
    witness_key: str

    def sizes(self) -> dict[str, int]:
        """The newest size that each target holds, -1 where it holds none."""
        command = ["git", "show", "main:gatehouse-rig.checkpoint"]
        pushed = subprocess.run(command, cwd=self.remote, capture_output=True, text=True, check=False).stdout
        cosigned = [path.read_text() for path in self.witness.glob("*.checkpoint")]
        keys = self.bucket.keys
        return {
            "git": _size(pushed),
            "bucket": int(keys[0].rpartition("-")[2].partition(".")[0]) if keys else -1,
            "hook": _size(self.hook.notes[-1]) if self.hook.notes else -1,
            "witness": _size(cosigned[0]) if cosigned else -1,
        }

    async def until(self, wanted: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        for _ in range(200):
            if wanted(found := self.sizes()):
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.sizes()}\n{self.rig.tail()}")

    def log(self) -> str:
        """The end of the controller's log on one line."""
        return " ".join(self.rig.tail().split())

    async def verify(self) -> tuple[int, str]:
        """``gatehouse journal verify``: its exit code and its output."""
        command = (sys.executable, "-m", "controller", "journal", "verify", "-o", "json", "--dir", str(self.rig.directory))
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=self.rig.environment, cwd=ROOT
        )
        output, complaint = await process.communicate()
        return process.returncode or 0, (output or complaint).decode()

    async def backup(self, *arguments: object) -> dict[str, Any]:
        """What a verb of ``gatehouse backup`` printed."""
        command = (sys.executable, "-m", "controller", "backup", *map(str, arguments), "-o", "json")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=self.rig.environment, cwd=ROOT
        )
        output, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return dict(json.loads(output))

    async def put_back(self, directory: Path) -> Rig:
        """The rig of a restored folder with its secrets, on a host of its own; started."""
        for name in SECRETS:
            (directory / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(self.rig.directory / name, directory / name)
        elsewhere = {**self.rig.environment, "XDG_STATE_HOME": str(directory.with_name(f"{directory.name}-state"))}
        restored = replace(self.rig, directory=directory, environment=elsewhere, process=None)
        await restored.start()
        return restored


def _size(note: str) -> int:
    return int(note.split("\n")[1]) if note else -1


@asynccontextmanager
async def witness_process(directory: Path, log: str) -> AsyncIterator[tuple[str, str]]:
    """``gatehouse witness``, as its operator runs it; its address and its public key."""
    command = ("-m", "controller", "witness", "--dir", str(directory), "--listen", "127.0.0.1:0", "--log", log, "-o", "json")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"PATH": "/usr/bin:/bin", "COLUMNS": "500"}
    )
    try:
        assert process.stdout is not None
        line = b""
        while not line.rstrip().endswith(b"}"):
            line += await asyncio.wait_for(process.stdout.readline(), 30)
        ready = json.loads(line)
        yield ready["address"], ready["key"]
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    private = generate_key()
    log = checkpoint_public_key("rig", private).text
    remote = bare_repository(tmp_path / "remote.git")
    async with running_bucket() as bucket, running_hook() as hook, witness_process(tmp_path / "witness", log) as (url, key):
        targets = f"""
[[checkpoints]]
to = "git"
name = "backup"
remote = "{remote}"
branch = "main"
[[checkpoints]]
to = "bucket"
name = "locked"
endpoint = "{bucket.url}"
bucket = "{BUCKET}"
region = "{REGION}"
access_key = "{ACCESS_KEY}"
secret_file = "bucket.secret"
[[checkpoints]]
to = "webhook"
name = "chat"
url = "{hook.url}"
secret_file = "hook.secret"
[[checkpoints]]
to = "witness"
name = "near"
url = "{url}"
key = "{key}"
"""
        async with rig(tmp_path / "d", checkpoints=targets) as built:
            (built.directory / "var").mkdir(mode=0o700)
            save_key(private, built.directory / "var" / "checkpoint.key")
            for name, secret in (("bucket", SECRET), ("hook", "hook-token-of-the-test")):
                (built.directory / f"{name}.secret").write_text(secret)
                (built.directory / f"{name}.secret").chmod(0o600)
            yield Scene(built, remote, bucket, hook, tmp_path / "witness", key)


async def test_every_target_gets_a_stage_change_and_refuses_an_older_journal(scene: Scene) -> None:
    await scene.rig.start()
    await scene.rig.armed()
    before = await scene.until(lambda sizes: min(sizes.values()) > 0)
    await scene.rig.stop()
    older = scene.rig.directory / "older.db"
    shutil.copy(scene.rig.directory / "var" / "journal.db", older)
    await scene.rig.start()
    await scene.rig.climb("TESTNET_VALIDATING")
    (moved,) = await scene.rig.entries("stage-changed")
    after = await scene.until(lambda sizes: min(sizes.values()) >= moved["seq"])
    assert min(after.values()) > max(before.values())
    await scene.rig.stop()

    code, output = await scene.verify()
    found = {row["target"]: row["verdict"] for row in json.loads(output)["checkpoints"]}
    assert (code, found) == (
        0,
        {"git remote backup": "agrees", "bucket locked": "agrees", "webhook chat": "empty", "witness near": "agrees"},
    )
    cosigned = (scene.rig.directory / "var" / "checkpoints" / "near.cosigned").read_text()
    assert cosigned_at(cosigned, cosigned.partition("\n\n")[0] + "\n", parse_cosigner_key(scene.witness_key)) > 1_700_000_000
    assert scene.hook.tokens[-1] == "Bearer hook-token-of-the-test"

    shutil.copy(older, scene.rig.directory / "var" / "journal.db")
    await scene.rig.start()
    assert await scene.rig.exit_code() != 0
    assert "an older copy was restored" in scene.log()
    assert all(f"{name} knows" in scene.log() for name in ("git remote backup", "bucket locked", "witness near"))
    code, output = await scene.verify()
    assert (code, json.loads(output)["error"]["code"]) == (1, "journal-broken")
    assert "an older copy was restored" in output


async def test_every_target_tells_a_restored_start_what_is_lost(scene: Scene, tmp_path: Path) -> None:
    """Git, bucket and witness know later entries than the copy: the start halts for each, and no signature counts."""
    recipient = make_identity(tmp_path / "identity")
    with (scene.rig.directory / "gatehouse.toml").open("a") as file:
        file.write(f'[backup]\nrecipients = ["{recipient}"]\n')
    await scene.rig.start()
    await scene.rig.armed()
    made = await scene.backup("create", tmp_path / "copies", "--dir", scene.rig.directory)
    await scene.rig.stop()
    known = scene.sizes()
    assert min(known.values()) > made["entries"], "the end of a process is published"

    new = tmp_path / "new"
    said = await scene.backup("restore", made["file"], new, "--identity", tmp_path / "identity")
    unread = {one["target"] for one in said["targets"] if one["problem"]}
    assert unread == {"bucket locked", "webhook chat"}, "their secrets are not in the copy"
    restored = await scene.put_back(new)
    status = await restored.until(lambda status: status["stage"] == "HALTED" and status["reconciled"])
    assert status["halt_class"] == "integrity"
    lost = max(known[one] for one in ("git", "bucket", "witness")) - made["entries"]
    assert f"knows {lost} later entries" in status["halt_reason"]
    answer = await restored.command("reset", "alice", "bob")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "roster-not-confirmed")
    await restored.stop()
    assert {name: known[name] for name in ("git", "bucket", "witness")} == {
        name: size for name, size in scene.sizes().items() if name != "hook"
    }, "what contradicts is not overwritten"


async def test_unreachable_targets_alert_and_do_not_stop_trading(scene: Scene) -> None:
    scene.remote.rename(scene.remote.with_name("away.git"))
    scene.bucket.down = True
    scene.hook.answer = 500
    await scene.rig.start()
    await scene.rig.climb("TESTNET_VALIDATING")
    raised = [entry["body"] for entry in await scene.rig.entries("alert-raised")]
    assert {"git remote backup", "bucket locked", "webhook chat"} <= {body["title"] for body in raised}
    assert "witness near" not in {body["title"] for body in raised}
    assert not any(secret in scene.rig.tail() for secret in (SECRET, "hook-token-of-the-test"))
    problems = {row["target"]: row["problem"] for row in (await scene.rig.status())["checkpoints"]}
    assert [target for target, problem in problems.items() if not problem] == ["witness near"]
