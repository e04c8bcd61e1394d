"""Asks the testnet for a signed statement over HTTP (ADR 47). The bootstrap and ``doctor`` make a ``StatementSource``."""

from __future__ import annotations

from urllib.parse import urlencode

from exchange.errors import VenueError
from exchange.mexc.host import VenueEndpoint
from exchange.mexc.http import Failure, HttpTransport, Method
from exchange.statement import Challenge

PATH = "/testnet/statement"
_OK = 200


class StatementSource:
    """One testnet, asked about one account."""

    def __init__(self, endpoint: VenueEndpoint, account: str) -> None:
        """``account`` is the public key of our account there."""
        self.account = account
        self._url = endpoint.rest_url
        self._transport = HttpTransport(endpoint.rest_url, endpoint.reach, endpoint.timeouts, connections=1)

    async def __call__(self, challenge: Challenge) -> bytes:
        """The reply to a challenge, whatever it is.

        Raises:
            VenueError: ``no-statement``: no reply came, or one that is an error.
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
            raise _none(f"it does not answer: {outcome.reason}")
        if outcome.status != _OK:
            raise _none(f"{self._url} answers HTTP {outcome.status} where a testnet gives its statements")
        return outcome.body

    async def aclose(self) -> None:
        """Close the connection."""
        await self._transport.aclose()


def _none(why: str) -> VenueError:
    return VenueError(why, code="no-statement", remedy="Start the testnet of this version of gatehouse at this address.")
