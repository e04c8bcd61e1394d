"""Listen keys: made, renewed and closed by REST (mexc-spot-v3.md §7.7). They live an hour unless renewed."""

from __future__ import annotations

from exchange.mexc.http import Method
from exchange.mexc.rest import RestCaller
from exchange.wire.account import parse_listen_key

_PATH = "/userDataStream"


class ListenKeys:
    """The listen keys of one account. Every method raises ``VenueError`` when the venue does not do it."""

    def __init__(self, rest: RestCaller) -> None:
        self._rest = rest

    async def create(self) -> str:
        """A key to listen with. It may be one that exists already, so closing it may cut somebody else's stream."""
        return parse_listen_key(await self._rest.query(_PATH, method=Method.POST))

    async def renew(self, key: str) -> None:
        """Give the key another hour."""
        await self._rest.query(_PATH, [("listenKey", key)], method=Method.PUT)

    async def close(self, key: str) -> None:
        """End the key and the streams that use it."""
        await self._rest.query(_PATH, [("listenKey", key)], method=Method.DELETE)
