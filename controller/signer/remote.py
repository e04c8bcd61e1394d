"""The controller's side: a ``Signer`` that asks the signer process, and waits for it only so long (ops/docs/signer.md).

A request that gets no answer in time fails, and so does every later one at once, until the supervisor
(``controller.bootstrap.signer``) has heard from the process or has replaced it. So a signer that hangs holds the event loop once,
for ``answer_within_s``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from threading import Lock

from controller.signer import protocol
from controller.signer.protocol import Kind, PermitFrame, Status
from exchange.errors import GatehouseError, Refused, Unauthorised, VenueError
from exchange.mexc.signer import check_permit, check_same
from exchange.model import OrderIntent
from exchange.ports import Permit, VenueName

_ANSWER_BYTES = 8192


class Link:
    """The socket to one signer process. Any thread may ask; one request is under way at a time."""

    def __init__(self, answer_within_s: float, on_silence: Callable[[], None]) -> None:
        """``on_silence`` is called when a request got no answer; it must not wait."""
        self._within_s = answer_within_s
        self._on_silence = on_silence
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._down = "the signer has not started yet"
        self._number = 0

    @property
    def down_because(self) -> str:
        """Why nothing is signed now; empty while the signer answers."""
        return self._down

    def attach(self, connection: socket.socket) -> None:
        """Use this socket. Requests fail until ``up``."""
        with self._lock:
            self._close()
            _limit(connection, self._within_s)
            self._socket = connection

    def up(self) -> None:
        """Let requests through: the process answers."""
        self._down = ""

    def close(self, because: str) -> None:
        """Close the socket; the process at its other end then ends."""
        self._down = because
        with self._lock:
            self._close()

    def ask(self, kind: Kind, venue: int = 0, body: bytes = b"") -> bytes:
        """Ask, and wait for at most ``answer_within_s``.

        Raises:
            VenueError: ``signer-silent``: there is no answer; nothing was signed.
            Refused, Unauthorised: the signer refused it.
        """
        if self._down:
            raise _silent(self._down)
        if not self._lock.acquire(timeout=self._within_s):
            raise _silent("another request is waiting for the signer")
        try:
            return self._exchange(kind, venue, body)
        except (OSError, ValueError) as error:
            self._down = f"the signer does not answer ({type(error).__name__})"
            self._on_silence()
            raise _silent(self._down) from error
        finally:
            self._lock.release()

    def probe(self, kind: Kind, venue: int, body: bytes, within_s: float) -> bytes:
        """As ``ask``, with a time limit of its own and also while requests do not get through. The supervisor calls it.

        Raises:
            OSError: there is no answer.
            Refused, Unauthorised: the signer refused it.
        """
        with self._lock:
            if self._socket is not None:
                _limit(self._socket, within_s)
            try:
                return self._exchange(kind, venue, body)
            finally:
                if self._socket is not None:
                    _limit(self._socket, self._within_s)

    def _exchange(self, kind: Kind, venue: int, body: bytes) -> bytes:
        connection = self._socket
        if connection is None:
            raise ConnectionError("there is no signer")
        self._number = number = (self._number + 1) & 0xFFFFFFFF
        connection.send(protocol.request(kind, venue, number, body))
        while True:
            message = connection.recv(_ANSWER_BYTES)
            if not message:
                raise ConnectionError("the signer has ended")
            status, answered, answer = protocol.read_answer(message)
            if answered == number:
                break
            # The answer to a request that was given up: it has been said that nothing was signed.
        if status == Status.DONE:
            return answer
        raise _refusal(*protocol.read_refusal(answer))

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class RemoteSigner:
    """A ``Signer`` whose secret is in another process."""

    __slots__ = ("_api_key", "_link", "_venue")

    def __init__(self, link: Link, venue: VenueName, api_key: str) -> None:
        self._link = link
        self._venue = protocol.VENUES.index(venue)
        self._api_key = api_key

    @property
    def api_key(self) -> str:
        """The public half, sent as ``X-MEXC-APIKEY``."""
        return self._api_key

    def sign(self, payload: str) -> str:
        """Have a query or a cancel signed. Raises ``Refused``, or ``VenueError`` without an answer."""
        return _signature(self._link.ask(Kind.QUERY, self._venue, payload.encode()))

    def sign_order(self, intent: OrderIntent, payload: str, permit: Permit) -> str:
        """Have a new order signed.

        Raises:
            Refused: no live permit, or one that does not say when it ends; not this order; refused or not answered by the signer.
        """
        check_permit(intent, permit)
        check_same(intent, payload)
        frame = PermitFrame(
            permit.epoch,
            getattr(permit, "serial", 0),
            getattr(permit, "deadline_ns", 0),
            exit_only=hasattr(permit, "client_id"),
        )
        try:
            return _signature(self._link.ask(Kind.ORDER, self._venue, protocol.order_body(frame, payload)))
        except VenueError as error:
            # Nothing was signed, so nothing can have been sent: the order is refused, not unknown.
            raise Refused(error.message, code=error.code, remedy=error.remedy) from error


def _limit(connection: socket.socket, within_s: float) -> None:
    # The kernel's limit, not Python's: that one costs another system call for each message.
    seconds, rest = divmod(int(within_s * 1_000_000), 1_000_000)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", seconds, rest))


def _signature(answer: bytes) -> str:
    if len(answer) != protocol.SIGNATURE_LENGTH:
        raise _silent("the signer's answer is not a signature")
    return answer.decode("ascii")


def _silent(why: str) -> VenueError:
    return VenueError(
        f"nothing was signed: {why}",
        code="signer-silent",
        remedy="gatehouse starts the signer again by itself; read the controller's log when it does not come back.",
    )


def _refusal(code: str, message: str, remedy: str) -> GatehouseError:
    kind = Unauthorised if code.startswith(("other-", "under-")) else Refused
    return kind(message, code=code, remedy=remedy)
