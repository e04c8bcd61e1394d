"""What the console's pages read beside the operator API: guards, one order's life, the chain, what is in force.

Part of ``controller.console.port``; ``controller.runtime.api.inspector`` implements it. Every answer is bounded, and reads yield
to everything else, so that no page delays the writer.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from controller.console.channels import ChannelView
from controller.console.schema import EntryView, OrderView
from controller.console.view import View

FOUND_MOST = 200
"""The most entries of one answer."""

SEARCHED_MOST = 4_000
"""How many entries one search looks at; ``FoundView.searched_to`` says where to go on."""

NEWEST_MOST, NEWEST_SEARCHED = 20, 20_000
"""How many entries of one kind ``newest`` keeps, and how many entries it looks at when it is asked first."""


class Topic(StrEnum):
    """Kinds of entries that are rare, and that a page shows the newest of."""

    COMMANDS = "command-"
    EVIDENCE = "evidence-"
    DRILLS = "drill-"
    ALERTS = "alert-"


class GuardView(View):
    """One always-on guard. ``used_per_mille`` of the limit at which it halts is used; absent where it cannot be measured.

    ``level`` is what it asks for now and ``message`` why; both are empty while it is quiet.
    """

    guard: str
    measured: str
    limit: str
    used_per_mille: int | None
    level: str = ""
    message: str = ""


class FoundView(View):
    """Entries of a search, newest first. ``searched_to`` is the oldest entry that was looked at, ``oldest`` the oldest there is."""

    entries: tuple[EntryView, ...]
    searched_to: int
    oldest: int = 1


class OrderFilter(View):
    """Which orders a person wants to see; an empty field means any."""

    symbol: str = ""
    bot: str = ""
    side: str = ""
    status: str = ""

    def admits(self, order: OrderView) -> bool:
        """Whether the order passes."""
        return (
            self.symbol in {"", order.symbol}
            and self.bot in {"", order.bot}
            and self.side in {"", order.side}
            and self.status in {"", order.status}
        )


class OrdersView(View):
    """Orders, newest first. ``older_than``: where to go on; absent when every order that is kept was looked at."""

    orders: tuple[OrderView, ...]
    older_than: int | None


class LifeView(View):
    """One order from its admission to its end.

    ``complete`` is false where the search stopped at ``searched_to`` and later entries may be about the order too.
    """

    order: OrderView
    entries: tuple[EntryView, ...]
    complete: bool
    searched_to: int


class ChainView(View):
    """The hashes of some entries, computed again. ``first_prev`` is what the first one follows, ``last_hash`` the last one's hash.

    ``problem`` is empty when each entry has the hash of its content and follows the one before it.
    """

    first: int
    last: int
    first_prev: str
    last_hash: str
    problem: str
    head: int


class CheckedView(View):
    """What a signed command says and who signed it, before it is handed in. Nothing is decided or journalled.

    ``needed`` persons must sign. ``problem`` says why the signatures do not count; then ``persons`` is empty.
    """

    verb: str
    moves: str
    reason: str
    command_id: str
    payload_digest: str
    word_code: str
    persons: tuple[str, ...]
    needed: int
    problem: str = ""


class FactView(View):
    """One line of what is in force: never a secret."""

    name: str
    value: str


class FactsView(View):
    """A group of such lines."""

    title: str
    facts: tuple[FactView, ...]


class Inspection(Protocol):
    """Reads of one running controller. Every method may raise a ``GatehouseError``."""

    async def guards(self) -> Sequence[GuardView]:
        """Every guard and how far it is from its limit, measured now."""
        ...

    async def orders(self, wanted: OrderFilter, before: int | None, limit: int) -> OrdersView:
        """The newest orders that pass the filter, older than the order with the number ``before``."""
        ...

    async def find(self, kind: str, text: str, before: int | None, limit: int) -> FoundView:
        """The newest entries older than ``before`` whose kind begins with ``kind`` and whose body has ``text``; empty: any."""
        ...

    async def newest(self, topic: Topic) -> FoundView:
        """The newest entries of a topic. They are kept, so only what is new is looked at from the second time on."""
        ...

    async def life(self, client_id: str) -> LifeView:
        """One order. Raises ``UsageError`` (``no-such-order``)."""
        ...

    async def chain(self, after: int, limit: int) -> ChainView:
        """Compute the hashes of at most ``limit`` entries after ``after`` again."""
        ...

    async def check(self, envelope_text: str) -> CheckedView:
        """Read a signed command. Raises ``Unauthorised`` for what is no command at all."""
        ...

    async def channels(self) -> Sequence[ChannelView]:
        """The channels for alerts, as this process finds them."""
        ...

    async def in_force(self) -> Sequence[FactsView]:
        """The policy in force, section by section."""
        ...
