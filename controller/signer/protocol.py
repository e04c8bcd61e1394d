"""The messages between the controller and the signer: one packet each way on a SOCK_SEQPACKET socket, fixed fields first.

A request is a kind, a venue, a number and a body; an answer repeats the number, so that the answer to a request that was given
up is never taken for the answer to a later one. ``service`` answers, ``remote`` asks.
"""

from __future__ import annotations

import struct
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import NamedTuple

from exchange.ports import VenueName
from exchange.wire.numbers import plain

MAX_MESSAGE = 80 * 1024
"""The most bytes of a message: an envelope and its frame."""

SIGNATURE_LENGTH = 64

_REQUEST = struct.Struct("!BBI")
_ANSWER = struct.Struct("!BI")
_PERMIT = struct.Struct("!QQQB")
_SEPARATOR = b"\x00"

VENUES: tuple[VenueName, ...] = (VenueName.TESTNET, VenueName.LIVE)
"""The venues whose secrets the signer holds; a request names one by its place here."""


class Kind(IntEnum):
    """What a request asks for."""

    PING = 1
    LEAD = 2
    QUERY = 3
    ORDER = 4
    COMMAND = 5
    LOWER = 6
    BUDGET = 7


AUTHORITY = frozenset({Kind.LEAD, Kind.COMMAND, Kind.LOWER})
"""The requests that change what may be signed."""


class Status(IntEnum):
    """How a request ended."""

    DONE = 0
    REFUSED = 1


class Budget(NamedTuple):
    """The buys with real money that the signer signed in the hours that count, and what it signs at most, in the quote asset.

    At ``frees_at``, in milliseconds since 1970, ``frees`` of it no longer counts; both are 0 where nothing counts.
    """

    spent: Decimal
    limit: Decimal
    frees_at: int
    frees: Decimal

    @property
    def left(self) -> Decimal:
        """What may still be signed."""
        return max(self.limit - self.spent, Decimal(0))


def budget_body(budget: Budget) -> bytes:
    """A budget as the body of an answer."""
    return " ".join(plain(Decimal(value)) for value in budget).encode()


def read_budget(body: bytes) -> Budget:
    """The budget of an answer. Raises ``ValueError``."""
    try:
        spent, limit, frees_at, frees = (Decimal(text) for text in body.decode("ascii").split())
    except InvalidOperation as error:
        raise ValueError("a budget is four numbers") from error
    return Budget(spent, limit, int(frees_at), frees)


class PermitFrame(NamedTuple):
    """A permit as the signer sees it. ``exit_only``: it is for one sell on the way out of a position."""

    epoch: int
    serial: int
    deadline_ns: int
    exit_only: bool = False


def request(kind: Kind, venue: int, number: int, body: bytes = b"") -> bytes:
    """A request as bytes."""
    return _REQUEST.pack(kind, venue, number) + body


def read_request(message: bytes) -> tuple[int, int, int, bytes]:
    """``(kind, venue, number, body)``. Raises ``ValueError`` for fewer bytes than a frame has."""
    if len(message) < _REQUEST.size:
        raise ValueError("a request is shorter than its frame")
    kind, venue, number = _REQUEST.unpack_from(message)
    return kind, venue, number, message[_REQUEST.size :]


def order_body(permit: PermitFrame, payload: str) -> bytes:
    """The body of an ``ORDER``."""
    return _PERMIT.pack(permit.epoch, permit.serial, permit.deadline_ns, permit.exit_only) + payload.encode()


def read_order_body(body: bytes) -> tuple[PermitFrame, str]:
    """The permit and the payload of an ``ORDER``. Raises ``ValueError``."""
    if len(body) < _PERMIT.size:
        raise ValueError("an order without a permit")
    epoch, serial, deadline_ns, exit_only = _PERMIT.unpack_from(body)
    return PermitFrame(epoch, serial, deadline_ns, bool(exit_only)), body[_PERMIT.size :].decode("ascii")


def done(number: int, body: bytes = b"") -> bytes:
    """The answer to a request that was carried out."""
    return _ANSWER.pack(Status.DONE, number) + body


def not_done(number: int, code: str, message: str, remedy: str) -> bytes:
    """The answer to a request that was refused."""
    texts = (text.replace("\x00", " ").encode()[:2000] for text in (code, message, remedy))
    return _ANSWER.pack(Status.REFUSED, number) + _SEPARATOR.join(texts)


def read_answer(message: bytes) -> tuple[int, int, bytes]:
    """``(status, number, body)``. Raises ``ValueError`` for fewer bytes than a frame has."""
    if len(message) < _ANSWER.size:
        raise ValueError("an answer is shorter than its frame")
    status, number = _ANSWER.unpack_from(message)
    return status, number, message[_ANSWER.size :]


def read_refusal(body: bytes) -> tuple[str, str, str]:
    """``(code, message, remedy)`` of a refused request."""
    texts = [part.decode(errors="replace") for part in body.split(_SEPARATOR)]
    code, message, remedy = (*texts, "", "", "")[:3]
    return code, message, remedy
