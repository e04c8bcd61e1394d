"""A branch of a git remote: one commit per checkpoint. With a protected branch, neither end nor history of it can be rewritten.

The system's ``git`` runs with an environment of its own: no configuration but ours, no prompts, no hooks, no helpers, no redirects.
Nothing is ever forced: a branch that moved, was rewritten or is gone is a refusal.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.journal.checkpoint import Checkpoint, decode_checkpoint
from controller.journal.note import NoteKey
from controller.journal.publishing import Offer
from controller.journal.targets.directory import file_in
from exchange.errors import ConfigError, IntegrityError, Refused, Unreachable
from exchange.model import Millis

TIMEOUT_S = 30
END_S = 2
STALE_LOCK_MS = 600_000
"""A lock in our own repository that is older was left by a machine that went down: no command of ours lives that long."""

_NO_SUCH_REF = 2
_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]*@|https?://[^/]*@", re.IGNORECASE)
"""Over https a user name is as good as always the token itself, and git repeats it when it is refused."""

_SSH = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o IdentitiesOnly=yes"


@dataclass(frozen=True, slots=True)
class GitRemote:
    """Where to push. ``token`` is for https; ``ssh_key`` and ``known_hosts`` are files for ssh, the user's own when not given."""

    url: str
    branch: str
    token: str = ""
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def environment(self) -> dict[str, str]:
        """What ``git`` may know of the world. The token is neither in an argument nor in a file."""
        ssh = _SSH
        ssh += f" -i '{self.ssh_key}'" if self.ssh_key else ""
        ssh += f" -o UserKnownHostsFile='{self.known_hosts}'" if self.known_hosts else ""
        settings = {"core.hooksPath": "/dev/null", "credential.helper": "", "http.followRedirects": "false"}
        if self.token:
            basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
            settings["http.extraHeader"] = f"Authorization: Basic {basic}"
        # An operator who verifies is not always the user the controller runs as.
        settings |= {"safe.directory": "*", "gc.autoDetach": "false"}
        given = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/nonexistent"),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": str(len(settings)),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "SSH_ASKPASS": "false",
            "GIT_SSH_COMMAND": ssh,
            "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        }
        for number, (key, value) in enumerate(settings.items()):
            given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return given


