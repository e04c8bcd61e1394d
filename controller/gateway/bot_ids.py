"""A bot's own order ids: which texts are accepted, and why another is not. ``gateway.orders`` reads requests with it.

A bot's id never leaves gatehouse: the venue gets gatehouse's own id (``gh-…``). So the venue's rules for ids (mexc-spot-v3.md §4.1)
do not apply here, and a uuid4 with its 36 characters is fine.
"""

from __future__ import annotations

from exchange.wire.errors import ErrorCode, refuse

MOST_CHARACTERS = 64
"""The longest id of a bot."""

_UNREADABLE = "\ufffd"


def fault(text: str) -> str:
    """What is wrong with an id, in words; empty when it is accepted."""
    if len(text) > MOST_CHARACTERS:
        return f"it has {len(text)} characters, and at most {MOST_CHARACTERS} are accepted"
    if text.isspace():
        # A template that was not filled in gives every order this id, and no log or status can show which order it names.
        return "it is blank"
    if _UNREADABLE in text:
        return "it is not UTF-8 text"
    hidden = next((one for one in text if not one.isprintable()), "")
    return f"it contains U+{ord(hidden):04X}, which cannot be printed" if hidden else ""


def parse_bot_id(text: str) -> str:
    """An id a bot gives to an order. Raises ``WireRefusal`` (700008) with the reason."""
    if wrong := fault(text):
        raise refuse(ErrorCode.ILLEGAL_CHARACTERS, f"gatehouse: newClientOrderId is not accepted: {wrong}.")
    return text
