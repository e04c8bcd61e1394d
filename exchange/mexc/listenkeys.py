"""Creates, lists, renews and closes listen keys by REST (mexc-spot-v3.md §7.7). ``PrivateStream`` calls it."""

from __future__ import annotations

from exchange.mexc.http import Method
from exchange.mexc.rest import RestCaller
from exchange.wire.account import parse_listen_key

_PATH = "/userDataStream"


class ListenKeyApi:
    """The listen keys of one account; a key expires after an hour without renewal. On failure they raise ``VenueError``."""

    def __init__(self, rest: RestCaller) -> None:
        self._rest = rest

    async def create(self) -> str:
        """A listen key. The venue may return an existing one, so closing it may end another client's stream."""
        return parse_listen_key(await self._rest.query(_PATH, method=Method.POST))

    async def renew(self, key: str) -> None:
        """Extend the key by an hour."""
        await self._rest.query(_PATH, [("listenKey", key)], method=Method.PUT)

    async def close(self, key: str) -> None:
        """Close the key and the streams that use it."""
        await self._rest.query(_PATH, [("listenKey", key)], method=Method.DELETE)
