"""Processes that load before they may begin: ``gatehouse run`` starts its watchdog and its testnet so (ADR 79).

Such a process imports what it needs and then waits at a pipe. Until the word comes it has opened no lock, no secret and no socket.
The pipe ends with the controller, whatever ends it, and then the process ends too, so a controller that may not lead leaves none.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

BEGIN = "GATEHOUSE_BEGIN_FD"
"""The variable that names the descriptor at which a process that was started ahead waits."""

_WORD = b"!"


def command(arguments: Sequence[str]) -> tuple[str, ...]:
    """What starts ``gatehouse`` with ``arguments``, in this version of it."""
    return (sys.executable, "-P", "-m", "controller", *arguments)


@dataclass(frozen=True, slots=True)
class Ahead:
    """A process that was started ahead, with the arguments it got. ``pipe`` is where it hears that it may begin."""

    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes]
    pipe: int

    def begin(self) -> bool:
        """Let it begin; false when it has ended already. Say this or ``drop`` once."""
        try:
            os.write(self.pipe, _WORD)
        except OSError:
            self._reap()
            return False
        finally:
            os.close(self.pipe)
        return self.process.poll() is None

    def drop(self) -> None:
        """Let it end: it is not needed."""
        os.close(self.pipe)
        self._reap()

    def _reap(self) -> None:
        # It ends once it has loaded; nothing waits for that here, and it must not stay as a zombie.
        Thread(target=self.process.wait, name="reaps a process that was started ahead", daemon=True).start()


def start_ahead(arguments: tuple[str, ...], output: Path, without: Collection[str] = ()) -> Ahead | None:
    """Start ``gatehouse`` with ``arguments``, in a session of its own, to wait; ``None`` when that cannot be done now.

    ``without`` are variables of our environment that it does not get.
    """
    theirs, ours = os.pipe()
    environment = {name: value for name, value in os.environ.items() if name not in without}
    try:
        with output.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                pass_fds=(theirs,),
                env={**environment, BEGIN: str(theirs)},
            )
    except OSError:
        os.close(ours)
        return None
    finally:
        os.close(theirs)
    return Ahead(arguments, process, ours)


class Waiting:
    """The processes that were started ahead and that nobody has taken yet. At the end of ``with`` those that are left end."""

    def __init__(self, started: Iterable[Ahead] = ()) -> None:
        self._left = list(started)

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    @property
    def left(self) -> tuple[Ahead, ...]:
        """Those that still wait here."""
        return tuple(self._left)

    def take(self, arguments: tuple[str, ...]) -> Ahead | None:
        """The process with these arguments, which is the caller's to begin or drop from now on; ``None`` when none has them."""
        found = next((one for one in self._left if one.arguments == arguments), None)
        if found is not None:
            self._left.remove(found)
        return found

    def drop(self) -> None:
        """Let all that are left end: nobody needs them."""
        while self._left:
            self._left.pop().drop()


def wait_to_begin() -> None:
    """Wait for the word if this process was started ahead. Ends the process when the word cannot come any more."""
    number = os.environ.pop(BEGIN, "")
    if not number:
        return
    word = b""
    if not number.isdecimal():
        sys.exit(f"{BEGIN} is {number!r}, which is no descriptor; only gatehouse sets it, so unset it and start again")
    with suppress(OSError):
        word = os.read(int(number), 1)
        os.close(int(number))
    if word != _WORD:
        sys.exit(0)
