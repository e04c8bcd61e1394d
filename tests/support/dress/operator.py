"""What the persons of a rehearsal type, one command after the other, each judged by its exit code and by what it prints."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.loopback import http_over
from tests.support.ordinary.load import level

WITHIN_S = 240
NO_STAGE = "-"


class NotAsExpected(AssertionError):
    """A command ended or printed otherwise than it has to; the rehearsal ends with it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table: what was typed by whom, the stage after it, what was checked, and the seconds it took."""

    who: str
    command: str
    stage: str
    checked: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    output: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.output)


@dataclass
class Terminal:
    """Commands of persons. ``bin`` is the folder of the installed commands, ``homes`` each person's own folder and user."""

    bin: Path
    homes: Path
    deployment: Path
    steps: list[Step] = field(default_factory=list)
    stage: str = NO_STAGE
    began: float = field(default_factory=time.monotonic)

    async def types(
        self,
        command: str,
        *,
        exits: int | Collection[int] = 0,
        prints: Sequence[str] = (),
        lacks: Sequence[str] = (),
        who: str = "operator",
        quiet: bool = False,
    ) -> Ended:
        """Run the command as that person. ``operator`` is root at the deployment; everybody else has only the own folder.

        Raises:
            NotAsExpected: another exit code, or a text is missing or should not be there.
        """
        began = time.monotonic()
        ended = await self._run(command, who)
        took = time.monotonic() - began
        codes = (exits,) if isinstance(exits, int) else tuple(exits)
        # Rich breaks lines where it likes.
        said = " ".join(ended.output.split())
        missing = [text for text in prints if " ".join(text.split()) not in said]
        wrong = [text for text in lacks if text in said]
        if ended.code not in codes or missing or wrong:
            raise NotAsExpected(
                f"{who}: {command}\nexit code {ended.code} of {codes}, not printed {missing}, printed {wrong}\n{ended.output}"
            )
        if not quiet:
            words = [f"exit code {ended.code}", *(f"“{text}”" for text in prints), *(f"no “{text}”" for text in lacks)]
            await self.note(command, ", ".join(words), who=who, seconds=took)
        return ended

    async def note(self, what: str, checked: str, *, who: str = "operator", seconds: float = 0.0) -> None:
        """Add a row and print it."""
        self.stage = await self._stage()
        self.steps.append(Step(who, what, self.stage, checked, seconds))
        print(
            f"{time.monotonic() - self.began:7.1f} {self.stage:<18} {who:<8} {what}\n{'':27}{checked} ({seconds:.1f} s)", flush=True
        )

    async def status(self) -> dict[str, Any]:
        """The status at the deployment's socket, which waiting asks: empty while the controller does not answer."""
        answer = await self._asked("/v1/status")
        return answer if isinstance(answer, dict) and "stage" in answer else {}

    async def gates(self) -> list[dict[str, Any]]:
        """The gates of the next steps, from there too."""
        answer = await self._asked("/v1/gates")
        return answer if isinstance(answer, list) else []

    async def _asked(self, path: str) -> Any:
        try:
            async with http_over(self.deployment / "var/gatehouse.sock") as client:
                return (await client.get(path)).json()
        except (httpx.HTTPError, OSError, ValueError):
            return None

    async def _stage(self) -> str:
        """The stage for the table."""
        return str((await self.status()).get("position", NO_STAGE))

    async def _run(self, command: str, who: str) -> Ended:
        home = self.homes / who
        environment = {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": str(home), "COLUMNS": "200"}
        words = ["sh", "-c", command]
        if who == "operator":
            environment["GATEHOUSE_DIR"] = str(self.deployment)
        else:
            words = ["setpriv", f"--reuid={who}", f"--regid={who}", "--init-groups", "--no-new-privs", "--", *words]
        process = await asyncio.create_subprocess_exec(
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=home,
            start_new_session=True,
        )
        level(process.pid)
        try:
            output, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
        except TimeoutError:
            process.kill()
            raise NotAsExpected(f"{command}: it did not end within {WITHIN_S} s") from None
        return Ended(process.returncode or 0, output.decode(errors="replace"))

    def table(self) -> str:
        """Every step for a person."""
        rows = [
            f"| {number} | {step.who} | `{step.command}` | {step.stage} | {step.checked} | {step.seconds:.1f} |"
            for number, step in enumerate(self.steps, 1)
        ]
        return "\n".join(["| | who | command | stage after it | what was checked | s |", "|---|---|---|---|---|---|", *rows])


def quoted(text: str) -> str:
    """A word of a command line."""
    return shlex.quote(text)


def private(path: Path, text: str) -> None:
    """Write a secret as an editor of root does: mode 0600."""
    path.touch(0o600)
    path.write_text(text)
    path.chmod(0o600)
