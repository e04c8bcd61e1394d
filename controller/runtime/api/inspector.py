"""Implements the console's ``Inspection`` over a state and a journal. Leader and standby make one each.

Entries are read in pieces, and between two pieces everything else has its turn: a page never holds the writer up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.authority.envelope import parse_envelope
from controller.authority.verify import read_command, verify
from controller.authority.wordcode import word_code
from controller.console.channels import ChannelView
from controller.console.inspection import (
    FOUND_MOST,
    NEWEST_MOST,
    NEWEST_SEARCHED,
    SEARCHED_MOST,
    ChainView,
    CheckedView,
    FactsView,
    FactView,
    FoundView,
    GuardView,
    LifeView,
    OrderFilter,
    OrdersView,
    Topic,
)
from controller.console.schema import EntryView, OrderView
from controller.core import event_codec
from controller.core.decisions.guards import guard_measurements, judged_as
from controller.core.inputs import Tick
from controller.core.lifecycle import Position
from controller.core.order_state import OrderState
from controller.core.state import State
from controller.journal.chain import ChainWalk, Entry, Head
from controller.runtime.api import views
from controller.runtime.followers.recent import RecentHistory
from exchange.errors import GatehouseError, Refused, UsageError
from exchange.model import Millis
from policies import canonical
from policies.authority import quorum
from policies.distances import Distance, distances

ReadEntries = Callable[[int, int], Awaitable[Sequence[Entry]]]
"""At most so many entries after a sequence number, ascending."""

PIECE = 100
"""How many entries are read at once: a millisecond or two."""

ORDERS_AT_ONCE = 50

_LATE_MS = 2_000
"""How much later than the order's last change an entry about it may be."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The newest entries of a topic up to the entry ``upto``."""

    upto: int
    entries: tuple[EntryView, ...]
    searched_to: int


