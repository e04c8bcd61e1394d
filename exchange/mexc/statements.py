"""Asks the testnet for a signed statement over HTTP (ADR 47). The bootstrap and ``doctor`` make a ``StatementSource``."""

from __future__ import annotations

from urllib.parse import urlencode

from exchange.errors import VenueError
from exchange.mexc.host import VenueEndpoint
from exchange.mexc.http import Failure, Method
from exchange.statement import Challenge

PATH = "/testnet/statement"
SILENT = "venue-silent"
_OK = 200


class StatementSource:
    """One testnet, asked about one account."""

    def __init__(self, endpoint: VenueEndpoint, account: str) -> None:
        """``account`` is the public key of our account there."""
        self.account = account
        self._url = endpoint.rest_url
        self._transport = endpoint.transport(connections=1)

    async def __call__(self, challenge: Challenge) -> bytes:
        """The reply to a challenge, whatever it is.

        Raises:
            VenueError: ``venue-silent``: no reply came; ``no-statement``: one that is an error.
        """
        query = urlencode(
            {
                "nonce": challenge.nonce,
                "controller": challenge.controller,
                "account": challenge.account,
                "prefix": challenge.prefix,
                "after": challenge.after,
            }
        )
        outcome = await self._transport.send(Method.GET, PATH, query)
        if isinstance(outcome, Failure):
            raise VenueError(f"it does not answer: {outcome.reason}", code=SILENT, remedy="Start the testnet.")
        if outcome.status != _OK:
            raise VenueError(
                f"{self._url} answers HTTP {outcome.status} where a testnet gives its statements",
                code="no-statement",
                remedy="Start the testnet of this version of gatehouse at this address.",
            )
        return outcome.body

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()
