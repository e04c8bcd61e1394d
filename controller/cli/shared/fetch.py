"""GET requests of limited size to a venue's public REST API, without a key. Live feeds and recordings use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from exchange import authorities
from exchange.errors import Unreachable
from exchange.testnet.market.feeds.live import ERROR_STATUS

MAX_BODY = 16 * 1024 * 1024
"""A whole ``exchangeInfo`` is a few MB."""

_TIMEOUT = httpx.Timeout(15, connect=5)
_OK = 200
_SHOWN = 200


@asynccontextmanager
async def fetching(base: str) -> AsyncIterator[Callable[[str], Awaitable[bytes]]]:
    """A function that GETs a path from ``base``. It ignores proxies and ``~/.netrc`` and follows no redirect.

    The function raises ``Unreachable`` when there is no answer, an error, or a too long answer, and when ``base`` is no
    address.
    """
    try:
        client = httpx.AsyncClient(base_url=base, trust_env=False, timeout=_TIMEOUT, follow_redirects=False)
    except (httpx.InvalidURL, ValueError) as error:
        raise _unreachable(base, str(error)) from None
    async with client:

        async def get(path: str) -> bytes:
            try:
                async with client.stream("GET", path) as response:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MAX_BODY:
                            raise _unreachable(base, f"the answer to {path} is longer than {MAX_BODY} bytes")
                    if response.status_code != _OK:
                        said = bytes(body[:_SHOWN]).decode("utf-8", errors="replace")
                        raise _unreachable(base, f"{path} is answered with {response.status_code}: {said}", ERROR_STATUS)
                    return bytes(body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _unreachable(base, authorities.refusal(error) or str(error) or type(error).__name__) from None

        yield get


def _unreachable(base: str, why: str, code: str = "rest-unreachable") -> Unreachable:
    return Unreachable(
        f"{base} cannot be read: {why}",
        code=code,
        remedy="Check the address after --from-rest and the network connection. MEXC blocks some regions.",
    )
