"""Typed calls of the account endpoints (mexc-spot-v3.md §2.8, §4.11) for ``MexcVenue``. On failure they raise ``VenueError``."""

from __future__ import annotations

from collections.abc import Sequence

from exchange.mexc.http import Method
from exchange.mexc.ratelimit import Lane
from exchange.mexc.rest import PermanentRefusal, RestCaller
from exchange.wire.account import Account, TradeFee, parse_account, parse_symbol_list, parse_trade_fee
from exchange.wire.errors import ErrorCode
from exchange.wire.profile import (
    KycLevel,
    StrategyGroup,
    parse_group_reply,
    parse_groups_reply,
    parse_kyc,
    parse_mx_deduct,
    parse_uid,
)
from exchange.wire.wallet import Currency, parse_currencies

WITHDRAWALS, TRANSFERS = "/capital/withdraw/history", "/capital/transfer"
"""Paths that only a key with a permission to move money may query (§2.8)."""

_MX_DEDUCT, _GROUP, _GROUP_UIDS = "/mxDeduct/enable", "/strategy/group", "/strategy/group/uid"


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

    async def kyc(self) -> KycLevel:
        """How far MEXC has identified its owner."""
        return parse_kyc(await self._rest.query("/kyc/status"))

    async def uid(self) -> str:
        """The account's number."""
        return parse_uid(await self._rest.query("/uid"))

    async def self_symbols(self) -> tuple[str, ...]:
        """The pairs this key may trade by API."""
        return parse_symbol_list(await self._rest.query("/selfSymbols"))

    async def default_symbols(self) -> tuple[str, ...]:
        """The pairs that are open to API trading at all. Needs no key."""
        return parse_symbol_list(await self._rest.public("/defaultSymbols"))

    async def pays_fees_in_mx(self) -> bool:
        """Whether fees are deducted from MX (§6)."""
        return parse_mx_deduct(await self._rest.query(_MX_DEDUCT))

    async def pay_fees_in_mx(self, *, enabled: bool) -> bool:
        """Switch the deduction; returns the new state."""
        params = [("mxDeductEnable", "true" if enabled else "false")]
        return parse_mx_deduct(await self._rest.query(_MX_DEDUCT, params, Method.POST))

    async def currencies(self) -> tuple[Currency, ...]:
        """Every currency and its networks. Needs a key that may read withdrawals."""
        return parse_currencies(await self._rest.query("/capital/config/getall"))

    async def is_denied(self, path: str) -> bool:
        """Whether the key has no permission (700007) for a GET of ``path``: the only proof of what a key cannot do (§5)."""
        try:
            await self._rest.query(path)
        except PermanentRefusal as refusal:
            if refusal.error.code == ErrorCode.NO_PERMISSION:
                return True
            raise
        return False


class StrategyGroupApi:
    """The groups within which self-trade prevention acts (§4.11). Master accounts only; at most ten."""

    def __init__(self, rest: RestCaller) -> None:
        self._rest = rest

    async def create(self, name: str) -> StrategyGroup:
        """Create a group with an unused name."""
        return parse_group_reply(await self._rest.query(_GROUP, [("tradeGroupName", name)], Method.POST))

    async def all(self, name: str | None = None) -> tuple[StrategyGroup, ...]:
        """Every group, or the group of one name."""
        return parse_groups_reply(await self._rest.query(_GROUP, [("tradeGroupName", name)] if name else []))

    async def delete(self, group: int) -> None:
        """Delete a group."""
        await self._rest.query(_GROUP, [("tradeGroupId", str(group))], Method.DELETE)

    async def add(self, group: int, uids: Sequence[str]) -> StrategyGroup:
        """Add accounts to a group; the reply lists the added ones."""
        return parse_group_reply(await self._rest.query(_GROUP_UIDS, _members(group, uids), Method.POST))

    async def members(self, group: int) -> StrategyGroup:
        """A group with its accounts."""
        return parse_group_reply(await self._rest.query(_GROUP_UIDS, [("tradeGroupId", str(group))]))

    async def remove(self, group: int, uids: Sequence[str]) -> None:
        """Remove accounts from a group."""
        await self._rest.query(_GROUP_UIDS, _members(group, uids), Method.DELETE)


def _members(group: int, uids: Sequence[str]) -> list[tuple[str, str]]:
    return [("tradeGroupId", str(group)), ("uid", ",".join(uids))]
