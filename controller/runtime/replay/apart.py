"""Runs a bot's replay apart from everything: no network, no keys, no files but its own and the system's, bounded in all it uses.

``controller.runtime.replay.replaying`` calls it. The bot is somebody else's program, and what it decides has to come from the
market that it reads on its standard input. So it runs in namespaces of its own, in a root folder that holds the system's programs,
what the settings name, and a copy of the bot, all read-only. Where the kernel does not allow that, it does not run at all.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gates.series import Decision
from gates.signals import DECISIONS_MOST, decision_of

WITHIN_S = 300.0
"""The longest time that one replay may take."""

LINE_MOST = 64
ANSWER_MOST = DECISIONS_MOST * LINE_MOST
"""Bytes that a replay may print."""

_MEMORY = 2 * 2**30
_PROCESSES, _FILES, _NICE = 64, 256, 10
_COMPLAINT_MOST, _PROBLEM_MOST = 10_000, 150
_PIECE, _BATCH = 65_536, 256

_WITH_THIS_PROCESS = ("setpriv", "--pdeathsig", "KILL")
"""A controller that is killed takes its replay with it: one that hangs would otherwise stay for ever."""

_NAMESPACES = ("--user", "--map-root-user", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--")
_ROOT = r"""
set -eu
echo 1000 > /proc/self/oom_score_adj
root=$1; bot=$2; reads=$3; seconds=$4; shift 4
mount -t tmpfs -o size=64m,mode=755,nosuid,nodev none "$root"
show() {
    if [ -L "$1" ]; then mkdir -p "$root$(dirname "$1")"; cp -P "$1" "$root$1"; return; fi
    if [ ! -e "$1" ]; then return; fi
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root$(dirname "$1")"; : > "$root$1"; fi
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro,nosuid "$root$1"
}
for one in /usr /bin /sbin /lib /lib32 /lib64 /etc/ld.so.cache /etc/alternatives; do show "$one"; done
for one in /dev/null /dev/zero /dev/urandom; do show "$one"; done
IFS=:
for one in $reads; do show "$one"; done
unset IFS
mkdir -p "$root/tmp" "$root/bot"
mount --bind "$bot" "$root/bot"
mount -o remount,bind,ro,nosuid,nodev "$root/bot"
cd /
exec chroot "$root" /usr/bin/setpriv --no-new-privs --bounding-set=-all --inh-caps=-all \
    /usr/bin/prlimit --core=0 --as=MEMORY --nproc=PROCESSES --nofile=FILES --cpu="$seconds" \
    /usr/bin/nice -n NICE /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
    /bin/sh -c 'cd /bot; exec "$@"' bot "$@"
