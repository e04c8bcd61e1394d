"""Judges what a reply, or its absence, proves about a placement or a cancel (architecture.md §4.5, mexc-spot-v3.md §1.2, §4.6).

``exchange.mexc.trading`` calls it after every placement and cancel.
"""

from __future__ import annotations

from exchange.mexc.http import Failure, Outcome
from exchange.model import Millis, OrderIntent
from exchange.ports import NOT_SENT, Ack, CancelAck, CancelFailed, CancelOutcome, PlaceOutcome, Rejected, Unknown
from exchange.wire.errors import Certainty, ErrorCode, MalformedReply, WireError, read_reply
from exchange.wire.orders import parse_ack, parse_cancel

LOCAL_REFUSAL = NOT_SENT
"""The code of refusals decided on our side, before any byte was sent."""

NO_ANSWER = -2
"""The code of a cancel whose reply is missing or unreadable."""

_PROVES_NO_REJECTION = frozenset({ErrorCode.NO_SUCH_ORDER, ErrorCode.UNKNOWN_ORDER})
_WAF = 403


def place_outcome(intent: OrderIntent, outcome: Outcome, now: Millis) -> PlaceOutcome:
    """The outcome of one order. ``now`` is the venue's time, for acknowledgements without one.

    ``Rejected`` only if the venue documents the code as a refusal, or if nothing was sent: then the code is
    ``LOCAL_REFUSAL``. Time-outs, 5xx, redirects, firewall pages, unreadable replies and undocumented codes are ``Unknown``.
    """
    decoded = _read(outcome)
    if isinstance(decoded, Rejected | Unknown):
        return decoded
    try:
        ack = parse_ack(decoded)
    except MalformedReply as malformed:
        return Unknown(malformed.message)
    if ack.symbol != intent.symbol:
        return Unknown(f"the reply acknowledges {ack.symbol} instead of {intent.symbol}")
    return Ack(ack.order_id, ack.at if ack.at is not None else now, ack.price, ack.quantity)


def cancel_outcome(outcome: Outcome, *, single: bool) -> CancelOutcome:
    """The outcome of a cancel; ``single`` expects the reply of one order (§4.6). Its status proves nothing and is ignored."""
    if isinstance(outcome, Failure):
        return CancelFailed(NO_ANSWER, outcome.reason)
    try:
        error, decoded = read_reply(outcome.status, outcome.body)
        if error is not None:
            return CancelFailed(error.code, error.msg)
        if single:
            parse_cancel(decoded)
    except MalformedReply as malformed:
        return CancelFailed(NO_ANSWER, malformed.message)
    return CancelAck()


def _read(outcome: Outcome) -> object:
    """The decoded body of a success; otherwise what the lack of one proves about what was sent."""
    if isinstance(outcome, Failure):
        return Rejected(LOCAL_REFUSAL, outcome.reason) if outcome.never_sent else Unknown(outcome.reason)
    try:
        error, decoded = read_reply(outcome.status, outcome.body)
    except MalformedReply as malformed:
        return Unknown(malformed.message)
    return decoded if error is None else _judge(error)


def _judge(error: WireError) -> PlaceOutcome:
    # A firewall page proves nothing about the order, and "unknown order" is not a reply to a placement.
    if (
        error.certainty is Certainty.UNKNOWN
        or (error.http_status == _WAF and not error.coded)
        or error.code in _PROVES_NO_REJECTION
    ):
        return Unknown(f"MEXC {error.code} ({error.msg}), HTTP {error.http_status}")
    return Rejected(error.code, error.msg)
