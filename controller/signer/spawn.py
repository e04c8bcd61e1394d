"""Starts a signer process. A start calls it before it loads the controller, and the signer's supervisor when it is replaced.

Both need about a second to load on a slow machine. Started first, the signer loads on the other core meanwhile.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import NamedTuple

DESCRIPTOR, PID = "GATEHOUSE_SIGNER_FD", "GATEHOUSE_SIGNER_PID"
"""The variables that name a signer process which was started before this program began again without its secrets."""


class Spawned(NamedTuple):
    """A signer process: our end of the socket to it, and its id. It ends when the socket is closed."""

    connection: socket.socket
    pid: int


def spawn(directory: Path) -> Spawned:
    """Start a signer process for the deployment in ``directory``. Raises ``OSError``."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        theirs.set_inheritable(True)
        arguments = ["-P", "-m", "controller", "signer", "--dir", str(directory), "--fd", str(theirs.fileno())]
        nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *arguments],
            os.environ,
            file_actions=nothing,
            setsid=True,
            setsigmask=(),
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return Spawned(ours, pid)
