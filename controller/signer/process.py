"""The signer's process: it reads requests from one socket and answers each, until the other side closes it.

``gatehouse signer`` runs it; ``gatehouse run`` starts that and passes the socket (``controller.bootstrap.signer``).
"""

from __future__ import annotations

import ctypes
import resource
import signal
import socket

from controller.signer.protocol import MAX_MESSAGE
from controller.signer.service import SignerService

_PR_SET_DUMPABLE = 4


def protect() -> None:
    """Let no process of the same user read this one's memory, write no core file, and leave signals to the controller.

    A terminal or systemd sends its signal to every process at once; the controller still needs cancels signed then, and ends the
    signer by closing the socket.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def serve(connection: socket.socket, service: SignerService) -> None:
    """Answer requests until the controller closes the socket, or dies."""
    receive, send, answer = connection.recv, connection.send, service.answer
    try:
        while message := receive(MAX_MESSAGE):
            send(answer(message))
    except ConnectionError:
        return