class Inspector:
    """``seen`` is what is measured of the market now; a standby measures nothing. ``oldest``: entries after it can be read."""

    def __init__(
        self,
        *,
        state: Callable[[], State],
        read: ReadEntries,
        oldest: Callable[[], int],
        history: RecentHistory,
        seen: Callable[[], Tick | None],
        now: Callable[[], Millis],
    ) -> None:
        self._state = state
        self._oldest = oldest
        self._history = history
        self._read = read
        self._seen = seen
        self._kept: dict[Topic, _Kept] = {}
        self._now = now
        self.channels_now: Callable[[], Sequence[ChannelView]] = tuple

    async def channels(self) -> Sequence[ChannelView]:
        """The channels for alerts, as this process finds them."""
        return self.channels_now()

    async def guards(self) -> Sequence[GuardView]:
        """Every guard and how far it is from its limit, measured now."""
        state, seen, now = self._state(), self._seen(), self._now()
        venue = state.watched
        if state.policy is None or seen is None or venue is None:
            return ()
        found = guard_measurements(state, state.policy, venue, seen.markets.get(venue), seen, now)
        here = judged_as(state, venue)
        return [_guard_view(one) for one in distances(found, state.policy, here.stage, here.step, now)]

    async def orders(self, wanted: OrderFilter, before: int | None, limit: int) -> OrdersView:
        """The newest orders that pass the filter, older than the order with the number ``before``."""
        state, found = self._state(), list[OrderView]()
        for looked, (number, client_id) in enumerate(self._history.orders.older(state, before), 1):
            if looked % ORDERS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if wanted.admits(order := views.order_view(state.orders[client_id])):
                found.append(order)
            if len(found) == min(limit, FOUND_MOST) or looked == SEARCHED_MOST:
                return OrdersView(orders=tuple(found), older_than=number)
        return OrdersView(orders=tuple(found), older_than=None)

    async def find(self, kind: str, text: str, before: int | None, limit: int) -> FoundView:
        """The newest entries older than ``before`` whose kind begins with ``kind`` and whose body has ``text``."""
        end = self._state().seq if before is None else before - 1
        found, lowest = await self._search(kind, text, end, max(0, end - SEARCHED_MOST), min(limit, FOUND_MOST))
        return FoundView(entries=tuple(found), searched_to=lowest, oldest=self._oldest() + 1)

    async def newest(self, topic: Topic) -> FoundView:
        """The newest entries of a topic. They are kept, so only what is new is looked at from the second time on."""
        end = self._state().seq
        kept = self._kept.get(topic)
        least = kept.upto if kept is not None else max(0, end - NEWEST_SEARCHED)
        found, lowest = await self._search(topic.value, "", end, least, NEWEST_MOST)
        if kept is not None:
            found, lowest = [*found, *kept.entries][:NEWEST_MOST], kept.searched_to
        self._kept[topic] = _Kept(end, tuple(found), lowest)
        return FoundView(entries=tuple(found), searched_to=lowest, oldest=self._oldest() + 1)

    async def _search(self, kind: str, text: str, end: int, least: int, limit: int) -> tuple[list[EntryView], int]:
        """At most ``limit`` entries with ``least < seq <= end``, newest first, and the oldest one that was looked at."""
        wanted, lowest, found = text.encode(), max(self._oldest(), least), list[EntryView]()
        while end > lowest:
            after = max(lowest, end - PIECE)
            for entry in reversed(await self._piece(after, end - after)):
                if entry.kind.startswith(kind) and wanted in entry.body:
                    found.append(_view(entry))
                    if len(found) == limit:
                        return found, entry.seq
            end = after
        return found, end + 1

    async def life(self, client_id: str) -> LifeView:
        """One order. Raises ``UsageError`` (``no-such-order``)."""
        state = self._state()
        order = state.orders.get(client_id)
        if order is None:
            raise UsageError(
                "there is no order with this id",
                code="no-such-order",
                remedy="Take the id from the list of orders; it is gatehouse's.",
            )
        found: list[EntryView] = []
        begin = after = await self._before(order.admitted_at, state.seq)
        wanted, past = client_id.encode(), False
        while not past and after < min(state.seq, begin + SEARCHED_MOST) and len(found) < FOUND_MOST:
            piece = await self._piece(after, min(PIECE, state.seq - after))
            if not piece:
                break
            found += [_view(entry) for entry in piece if wanted in entry.body]
            after, past = piece[-1].seq, _is_past(order, piece[-1])
        complete = past or after >= state.seq
        return LifeView(order=views.order_view(order), entries=tuple(found[:FOUND_MOST]), complete=complete, searched_to=after)

    async def chain(self, after: int, limit: int) -> ChainView:
        """Compute the hashes of at most ``limit`` entries after ``after`` again."""
        walk: ChainWalk | None = None
        first = first_prev = ""
        problem, last = "", after
        head = self._state().seq
        while last < min(after + limit, head) and not problem:
            piece = await self._piece(last, min(PIECE, after + limit - last))
            if not piece:
                problem = f"entry {last + 1} cannot be read"
                break
            if walk is None:
                first, first_prev = str(piece[0].seq), piece[0].prev
                start = Head(after, piece[0].prev, 0) if after else None
                walk = ChainWalk(self._state().controller_id, start)
            for entry in piece:
                if (found := walk.step(entry)) is not None:
                    problem = found.message
                    break
                last = entry.seq
        last_hash = walk.head.hash if walk is not None else ""
        number = int(first) if first else after + 1
        return ChainView(first=number, last=last, first_prev=first_prev, last_hash=last_hash, problem=problem, head=head)

    async def check(self, envelope_text: str) -> CheckedView:
        """Read a signed command. Raises ``Unauthorised`` for what is no command at all."""
        state, envelope = self._state(), parse_envelope(envelope_text)
        command, digest = read_command(envelope.payload), canonical.digest(envelope.payload)
        persons: tuple[str, ...] = ()
        problem = ""
        try:
            if state.roster is None:
                raise Refused("no roster is in force", code="not-deployed", remedy="Start the controller once.")
            persons = tuple(sorted({one.person for one in verify(envelope_text, state.roster, self._now()).signatories}))
        except GatehouseError as error:
            problem = f"{error.message}. {error.remedy}"
        here = Position(command.expected_stage, command.expected_step)
        return CheckedView(
            verb=command.verb.value,
            moves=f"{here} → {Position(command.target_stage, command.target_step)}",
            reason=command.reason,
            command_id=command.command_id,
            payload_digest=digest,
            word_code=word_code(digest),
            persons=persons,
            needed=quorum(command.verb, command.expected_stage, state.mode).persons,
            problem=problem,
        )

    async def in_force(self) -> Sequence[FactsView]:
        """The policy in force, section by section."""
        policy = self._state().policy
        return () if policy is None else _sections("policy", policy.model_dump(mode="json"))

    async def _piece(self, after: int, count: int) -> Sequence[Entry]:
        await asyncio.sleep(0)
        return await self._read(after, count)

    async def _before(self, at: Millis, newest: int) -> int:
        """The last entry that was written before an instant: entries are in the order of their times."""
        low, high = self._oldest(), newest
        while low < high:
            middle = (low + high) // 2
            piece = await self._piece(middle, 1)
            if not piece or piece[0].at >= at:
                high = middle
            else:
                low = middle + 1
        return low


def _is_past(order: OrderState, entry: Entry) -> bool:
    return order.settled and entry.at > order.updated_at + _LATE_MS


def _view(entry: Entry) -> EntryView:
    return views.entry_view(entry, event_codec.decode(entry.kind, entry.body))


def _guard_view(one: Distance) -> GuardView:
    return GuardView(
        guard=one.guard.value,
        measured=one.measured,
        limit=one.limit,
        used_per_mille=None if one.used is None else min(1000, int(one.used * 1000)),
        level=one.breach.level.name if one.breach is not None else "",
        message=one.breach.message if one.breach is not None else "",
    )


def _sections(title: str, document: Mapping[str, Any]) -> list[FactsView]:
    """A document's plain values first, then each of its tables as a group of its own."""
    plain = {name: value for name, value in document.items() if not isinstance(value, Mapping)}
    groups = [FactsView(title=title, facts=tuple(_facts(plain)))]
    for name, value in document.items():
        if isinstance(value, Mapping):
            groups.append(FactsView(title=f"{title}: {name}", facts=tuple(_facts(value))))
    return groups


def _facts(values: Mapping[str, Any], before: str = "") -> Iterator[FactView]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{before}{name}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value, 1):
                yield from _facts(one if isinstance(one, Mapping) else {"": one}, f"{before}{name} {number}: ")
        else:
            yield FactView(name=f"{before}{name}", value=_written(value))


def _written(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return ", ".join(map(_written, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
