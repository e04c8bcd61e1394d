"""The newest orders, fills and samples in few bytes each, for ``RecentHistory`` (ADR 52).

An order is ten bytes here: what it was is in the state. A fill is the text of its journal entry, and a sample one line of text;
both become values when somebody asks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from sys import intern

from controller.core import event_codec
from controller.core import events as e
from controller.core.order_state import OrderState
from controller.core.state import State
from exchange.model import Millis
from policies.stage import Stage


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the charts."""

    at: Millis
    equity: Decimal | None
    exposure: Decimal | None
    cap: Decimal
    covered: bool
    stage: Stage

    @property
    def line(self) -> str:
        """The sample as text; ``read_sample`` reads it."""
        equity, exposure = ("" if value is None else str(value) for value in (self.equity, self.exposure))
        return f"{self.at} {equity} {exposure} {self.cap} {self.covered:d} {self.stage}"


def read_sample(line: str) -> Sample:
    """The sample of a ``line``."""
    at, equity, exposure, cap, covered, stage = line.split(" ")
    return Sample(Millis(int(at)), _amount(equity), _amount(exposure), Decimal(cap), covered == "1", Stage(stage))


def time_of(line: str) -> int:
    """When the sample of a line was made; the rest of it is not read."""
    return int(line[: line.index(" ")])


def is_covered(line: str) -> bool:
    """Whether the time of the sample of a line is covered; the rest of it is not read."""
    return line.rsplit(" ", 2)[1] == "1"


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if text else None


@dataclass(frozen=True, slots=True)
class KeptFill:
    """A booked trade: what it is searched by, and the body of its journal entry. ``bot`` is empty where it is not of ours."""

    bot: str
    symbol: str
    traded_at: Millis
    body: str

    @classmethod
    def of(cls, fill: e.FillBooked, body: bytes, bot: str) -> KeptFill:
        """The fill of a journal entry, and whose order it is of."""
        return cls(intern(bot), intern(fill.symbol), Millis(fill.traded_at), body.decode())

    @property
    def event(self) -> e.FillBooked:
        """The whole of it."""
        found = event_codec.decode(e.FillBooked.kind, self.body.encode())
        assert isinstance(found, e.FillBooked)
        return found

    def may_be_of(self, client_id: str) -> bool:
        """Whether it may be a trade of this order; only ``event`` says for certain."""
        return client_id in self.body


@dataclass(frozen=True, slots=True)
class SavedOrders:
    """The newest orders, oldest first; the last one has the number ``last``. ``owners`` are places in ``whose``.

    ``other_ids`` are the client ids that an earlier version formed, by number.
    """

    last: int = 0
    at: tuple[int, ...] = ()
    owners: tuple[int, ...] = ()
    whose: tuple[tuple[str, str], ...] = ()
    other_ids: tuple[tuple[int, str], ...] = ()


class KeptOrders:
    """When the newest ``most`` orders were admitted, and whose they are. Numbers of orders have no gaps."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last = 0
        self._at = array("q")
        self._owners = array("I")
        self._whose: dict[tuple[str, str], int] = {}
        self._other_ids: dict[int, str] = {}

    def __len__(self) -> int:
        """How many orders are kept."""
        return min(len(self._at), self._most)

    def add(self, order: OrderState, state: State) -> None:
        """Add the order that was just admitted."""
        self._last = order.number
        self._at.append(order.admitted_at)
        self._owners.append(self._whose.setdefault((order.bot, order.symbol), len(self._whose)))
        if state.known_as(order) != order.number:
            self._other_ids[order.number] = order.client_id
        if len(self._at) >= 2 * self._most:
            del self._at[: -self._most]
            del self._owners[: -self._most]
            self._other_ids = {number: name for number, name in self._other_ids.items() if number > self._last - self._most}

    def newest(self, state: State, most: int) -> Iterator[str]:
        """The client ids of the newest orders, newest first."""
        return (self._client_id(state, place) for place in range(min(most, len(self))))

    def older(self, state: State, before: int | None) -> Iterator[tuple[int, str]]:
        """Number and client id of every kept order, newest first, that is older than the order with the number ``before``."""
        newest, oldest = self._last, self._last - len(self)
        numbers = range(newest if before is None else min(newest, before - 1), oldest, -1)
        return ((number, self._other_ids.get(number) or state.client_id(number)) for number in numbers)

    def of(self, state: State, bot: str, symbol: str, start: int, end: int) -> Iterator[str]:
        """The client ids of a bot's orders in a symbol that were admitted between ``start`` and ``end``, newest first."""
        whose = self._whose.get((bot, symbol))
        for place in range(len(self)):
            at = self._at[-1 - place]
            if at < start:
                return
            if at <= end and self._owners[-1 - place] == whose:
                yield self._client_id(state, place)

    def saved(self) -> SavedOrders:
        """A copy for a snapshot."""
        most = len(self)
        kept = (tuple(self._at[len(self._at) - most :]), tuple(self._owners[len(self._owners) - most :]))
        return SavedOrders(self._last, *kept, tuple(self._whose), tuple(self._other_ids.items()))

    def restore(self, saved: SavedOrders) -> None:
        """Take over a copy."""
        self._last, self._at, self._owners = saved.last, array("q", saved.at), array("I", saved.owners)
        self._whose = {whose: place for place, whose in enumerate(saved.whose)}
        self._other_ids = dict(saved.other_ids)

    def _client_id(self, state: State, place: int) -> str:
        number = self._last - place
        return self._other_ids.get(number) or state.client_id(number)
