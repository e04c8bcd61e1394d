"""Makes the statements that the testnet signs: what its data is and covers, and what an account did (ADR 47).

``venue`` shows it every record and event; ``http.statement`` answers challenges with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from exchange.matching.engine import Engine
from exchange.matching.events import EngineEvent, Filled, OrderChanged
from exchange.model import Fill, Millis, OrderReport
from exchange.statement import STREAM_GAP_MS, Books, Challenge, Statement, StreamCoverage
from exchange.testnet.market.playback import Market
from exchange.testnet.saved import Instance

SOFTWARE = f"gatehouse {version('gatehouse')}"
_MOST_BOOKS = 8
"""How many accounts and journals are followed at once. Another one is added up anew when it is asked about."""


@dataclass(slots=True)
class _Followed:
    """The books of one account's orders that begin with ``prefix`` and have a number above ``after``."""

    account: str
    prefix: str
    after: int
    books: Books = field(default_factory=Books)
    last: str = ""
    seen: set[str] = field(default_factory=set)

    def take(self, event: EngineEvent) -> None:
        match event:
            case OrderChanged() if event.account == self.account:
                self._order(event.order.report)
            case Filled() if event.account == self.account:
                self.fill(event.fill)
            case _:
                pass

    def fill(self, fill: Fill) -> None:
        if self._counts(fill.client_id):
            self.books = self.books.with_fill(fill.client_id, fill.order_id, fill.side, fill.price, fill.quantity, fill.quote)

    def add(self, client_id: str, report: OrderReport) -> None:
        if not self._counts(client_id) or report.order_id in self.seen:
            return
        self.seen.add(report.order_id)
        self.last = client_id
        self.books = self.books.with_order(
            client_id, report.order_id, report.symbol, report.side, report.type, report.price, report.quantity
        )

    def _order(self, report: OrderReport) -> None:
        self.add(report.client_id, report)

    def _counts(self, client_id: str) -> bool:
        number = client_id.removeprefix(self.prefix)
        return client_id.startswith(self.prefix) and number.isascii() and number.isdigit() and int(number) > self.after


@dataclass(slots=True)
class _Stream:
    began: Millis
    last: Millis
    gaps_ms: int = 0
    longest_ms: int = 0

    def record(self, now: Millis) -> None:
        gap = now - self.last
        if gap > STREAM_GAP_MS:
            self.gaps_ms += gap
            self.longest_ms = max(self.longest_ms, gap)
        self.last = Millis(max(self.last, now))

    def coverage(self, now: Millis) -> StreamCoverage:
        open_gap = now - self.last if now - self.last > STREAM_GAP_MS else 0
        gaps = self.gaps_ms + open_gap
        return StreamCoverage(max(0, now - self.began - gaps), gaps, max(self.longest_ms, open_gap), self.last)


class Statements:
    """What one venue can say of itself. Not thread-safe."""

    def __init__(self, engine: Engine, market: Market) -> None:
        self._engine = engine
        self._market = market
        self._streams: dict[str, _Stream] = {}
        self._followed: OrderedDict[tuple[str, str, int], _Followed] = OrderedDict()

    def record(self, symbol: str, now: Millis) -> None:
        """A record of a symbol's market came."""
        stream = self._streams.get(symbol)
        if stream is None:
            self._streams[symbol] = _Stream(now, now)
        else:
            stream.record(now)

    def take(self, events: Iterable[EngineEvent]) -> None:
        """Follow what happened."""
        for event in events if self._followed else ():
            for one in self._followed.values():
                one.take(event)

    def about(self, challenge: Challenge, account: str, instance: Instance, now: Millis) -> Statement:
        """The statement that answers a challenge about the account of that name."""
        followed = self._follow(account, challenge.prefix, challenge.after)
        return Statement(
            challenge=challenge,
            instance=instance.id,
            run=instance.runs,
            began=instance.began,
            software=SOFTWARE,
            source=self._market.source,
            speed=str(self._market.speed),
            streams={symbol: stream.coverage(now) for symbol, stream in self._streams.items()},
            at=now,
            orders=followed.books.orders,
            fills=followed.books.fills,
            last_order=followed.last,
            books=followed.books.digest,
        )

    def _follow(self, account: str, prefix: str, after: int) -> _Followed:
        key = (account, prefix, after)
        if (known := self._followed.get(key)) is not None:
            self._followed.move_to_end(key)
            return known
        new = _Followed(account, prefix, after)
        for report in self._reports(account):
            new.add(report.client_id, report)
        for record in self._engine.fill_log():
            if record.account == account:
                new.fill(record.fill)
        self._followed[key] = new
        if len(self._followed) > _MOST_BOOKS:
            self._followed.popitem(last=False)
        return new

    def _reports(self, account: str) -> Sequence[OrderReport]:
        return [order.view().report for order in self._engine.every_order() if order.account == account]
