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
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from controller.notifying.service_manager import NONE, ServiceManager, Turns
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


def listen(path: Path, service: SignerService, manager: ServiceManager = NONE) -> None:
    """Serve one controller after another on a socket that this user and this group may use, until a signal ends the process.

    ``manager`` hears when controllers can connect, and that this process still answers or waits for them.

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
        manager.ready("no controller is connected")
        turned = Turns(manager)
        _wake_up_for(manager, server)
        while True:
            turned()
            with suppress(BlockingIOError):
                _serve_one(server, service, manager, turned)


def _serve_one(server: socket.socket, service: SignerService, manager: ServiceManager, turned: Callable[[], None]) -> None:
    connection, _ = server.accept()
    with connection:
        _wake_up_for(manager, connection)
        manager.status("a controller is connected")
        serve(connection, service, turned)
    manager.status("no controller is connected")


def _wake_up_for(manager: ServiceManager, waiting: socket.socket) -> None:
    # The kernel ends a wait by itself, so an order is answered with as many system calls as before.
    if manager.watchdog_us:
        seconds, microseconds = divmod(int(manager.look_every_s * 1e6), 1_000_000)
        waiting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, microseconds))


def serve(connection: socket.socket, service: SignerService, turned: Callable[[], None] = lambda: None) -> None:
    """Answer requests until the controller closes the socket, or dies. ``turned`` is called after each answer and each wait."""
    buffer = bytearray(MAX_MESSAGE)
    view = memoryview(buffer)
    # What was made so far stays; the collector has nothing to look for in it.
    gc.freeze()
    try:
        while length := _received(connection, buffer, turned):
            connection.send(service.answer(bytes(view[:length])))
            turned()
    except ConnectionError:
        return


def _received(connection: socket.socket, buffer: bytearray, turned: Callable[[], None]) -> int:
    while True:
        try:
            return connection.recv_into(buffer)
        except BlockingIOError:
            turned()
