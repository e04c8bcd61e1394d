"""Typed calls of the account endpoints (mexc-spot-v3.md §2.8, §4.11) for ``MexcVenue``. On failure they raise ``VenueError``."""

from __future__ import annotations

from exchange.errors import VenueError
from exchange.mexc.http import Method
from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import PermanentRefusal, RestCaller, VenueRefusal
from exchange.model import CapitalMove, Millis
from exchange.wire.account import Account, TradeFee, parse_account, parse_symbol_list, parse_trade_fee
from exchange.wire.errors import ErrorCode
from exchange.wire.fields import as_list
from exchange.wire.numbers import whole_second
from exchange.wire.profile import parse_mx_deduct
from exchange.wire.wallet import HISTORY_MOST, NO_WITHDRAWAL, parse_deposits, parse_withdrawals

DEPOSITS, WITHDRAWALS, TRANSFERS = "/capital/deposit/hisrec", "/capital/withdraw/history", "/capital/transfer"
"""Paths that only a key with a permission about money outside of orders may query (§2.8)."""
_WITHDRAWAL = "/capital/withdraw"


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

    async def capital_moves(self, since: Millis) -> list[CapitalMove]:
        """Every complete deposit and withdrawal at or after ``since``, to the second. A full page may hide others, so it fails."""
        params = [("startTime", str(since)), ("limit", str(HISTORY_MOST))]
        deposits = as_list("deposit/hisrec", await self._rest.query(DEPOSITS, params))
        withdrawals = as_list("withdraw/history", await self._rest.query(WITHDRAWALS, params))
        if max(len(deposits), len(withdrawals)) >= HISTORY_MOST:
            raise VenueError(
                f"{HISTORY_MOST} or more deposits or withdrawals since then, and MEXC lists no more",
                code="moves-not-enumerable",
                remedy="Compare MEXC's own page with the difference, and accept it with `gatehouse rebaseline --venue live "
                "--key KEY --reason WHY`.",
            )
        return [one for one in (*parse_deposits(deposits), *parse_withdrawals(withdrawals)) if one.at >= whole_second(since)]

    async def is_denied(self, path: str) -> bool:
        """Whether the key has no permission (700007) for a GET of ``path``. Raises ``VenueError`` for any other failure."""
        try:
            await self._rest.query(path)
        except PermanentRefusal as refusal:
            if refusal.error.code == ErrorCode.NO_PERMISSION:
                return True
            raise
        return False

    async def cancel_no_withdrawal(self) -> VenueRefusal | None:
        """Ask to cancel a withdrawal that does not exist, to learn whether the key may. ``None``: it was accepted.

        It needs SPOT_WITHDRAW_WRITE, which withdrawing needs too (§2.8). It cannot move money: the method only keeps in the account
        what was about to leave it, and no coin, address or amount is named. If MEXC took it for the cancel of another withdrawal,
        or of all, that money would stay. If it took it for a new withdrawal, there would be nothing to send and no address.

        Raises:
            VenueError: there was no answer of the venue.
        """
        try:
            await self._rest.query(_WITHDRAWAL, [("id", NO_WITHDRAWAL)], Method.DELETE)
        except VenueRefusal as refusal:
            return refusal
        return None