"""


class ReplayFailed(Exception):
    """The replay printed no decisions that can be compared; the text says why."""


@dataclass(frozen=True, slots=True)
class Offer:
    """How a bot is replayed: ``command`` in a copy of its files, with ``reads``, folders that it needs besides the system's.

    ``copy`` puts the bot's files into a folder that does not exist yet, and returns their digest; ``None`` where nothing is named.
    """

    command: tuple[str, ...]
    copy: Callable[[Path], str] | None
    reads: tuple[str, ...] = ()


async def decide_again(
    command: Sequence[str],
    bot: Path,
    scratch: Path,
    market: Iterable[bytes],
    *,
    reads: Sequence[str] = (),
    within_s: float = WITHIN_S,
) -> tuple[Decision, ...]:
    """What the bot in folder ``bot`` decides from ``market``. ``scratch`` is an empty folder. Raises ``ReplayFailed``."""
    if missing := [tool for tool in ("unshare", "setpriv", "prlimit") if shutil.which(tool) is None]:
        raise ReplayFailed(f"there is no {missing[0]} on this machine; install util-linux")
    script = _ROOT
    for name, value in (("MEMORY", _MEMORY), ("PROCESSES", _PROCESSES), ("FILES", _FILES), ("NICE", _NICE)):
        script = script.replace(name, str(value))
    process = await asyncio.create_subprocess_exec(
        *(
            *_WITH_THIS_PROCESS,
            "unshare",
            *_NAMESPACES,
            "/bin/sh",
            "-c",
            script,
            "apart",
            str(scratch),
            str(bot),
            ":".join(reads),
            str(int(within_s) + 1),
        ),
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    try:
        async with asyncio.timeout(within_s):
            answer, complaint = await _spoken(process, market)
    except TimeoutError:
        raise ReplayFailed(f"the replay took longer than {within_s:g} s") from None
    finally:
        await _ended(process)
    if len(answer) > ANSWER_MOST:
        raise ReplayFailed(f"the replay printed more than {ANSWER_MOST:,} bytes")
    if process.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        last = "".join(one for one in (lines[-1] if lines else "") if one.isprintable())[:_PROBLEM_MOST]
        raise ReplayFailed(f"the replay ended with exit code {process.returncode}: {last or 'it said nothing'}")
    return read_decisions(answer)


def read_decisions(answer: bytes) -> tuple[Decision, ...]:
    """The decisions in what a replay printed, one a line, oldest first. Raises ``ReplayFailed`` for anything else."""
    found: list[Decision] = []
    for number, line in enumerate(answer.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            one = decision_of(line.decode("ascii").strip())
        except ValueError:
            raise ReplayFailed(f"line {number} of the replay is not `TIME SYMBOL SIDE`") from None
        if found and one.at < found[-1].at:
            raise ReplayFailed(f"line {number} of the replay is of an earlier time than the one before")
        found.append(one)
        if len(found) > DECISIONS_MOST:
            raise ReplayFailed(f"the replay made more than {DECISIONS_MOST:,} decisions")
    return tuple(found)


async def _spoken(process: asyncio.subprocess.Process, market: Iterable[bytes]) -> tuple[bytes, bytes]:
    """What it printed, and the end of what it complained about. It is killed when it prints too much."""
    assert process.stdin is not None, "it was started with pipes"
    assert process.stdout is not None
    assert process.stderr is not None
    writing = asyncio.create_task(_write(process.stdin, iter(market)))
    complaining = asyncio.create_task(_last(process.stderr))
    try:
        answer = bytearray()
        while len(answer) <= ANSWER_MOST and (more := await process.stdout.read(_PIECE)):
            answer += more
        if len(answer) > ANSWER_MOST:
            process.kill()
            await _drained(process.stdout)
        await process.wait()
        if writing.done() and (error := writing.exception()) is not None:
            raise ReplayFailed(f"the recording cannot be read: {error}")
        return bytes(answer), await complaining
    finally:
        for task in (writing, complaining):
            task.cancel()
        await asyncio.gather(writing, complaining, return_exceptions=True)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill it, if it still runs, with all that it started."""
    if process.returncode is None:
        process.kill()
    assert process.stdout is not None, "it was started with pipes"
    assert process.stderr is not None
    await _drained(process.stdout)
    await _drained(process.stderr)
    await process.wait()


async def _drained(pipe: asyncio.StreamReader) -> None:
    """A pipe closes only when it is read to its end."""
    while await pipe.read(_PIECE):
        pass


async def _write(pipe: asyncio.StreamWriter, market: Iterator[bytes]) -> None:
    # One that has ended already says why on its standard error. One that cannot be read to the end ends the replay too.
    with suppress(BrokenPipeError, ConnectionResetError), closing(pipe):
        while lines := await asyncio.to_thread(lambda: list(islice(market, _BATCH))):
            pipe.write(b"".join(lines))
            await pipe.drain()


async def _last(pipe: asyncio.StreamReader) -> bytes:
    last = b""
    while more := await pipe.read(_PIECE):
        last = (last + more)[-_COMPLAINT_MOST:]
    return last
