"""What gatehouse asks about the account itself, typed (mexc-spot-v3.md §2.8, §4.11). All raise ``VenueError`` when not answered."""

from __future__ import annotations

from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import PermanentRefusal, RestCaller
from exchange.wire.account import Account, TradeFee, parse_account, parse_symbol_list, parse_trade_fee
from exchange.wire.errors import ErrorCode

WITHDRAWALS, TRANSFERS = "/capital/withdraw/history", "/capital/transfer"
"""What only a key that has to do with moving money may ask for (§2.8)."""


class AccountApi:
    """One account: what it holds, what it may do, what it pays."""

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

    async def is_denied(self, path: str) -> bool:
        """Whether the key has no permission (700007) for a GET of ``path``: the one way to prove what a key cannot do (§5)."""
        try:
            await self._rest.query(path)
        except PermanentRefusal as refusal:
            if refusal.error.code == ErrorCode.NO_PERMISSION:
                return True
            raise
        return False
