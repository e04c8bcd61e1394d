"""The controller's side: a ``Signer`` that asks the signer process, and waits for it only so long (ops/docs/signer.md).

A request that gets no answer in time fails, and so does every later one at once, until the supervisor
(``controller.bootstrap.signer``) has heard from the process or has replaced it. So a signer that hangs holds the event loop once,
for ``answer_within_s``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import ParamSpec, TypeVar

from controller.signer import protocol
from controller.signer.protocol import AUTHORITY, Kind, PermitFrame, Status
from exchange.errors import GatehouseError, Refused, Unauthorised, VenueError
from exchange.mexc.signer import check_permit, check_same
from exchange.model import Millis, OrderIntent
from exchange.ports import Permit, VenueName
from exchange.wire.orders import order_payload

P = ParamSpec("P")
T = TypeVar("T")

_ANSWER_BYTES = 8192

EARLY_MOST = 8
"""The most answers that may wait to be read. The kernel holds eleven each way, and a signer that cannot answer stands still."""


@dataclass(slots=True, eq=False)
class Early:
    """A request whose answer nobody waits for yet; ``answer`` holds it once another request has read it."""

    number: int
    answer: tuple[int, bytes] | None = None


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
        self._early: dict[int, Early] = {}
        self._unread = 0
        self.budget_refusals = 0
        """How many buys were refused because the signer's budget is used up (``signer-budget``)."""

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
        return self._waited_for(self._exchange, kind, venue, body)

    def ask_early(self, kind: Kind, venue: int, body: bytes) -> Early | None:
        """Ask without waiting; ``collect`` gets the answer. ``None`` when that is not possible now: then use ``ask``."""
        if self._down or not self._lock.acquire(blocking=False):
            return None
        try:
            if self._socket is None or self._unread >= EARLY_MOST:
                return None
            number = self._next_number()
            self._socket.send(protocol.request(kind, venue, number, body), socket.MSG_DONTWAIT)
        except OSError:
            # It is full or has ended. The next request that waits finds out what is wrong.
            return None
        else:
            self._unread += 1
            early = self._early[number] = Early(number)
            return early
        finally:
            self._lock.release()

    def collect(self, early: Early) -> bytes | None:
        """The answer to an early request, waiting as ``ask`` does. ``None`` when it counts for nothing.

        That is so when the process was replaced since it was asked, or was told who leads or what was signed.

        Raises:
            VenueError, Refused, Unauthorised: as ``ask``.
        """
        return self._waited_for(self._collect, early)

    def forget(self, early: Early) -> None:
        """Let the answer to an early request count for nothing."""
        self._early.pop(early.number, None)

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

    def _waited_for(self, exchange: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._down:
            raise _silent(self._down)
        if not self._lock.acquire(timeout=self._within_s):
            raise _silent("another request is waiting for the signer")
        try:
            return exchange(*args, **kwargs)
        except (OSError, ValueError) as error:
            self._down = f"the signer does not answer ({type(error).__name__})"
            self._on_silence()
            raise _silent(self._down) from error
        finally:
            self._lock.release()

    def _exchange(self, kind: Kind, venue: int, body: bytes) -> bytes:
        connection = self._socket
        if connection is None:
            raise ConnectionError("there is no signer")
        if kind in AUTHORITY:
            # What was signed before the authority changed must not be used after it.
            self._early.clear()
        number = self._next_number()
        connection.send(protocol.request(kind, venue, number, body))
        self._unread += 1
        return self._body(*self._receive(connection, number))

    def _collect(self, early: Early) -> bytes | None:
        connection = self._socket
        if connection is None or self._early.pop(early.number, None) is None:
            return None
        return self._body(*(early.answer or self._receive(connection, early.number)))

    def _body(self, status: int, answer: bytes) -> bytes:
        if status == Status.DONE:
            return answer
        refusal = _refusal(*protocol.read_refusal(answer))
        self.budget_refusals += refusal.code == "signer-budget"
        raise refusal

    def _receive(self, connection: socket.socket, number: int) -> tuple[int, bytes]:
        while True:
            message = connection.recv(_ANSWER_BYTES)
            if not message:
                raise ConnectionError("the signer has ended")
            self._unread -= 1
            status, answered, answer = protocol.read_answer(message)
            if answered == number:
                return status, answer
            # An answer to nobody is to a request that was given up: it has been said that nothing was signed.
            if (early := self._early.get(answered)) is not None:
                early.answer = status, answer

    def _next_number(self) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        return self._number

    def _close(self) -> None:
        self._early.clear()
        self._unread = 0
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
        try:
            return _signature(self._link.ask(Kind.ORDER, self._venue, protocol.order_body(_frame(permit), payload)))
        except VenueError as error:
            # Nothing was signed, so nothing can have been sent: the order is refused, not unknown.
            raise Refused(error.message, code=error.code, remedy=error.remedy) from error

    def ask_order(self, intent: OrderIntent, recv_window: int, at: Millis, permit: Permit) -> AskedOrder | None:
        """Have a new order signed while something else is done (ADR 48). ``None`` when it has to be asked for later.

        The payload is made here, so it is this order and nothing else.
        """
        frame = _frame(permit)
        if not frame.deadline_ns or frame.exit_only:
            return None
        payload = order_payload(intent, recv_window, at)
        early = self._link.ask_early(Kind.ORDER, self._venue, protocol.order_body(frame, payload))
        return AskedOrder(self._link, early, intent, permit, payload) if early is not None else None


class AskedOrder:
    """A new order whose signature was asked for early."""

    __slots__ = ("_early", "_intent", "_link", "_payload", "_permit")

    def __init__(self, link: Link, early: Early, intent: OrderIntent, permit: Permit, payload: str) -> None:
        self._link = link
        self._early = early
        self._intent = intent
        self._permit = permit
        self._payload = payload

    def signed_query(self) -> str | None:
        """The parameters with their signature, under the permit of the question; ``None`` without one: sign the order anew.

        Raises:
            Refused: the permit is no longer live.
        """
        check_permit(self._intent, self._permit)
        try:
            answer = self._link.collect(self._early)
            return f"{self._payload}&signature={_signature(answer)}" if answer is not None else None
        except GatehouseError:
            return None

    def forget(self) -> None:
        """The signature is not used."""
        self._link.forget(self._early)


def _frame(permit: Permit) -> PermitFrame:
    return PermitFrame(
        permit.epoch,
        getattr(permit, "serial", 0),
        getattr(permit, "deadline_ns", 0),
        exit_only=hasattr(permit, "client_id"),
    )


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
