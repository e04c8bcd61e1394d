"""Typed calls of the account endpoints (mexc-spot-v3.md §2.8, §4.11) for ``MexcVenue``. On failure they raise ``VenueError``."""

from __future__ import annotations

from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import PermanentRefusal, RestCaller
from exchange.wire.account import Account, TradeFee, parse_account, parse_symbol_list, parse_trade_fee
from exchange.wire.errors import ErrorCode
from exchange.wire.profile import parse_mx_deduct

WITHDRAWALS, TRANSFERS = "/capital/withdraw/history", "/capital/transfer"
"""Paths that only a key with a permission to move money may query (§2.8)."""


class AccountApi:
    """One account: its identity, permissions and fees."""

    def __init__(self, rest: RestCaller) -> None:
        self._rest = rest

    async def account(self) -> Account:
        """Whether it may trade, and its balances."""
        return parse_account(await self._rest.query("/account", lane=Lane.ACCOUNT))

    async def trade_fee(self, symbol: str) -> TradeFee:
        """What this account pays on one symbol."""
        return parse_trade_fee(await self._rest.query("/tradeFee", [("symbol", symbol)]))

    async def self_symbols(self) -> tuple[str, ...]:
        """The pairs this key may trade by API."""
        return parse_symbol_list(await self._rest.query("/selfSymbols"))

    async def pays_fees_in_mx(self) -> bool:
        """Whether MX deduction is on (§4.11)."""
        return parse_mx_deduct(await self._rest.query("/mxDeduct/enable"))

    async def is_denied(self, path: str) -> bool:
        """Whether the key has no permission (700007) for a GET of ``path``: the only proof of what a key cannot do (§5)."""
        try:
            await self._rest.query(path)
        except PermanentRefusal as refusal:
            if refusal.error.code == ErrorCode.NO_PERMISSION:
                return True
            raise
        return False
