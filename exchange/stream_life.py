"""What happened to the streams of a venue: replaced, renewed, lost and back. The adapters note it, a run's evidence counts it.

``exchange.mexc.stream_meter`` makes these values, ``gates.streams`` counts them for a run (execution-safety.md §4.3, row A2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exchange.model import Millis

PRIVATE = "private"
"""The name of the account's private stream. Every other stream is named by ``market_stream``."""

REMEMBERED = 64
"""How many happenings of one stream are kept. What needs them reads them every few minutes."""


def market_stream(symbol: str) -> str:
    """The name of the market data of one symbol."""
    return f"market {symbol}"


class Kind(StrEnum):
    """What can happen to a stream."""

    ROTATED = "rotated"
    RENEWED = "renewed"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to a stream, at its end.

    ``number`` counts up from 1 in this process. ``ms``: how long the stream was of no use, in a GAP, or around a ROTATED; 0 when
    it was of use all the time. ``why`` says what began a gap.
    """

    number: int
    at: Millis
    kind: Kind
    ms: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class StreamLife:
    """One stream since this process opened it: its last ``REMEMBERED`` happenings, oldest first.

    ``down_since`` is since when it is of no use, and ``why``; absent while it is subscribed and, for market data, its book is in
    step. ``message_at`` is when the last message came that counts: one that moved the book, or any private event.
    """

    name: str
    happened: tuple[Happening, ...] = ()
    down_since: Millis | None = None
    why: str = ""
    message_at: Millis | None = None
