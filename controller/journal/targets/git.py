"""A branch of a git remote as a checkpoint target: one commit per checkpoint. A protected branch cannot be rewritten.

``bootstrap`` creates it. The system's ``git`` runs with a separate environment: only our configuration, no prompts, no hooks, no
helpers, no redirects. It never pushes with force: a branch that moved, was rewritten or was deleted is an error.
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
"""An older lock in our own repository is left over from a crash, because none of our commands runs that long."""

_NO_SUCH_REF = 2
_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]*@|https?://[^/]*@", re.IGNORECASE)
"""Over https a user name is usually the token itself, and git repeats it in its errors."""

_SSH = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o IdentitiesOnly=yes"


@dataclass(frozen=True, slots=True)
class GitRemote:
    """Where to push. ``token`` is for https; ``ssh_key`` and ``known_hosts`` are files for ssh, by default the user's own."""

    url: str
    branch: str
    token: str = ""
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def environment(self) -> dict[str, str]:
        """The environment of ``git``. The token is neither in an argument nor in a file."""
        ssh = _SSH
        ssh += f" -i '{self.ssh_key}'" if self.ssh_key else ""
        ssh += f" -o UserKnownHostsFile='{self.known_hosts}'" if self.known_hosts else ""
        settings = {"core.hooksPath": "/dev/null", "credential.helper": "", "http.followRedirects": "false"}
        if self.token:
            basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
            settings["http.extraHeader"] = f"Authorization: Basic {basic}"
        # A verification may run as another user than the controller.
        settings |= {"safe.directory": "*", "gc.autoDetach": "false"}
        environment = {
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
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return environment


class GitTarget:
    """Implements ``CheckpointTarget``. ``work`` is our own bare repository, created if missing: it names the last pushed commit."""

    def __init__(
        self, name: str, remote: GitRemote, work: Path, controller_id: str, key: NoteKey, *, now: Callable[[], Millis]
    ) -> None:
        if _PASSWORD_IN_URL.search(remote.url) or remote.url.startswith("-"):
            raise ConfigError(
                f"checkpoint target {name}: the remote's address contains a password or is an option",
                code="checkpoint-address",
                remedy="Write the password or token to a file, and set its name as `secret_file`.",
            )
        if shutil.which("git") is None:
            raise ConfigError("git is not installed", code="no-git", remedy="Install git, or remove the git target.")
        self._name, self._remote, self._work, self._key = name, remote, work, key
        self._controller_id, self._now = controller_id, now
        self._file = file_in(Path(), controller_id).name
        self._environment = remote.environment()
        self._remote_ref = f"refs/heads/{remote.branch}"
        self._fetched_ref, self._pushed_ref = f"refs/seen/{remote.branch}", f"refs/taken/{remote.branch}"

    @property
    def name(self) -> str:
        """The name from the settings."""
        return f"git remote {self._name}"

    async def read(self) -> Checkpoint | None:
        """See ``CheckpointTarget.read``. The checkpoint at the tip of the branch."""
        await self._prepare()
        pushed = await self._commit_at(self._pushed_ref)
        found = _text(await self._git("ls-remote", "--exit-code", self._remote.url, self._remote_ref, allowed=(_NO_SUCH_REF,)))
        if not found:
            if pushed:
                why = f"the branch {self._remote.branch} was deleted after commit {pushed[:12]} was pushed to it"
                raise _rewritten(why, self._work)
            await self._git("update-ref", "-d", self._fetched_ref)
            return None
        if found.split()[0] != await self._commit_at(self._fetched_ref):
            await self._git("fetch", "--quiet", "--no-tags", self._remote.url, f"+{self._remote_ref}:{self._fetched_ref}")
        if pushed and not await self._descends(pushed):
            raise _rewritten(f"the branch {self._remote.branch} no longer contains commit {pushed[:12]}", self._work)
        listed = await self._git("ls-tree", "--name-only", self._fetched_ref, "--", self._file)
        if not listed:
            return None
        return decode_checkpoint(await self._git("cat-file", "blob", f"{self._fetched_ref}:{self._file}"), self._key)

    async def publish(self, offer: Offer) -> None:
        """See ``CheckpointTarget.publish``. One commit on the tip that was read; other files of the branch are kept."""
        tip = await self._commit_at(self._fetched_ref)
        blob = _text(await self._git("hash-object", "-w", "--stdin", input_=offer.note.encode()))
        index = {"GIT_INDEX_FILE": str(self._work / "checkpoint.index")}
        await self._git("read-tree", *((tip,) if tip else ("--empty",)), environment=index)
        await self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{self._file}", environment=index)
        tree = _text(await self._git("write-tree", environment=index))
        commit = _text(await self._git(*self._commit_arguments(tree, tip, offer), environment=self._author(offer.at_s)))
        answer = await self._git(
            "push", "--quiet", "--porcelain", self._remote.url, f"{commit}:{self._remote_ref}", allowed=(1,), with_errors=True
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
        await self._git("update-ref", self._pushed_ref, commit)

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

    async def _descends(self, pushed: str) -> bool:
        # It prints the commit if it is not an ancestor of the remote's tip.
        return not await self._git("rev-list", "--max-count=1", pushed, f"^{self._fetched_ref}")

    async def _git(
        self,
        *arguments: str,
        input_: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        allowed: tuple[int, ...] = (),
        with_errors: bool = False,
    ) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=self._work, start_new_session=True,
            env={**self._environment, "GIT_DIR": str(self._work), **(environment or {})},
        )  # fmt: skip
        try:
            async with asyncio.timeout(TIMEOUT_S):
                output, errors = await process.communicate(input_)
        except TimeoutError:
            raise _unreachable(f"git {arguments[0]} did not end in {TIMEOUT_S} s") from None
        finally:
            await _end(process)
        if process.returncode and process.returncode not in allowed:
            raise _unreachable(_last_line(errors) or f"git {arguments[0]} ended with {process.returncode}")
        return output + errors if with_errors else output


async def _end(process: Process) -> None:
    # git's children (ssh, its http helper) are in its session and end with it. On SIGTERM git removes its locks.
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await process.wait()


def _unlock(work: Path, now: Millis) -> None:
    for lock in (*work.glob("*.lock"), *(work / "refs").rglob("*.lock")):
        with suppress(FileNotFoundError):
            if now - lock.stat().st_mtime_ns // 1_000_000 > STALE_LOCK_MS:
                lock.unlink()


def _text(output: bytes) -> str:
    return output.decode("ascii", errors="replace").strip()


def _last_line(errors: bytes) -> str:
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "")[:200]


def _rewritten(why: str, work: Path) -> IntegrityError:
    return IntegrityError(
        f"{why}: it was rewritten",
        code="target-rewritten",
        remedy=f"Find out who rewrote it, protect the branch, and only then remove {work} to start again.",
    )


def _unreachable(why: str) -> Unreachable:
    return Unreachable(why, code="target-unreachable", remedy="Correct the remote or its keys; the push is retried automatically.")
