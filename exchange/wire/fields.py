"""Reads the fields of decoded JSON with their types. The parsers of this package call it. Unknown fields are ignored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from exchange.model import Millis
from exchange.wire.errors import MalformedReply
from exchange.wire.numbers import reply_amount, reply_decimal, reply_integer, reply_millis

_VENUE_ID = re.compile(r"[!-~]{1,64}")
_MOST_TEXT = 256


class Fields:
    """One JSON object of a reply. Every method raises ``MalformedReply`` naming the object and the field."""

    __slots__ = ("_values", "_what")

    def __init__(self, what: str, value: object) -> None:
        if not isinstance(value, dict):
            raise MalformedReply(f"{what} is not an object")
        self._what = what
        self._values: dict[str, object] = value

    def has(self, name: str) -> bool:
        """Whether the field is present and not null."""
        return self._values.get(name) is not None

    def raw(self, name: str) -> object:
        """The field as decoded, ``None`` when absent."""
        return self._values.get(name)

    def text(self, name: str) -> str:
        """A non-empty string."""
        value = self.text_or_empty(name)
        if not value:
            raise MalformedReply(f"{self._what}.{name} is not text")
        return value

    def text_or_empty(self, name: str) -> str:
        """A string; null and absent read as empty."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > _MOST_TEXT or not _is_writable(value):
            raise MalformedReply(f"{self._what}.{name} is not text")
        return value

    def venue_id(self, name: str) -> str:
        """An id that the venue made: up to 64 printable ASCII characters, or an integer, which reads as its digits."""
        return checked_id(f"{self._what}.{name}", self._numbered(name))

    def client_id_or_empty(self, name: str) -> str:
        """An id that a client made, which may be any text or an integer; null and absent read as empty: not told."""
        return str(self._numbered(name)) if isinstance(self._values.get(name), int) else self.text_or_empty(name)

    def _numbered(self, name: str) -> object:
        value = self._values.get(name)
        return str(reply_integer(f"{self._what}.{name}", value)) if isinstance(value, int) else value

    def decimal(self, name: str) -> Decimal:
        """A finite decimal, as a string or a number."""
        return reply_decimal(f"{self._what}.{name}", self._values.get(name))

    def amount(self, name: str) -> Decimal:
        """A decimal that is not negative. It has no default: a missing amount is not zero."""
        return reply_amount(f"{self._what}.{name}", self._values.get(name))

    def integer(self, name: str) -> int:
        """An integer, as a number or a string."""
        return reply_integer(f"{self._what}.{name}", self._values.get(name))

    def millis(self, name: str) -> Millis:
        """An instant."""
        return reply_millis(f"{self._what}.{name}", self._values.get(name))

    def flag(self, name: str) -> bool:
        """A boolean."""
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise MalformedReply(f"{self._what}.{name} is not a boolean")
        return value

    def items(self, name: str) -> Sequence[object]:
        """A list."""
        return as_list(f"{self._what}.{name}", self._values.get(name))

    def fields(self, name: str) -> Fields:
        """A nested object."""
        return Fields(f"{self._what}.{name}", self._values.get(name))


def as_list(what: str, value: object) -> Sequence[object]:
    """A JSON list. Raises ``MalformedReply`` for anything else."""
    if not isinstance(value, list):
        raise MalformedReply(f"{what} is not a list")
    return value


def checked_id(what: str, value: object) -> str:
    """An id that a venue made. Raises ``MalformedReply`` for anything else."""
    if not isinstance(value, str) or _VENUE_ID.fullmatch(value) is None:
        raise MalformedReply(f"{what} is not an id")
    return value


def checked_client_id(what: str, value: str) -> str:
    """An id that a client made, or nothing. Raises ``MalformedReply`` for one that is longer than any text of a reply."""
    if len(value) > _MOST_TEXT:
        raise MalformedReply(f"{what} has {len(value)} characters")
    return value


def _is_writable(text: str) -> bool:
    # JSON can write half of a surrogate pair, which no journal can store.
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
