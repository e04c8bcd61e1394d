"""A fake of what the console's pages read beside the operator API; ``operator_port.FakePort`` has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from controller.console.channels import ChannelView
from controller.console.inspection import (
    NEWEST_MOST,
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
from exchange.errors import UsageError


def some_guards() -> list[GuardView]:
    """One of each kind: quiet, near its limit, breached, not measured."""
    return [
        GuardView(guard="daily-loss", measured="0.4 EUR", limit="2 EUR", used_per_mille=200),
        GuardView(guard="drawdown", measured="4.4 %", limit="5 %", used_per_mille=880),
        GuardView(guard="quote-stale", measured="9000 ms", limit="10000 ms", used_per_mille=900, level="CANCEL_ALL", message="old"),
        GuardView(guard="clock-offset", measured="", limit="1000 ms", used_per_mille=None),
    ]


def some_channels() -> list[ChannelView]:
    """One of each kind: it delivers, it fails and is tried again, nothing was sent yet."""
    at = 1_795_341_600_000
    return [
        ChannelView(name="mail", severity="info", step=0, queued=0, dropped=0, delivered_at_ms=at),
        ChannelView(
            name="pager", severity="critical", step=1, queued=2, dropped=3, failing="HTTP 500", delivered_at_ms=at,
            failed_at_ms=at + 60_000, failed_because="HTTP 500", next_at_ms=at + 90_000,
        ),
        ChannelView(name="chat", severity="warning", step=0, queued=0, dropped=0),
    ]  # fmt: skip


@dataclass
class FakeInspector:
    """Answers from the lists of the port, and notes what was asked."""

    orders_now: Callable[[], Sequence[OrderView]]
    entries_now: Callable[[], Sequence[EntryView]]
    guard_views: list[GuardView] = field(default_factory=some_guards)
    facts: list[FactsView] = field(
        default_factory=lambda: [FactsView(title="policy", facts=(FactView(name="name", value="team"),))]
    )
    channel_views: list[ChannelView] = field(default_factory=some_channels)
    checked: CheckedView | None = None
    chain_problem: str = ""
    more_orders: int | None = None

    async def channels(self) -> Sequence[ChannelView]:
        return self.channel_views

    async def guards(self) -> Sequence[GuardView]:
        return self.guard_views

    async def orders(self, wanted: OrderFilter, before: int | None, limit: int) -> OrdersView:
        found = [order for order in self.orders_now() if wanted.admits(order)]
        return OrdersView(orders=tuple(found[:limit]), older_than=self.more_orders if before is None else None)

    async def find(self, kind: str, text: str, before: int | None, limit: int) -> FoundView:
        found = [
            entry
            for entry in reversed(self.entries_now())
            if entry.kind.startswith(kind) and text in f"{entry.body}" and (before is None or entry.seq < before)
        ][:limit]
        oldest = self.entries_now()[0].seq if self.entries_now() else 1
        return FoundView(entries=tuple(found), searched_to=found[-1].seq if found else oldest, oldest=oldest)

    async def newest(self, topic: Topic) -> FoundView:
        return await self.find(topic.value, "", None, NEWEST_MOST)

    async def life(self, client_id: str) -> LifeView:
        order = next((order for order in self.orders_now() if order.client_id == client_id), None)
        if order is None:
            raise UsageError("there is no order with this id", code="no-such-order", remedy="Take the id from the list.")
        return LifeView(order=order, entries=tuple(self.entries_now()[:3]), complete=True, searched_to=1840)

    async def chain(self, after: int, limit: int) -> ChainView:
        rows = [entry for entry in self.entries_now() if after < entry.seq <= after + limit]
        last = rows[-1] if rows and not self.chain_problem else None
        return ChainView(
            first=after + 1,
            last=last.seq if last else after,
            first_prev="sha256:" + "0" * 64,
            last_hash=last.hash if last else "",
            problem=self.chain_problem,
            head=self.entries_now()[-1].seq,
        )

    async def check(self, envelope_text: str) -> CheckedView:
        if self.checked is None:
            raise UsageError("this is no envelope", code="malformed-envelope", remedy="Take the file that `gatehouse sign` wrote.")
        return self.checked

    async def in_force(self) -> Sequence[FactsView]:
        return self.facts
