"""The signer's process: it reads requests from a socket and answers each, until the other side closes it.

``gatehouse signer`` runs it. ``gatehouse run`` starts that and passes the socket, or connects to one that runs as another user
(``controller.bootstrap.signer``).
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
from pathlib import Path

from controller.signer.protocol import MAX_MESSAGE
from controller.signer.service import SignerService

_PR_SET_DUMPABLE = 4


def protect() -> None:
    """Let no process of the same user read this one's memory, and write no core file."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def ignore_signals() -> None:
    """Leave signals to the controller that started this process.

    A terminal or systemd sends its signal to every process at once. The controller still needs cancels signed then, and it ends the
    signer by closing the socket.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def listen(path: Path, service: SignerService) -> None:
    """Serve one controller after another on a socket that this user and this group may use, until a signal ends the process.

    Raises:
        OSError: the socket cannot be made there.
    """
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        before = os.umask(0o117)
        try:
            server.bind(str(path))
        finally:
            os.umask(before)
        server.listen(4)
        while True:
            connection, _ = server.accept()
            with connection:
                serve(connection, service)


def serve(connection: socket.socket, service: SignerService) -> None:
    """Answer requests until the controller closes the socket, or dies."""
    buffer = bytearray(MAX_MESSAGE)
    view = memoryview(buffer)
    # What was made so far stays; the collector has nothing to look for in it.
    gc.freeze()
    try:
        while length := connection.recv_into(buffer):
            connection.send(service.answer(bytes(view[:length])))
    except ConnectionError:
        return
