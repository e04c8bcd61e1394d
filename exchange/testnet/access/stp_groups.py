"""STP strategy groups: which accounts must not trade with each other (mexc-spot-v3.md §4.11).

``SimulatedVenue`` keeps them. A master account has up to ten named groups with its own uid and those of its sub-accounts.
An order's ``stpMode`` acts only between accounts that share a group, an account with itself included. MEXC documents no codes for
these refusals; this venue uses 140002 for a sub-account, 140001 for a foreign uid, 22222 for an unknown group, and 33333 for a name
or a number above its limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from exchange.model import Millis
from exchange.wire.errors import ErrorCode, refuse
from exchange.wire.profile import StrategyGroup

MAX_GROUPS = 10
_FIRST_ID = 91


class StrategyGroups:
    """Every group of every master account. ``uids`` and ``masters`` are by account name; a master has no entry in ``masters``."""

    def __init__(self, uids: Mapping[str, str], masters: Mapping[str, str]) -> None:
        self._uids = dict(uids)
        self._masters = dict(masters)
        self._groups: dict[int, tuple[str, StrategyGroup]] = {}
        self._next = _FIRST_ID

    def share(self, first: str, second: str) -> bool:
        """Whether two accounts (or an account and itself) are in one group."""
        pair = {self._uids.get(first), self._uids.get(second)}
        return any(pair <= set(group.uids) for _, group in self._groups.values())

    def create(self, account: str, name: str, now: Millis) -> StrategyGroup:
        """A new, empty group. Raises ``WireRefusal``: 140002 for a sub-account, 33333 for a taken name or an eleventh group."""
        self._require_master(account)
        own = self.named(account)
        if any(group.name == name for group in own):
            raise refuse(ErrorCode.BAD_PARAMETER, "The strategy group name already exists.")
        if len(own) >= MAX_GROUPS:
            raise refuse(ErrorCode.BAD_PARAMETER, f"At most {MAX_GROUPS} strategy groups.")
        group = StrategyGroup(self._next, name, now, now)
        self._groups[group.id] = (account, group)
        self._next += 1
        return group

    def named(self, account: str, name: str | None = None) -> list[StrategyGroup]:
        """The account's groups, all or those of one name; a sub-account sees the groups of its master."""
        owner = self._masters.get(account, account)
        return [group for master, group in self._groups.values() if master == owner and name in {None, group.name}]

    def delete(self, account: str, number: int) -> None:
        """Delete a group. Raises ``WireRefusal``: 140002, 22222."""
        self._owned(account, number)
        del self._groups[number]

    def add(self, account: str, number: int, uids: Iterable[str], now: Millis) -> StrategyGroup:
        """Add accounts to a group. Raises ``WireRefusal``: 140002, 22222, or 140001 for a uid that is not the master's."""
        group = self._owned(account, number)
        family = {uid for name, uid in self._uids.items() if account in {name, self._masters.get(name)}}
        added = tuple(uids)
        if not set(added) <= family:
            raise refuse(ErrorCode.SUB_ACCOUNT_MISSING, "sub account does not exist")
        return self._changed(account, replace(group, uids=tuple(dict.fromkeys((*group.uids, *added))), updated_at=now))

    def remove(self, account: str, number: int, uids: Iterable[str], now: Millis) -> StrategyGroup:
        """Remove accounts from a group. Raises ``WireRefusal``: 140002, 22222, also for a uid that is not in it."""
        group = self._owned(account, number)
        removed = set(uids)
        if not removed <= set(group.uids):
            raise refuse(ErrorCode.NO_SUCH_RECORD, "record does not exist")
        return self._changed(account, replace(group, uids=tuple(u for u in group.uids if u not in removed), updated_at=now))

    def group(self, account: str, number: int) -> StrategyGroup:
        """One group of the account, or of its master. Raises ``WireRefusal``: 22222."""
        found = self._groups.get(number)
        if found is None or found[0] != self._masters.get(account, account):
            raise refuse(ErrorCode.NO_SUCH_RECORD, "record does not exist")
        return found[1]

    def saved(self) -> tuple[tuple[str, StrategyGroup], ...]:
        """Every group with its master, oldest first."""
        return tuple(self._groups.values())

    def load(self, groups: Iterable[tuple[str, StrategyGroup]]) -> None:
        """Replace every group by saved ones."""
        self._groups = {group.id: (master, group) for master, group in groups}
        self._next = max(self._groups, default=_FIRST_ID - 1) + 1

    def _changed(self, account: str, group: StrategyGroup) -> StrategyGroup:
        self._groups[group.id] = (account, group)
        return group

    def _owned(self, account: str, number: int) -> StrategyGroup:
        self._require_master(account)
        return self.group(account, number)

    def _require_master(self, account: str) -> None:
        if account in self._masters:
            raise refuse(ErrorCode.SUB_ACCOUNT_FORBIDDEN, "sub account is forbidden")