class GitTarget:
    """``work`` is a bare repository of our own, made if need be: it remembers the last commit the remote took."""

    def __init__(
        self, name: str, remote: GitRemote, work: Path, controller_id: str, key: NoteKey, *, now: Callable[[], Millis]
    ) -> None:
        if _PASSWORD_IN_URL.search(remote.url) or remote.url.startswith("-"):
            raise ConfigError(
                f"checkpoint target {name}: a remote's address holds no password and is no option",
                code="checkpoint-address",
                remedy="Put the password or token in a file, and name that with `secret_file`.",
            )
        if shutil.which("git") is None:
            raise ConfigError("git is not installed", code="no-git", remedy="Install git, or remove the git target.")
        self._name, self._remote, self._work, self._key = name, remote, work, key
        self._controller_id, self._now = controller_id, now
        self._file = file_in(Path(), controller_id).name
        self._environment = remote.environment()
        self._there, self._seen, self._taken = (f"refs/{kind}/{remote.branch}" for kind in ("heads", "seen", "taken"))

    @property
    def name(self) -> str:
        """The name from the settings."""
        return f"git remote {self._name}"

    async def read(self) -> Checkpoint | None:
        """See ``CheckpointTarget.read``. The checkpoint at the tip of the branch."""
        await self._prepare()
        taken = await self._commit_at(self._taken)
        found = _text(await self._git("ls-remote", "--exit-code", self._remote.url, self._there, allowed=(_NO_SUCH_REF,)))
        if not found:
            if taken:
                raise _rewritten(f"the branch {self._remote.branch} is gone, and commit {taken[:12]} was pushed to it", self._work)
            await self._git("update-ref", "-d", self._seen)
            return None
        if found.split()[0] != await self._commit_at(self._seen):
            await self._git("fetch", "--quiet", "--no-tags", self._remote.url, f"+{self._there}:{self._seen}")
        if taken and not await self._descends(taken):
            raise _rewritten(f"the branch {self._remote.branch} no longer holds commit {taken[:12]}", self._work)
        listed = await self._git("ls-tree", "--name-only", self._seen, "--", self._file)
        if not listed:
            return None
        return decode_checkpoint(await self._git("cat-file", "blob", f"{self._seen}:{self._file}"), self._key)

    async def publish(self, offer: Offer) -> None:
        """See ``CheckpointTarget.publish``. One commit on the tip that was read; other files of the branch stay."""
        tip = await self._commit_at(self._seen)
        blob = _text(await self._git("hash-object", "-w", "--stdin", given=offer.note.encode()))
        index = {"GIT_INDEX_FILE": str(self._work / "checkpoint.index")}
        await self._git("read-tree", *((tip,) if tip else ("--empty",)), more=index)
        await self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{self._file}", more=index)
        tree = _text(await self._git("write-tree", more=index))
        commit = _text(await self._git(*self._commit_arguments(tree, tip, offer), more=self._author(offer.at_s)))
        answer = await self._git(
            "push", "--quiet", "--porcelain", self._remote.url, f"{commit}:{self._there}", allowed=(1,), telling=True
        )
        lines = answer.decode(errors="replace").splitlines()
        if rejected := [line for line in lines if line.startswith("!") or "rejected" in line]:
            raise Refused(
                f"the push was rejected: {' '.join(rejected[0].split())[:200]}",
                code="target-refused",
                remedy="Find out what else pushes to the branch, or what forbids the push.",
            )
        if not any(line.startswith(("*", " ", "=", "Done")) for line in lines):
            raise _unreachable(lines[-1] if lines else "the push failed")
        await self._git("update-ref", self._taken, commit)

    async def _prepare(self) -> None:
        await asyncio.to_thread(_unlock, self._work, self._now())
        if not (self._work / "HEAD").exists():
            self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._git("init", "--quiet", "--bare", str(self._work))

    def _commit_arguments(self, tree: str, tip: str, offer: Offer) -> tuple[str, ...]:
        parent = ("-p", tip) if tip else ()
        return ("commit-tree", tree, *parent, "-m", f"{self._controller_id}: {offer.checkpoint.size} entries")

    def _author(self, at_s: int) -> dict[str, str]:
        who = {"NAME": "gatehouse", "EMAIL": f"{self._controller_id}@gatehouse.invalid", "DATE": f"{at_s} +0000"}
        return {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in who.items()}

    async def _commit_at(self, reference: str) -> str:
        return _text(await self._git("rev-parse", "--quiet", "--verify", f"{reference}^{{commit}}", allowed=(1,)))

    async def _descends(self, taken: str) -> bool:
        # Prints the commit when it is not an ancestor of what the remote shows now.
        return not await self._git("rev-list", "--max-count=1", taken, f"^{self._seen}")

    async def _git(
        self,
        *arguments: str,
        given: bytes | None = None,
        more: Mapping[str, str] | None = None,
        allowed: tuple[int, ...] = (),
        telling: bool = False,
    ) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=self._work, start_new_session=True,
            env={**self._environment, "GIT_DIR": str(self._work), **(more or {})},
        )  # fmt: skip
        try:
            async with asyncio.timeout(TIMEOUT_S):
                output, complaint = await process.communicate(given)
        except TimeoutError:
            raise _unreachable(f"git {arguments[0]} did not end in {TIMEOUT_S} s") from None
        finally:
            await _end(process)
        if process.returncode and process.returncode not in allowed:
            raise _unreachable(_last_line(complaint) or f"git {arguments[0]} ended with {process.returncode}")
        return output + complaint if telling else output


async def _end(process: Process) -> None:
    # git's children (ssh, its http helper) are in its own session, and go with it. Told to end, git takes its locks away.
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_S)


def _unlock(work: Path, now: Millis) -> None:
    for lock in (*work.glob("*.lock"), *(work / "refs").rglob("*.lock")):
        with suppress(FileNotFoundError):
            if now - lock.stat().st_mtime_ns // 1_000_000 > STALE_LOCK_MS:
                lock.unlink()


def _text(output: bytes) -> str:
    return output.decode("ascii", errors="replace").strip()


def _last_line(complaint: bytes) -> str:
    lines = [line for line in complaint.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "")[:200]


def _rewritten(why: str, work: Path) -> IntegrityError:
    return IntegrityError(
        f"{why}: it was rewritten",
        code="target-rewritten",
        remedy=f"Find out who rewrote it, protect the branch, and only then remove {work} to begin anew.",
    )


def _unreachable(why: str) -> Unreachable:
    return Unreachable(why, code="target-unreachable", remedy="Correct the remote or its keys; it is tried again by itself.")
