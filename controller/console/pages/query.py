"""Reads the query of a page's address. A value that makes no sense is refused with its name, never guessed."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request

from exchange.errors import UsageError

MAX_NUMBER = 2**53 - 1
MAX_TEXT = 64


def number(request: Request, name: str) -> int | None:
    """A number from 0 on; ``None`` where there is none. Raises ``UsageError`` (``bad-query``)."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_NUMBER)) and int(text) <= MAX_NUMBER:
        return int(text)
    raise UsageError(
        f"{name} is not a number from 0 to {MAX_NUMBER}", code="bad-query", remedy=f"Write {name} as digits, or leave it out."
    )


def words(request: Request, name: str) -> str:
    """A short text, empty where there is none. Raises ``UsageError`` (``bad-query``)."""
    text = request.query_params.get(name, "").strip()
    if len(text) > MAX_TEXT:
        raise UsageError(
            f"{name} is longer than {MAX_TEXT} characters", code="bad-query", remedy=f"Look for a shorter part of {name}."
        )
    return text


def address(path: str, **values: str | int | None) -> str:
    """A page's address with what is set of a query."""
    kept = {name: value for name, value in values.items() if value not in {None, ""}}
    return f"{path}?{urlencode(kept)}" if kept else path
