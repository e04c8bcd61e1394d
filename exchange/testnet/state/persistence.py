"""Keeps a venue in its state directory: writes every change before anybody hears of it, and restores it at a start (ADR 33).

Orders, fills and balances are written in the transaction of the step that changed them. Order numbers, and the place of the market,
are reserved in advance: a start goes on behind what was reserved, so nothing that was ever shown is numbered or played twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from pydantic import ValidationError

from exchange.book import BookState, BookStatus
from exchange.errors import ConfigError, GatehouseError, IntegrityError
from exchange.matching.events import BalanceChanged, EngineEvent, Filled, OrderChanged
from exchange.matching.resting import LiveOrder
from exchange.matching.saved import AccountState, EngineState, MarketBookState, MarketState
from exchange.model import Millis
from exchange.testnet.market.playback import Playback
from exchange.testnet.saved import Instance
from exchange.testnet.state.records import (
    BESIDE,
    NOTE,
    TRANSFER,
    Beside,
    MarketNote,
    MarketPlace,
    fill_of,
    fill_text,
    order_of,
    order_text,
)
from exchange.testnet.state.store import Changes, Store
from exchange.testnet.venue import SimulatedVenue

NUMBERS = 1_000
"""How many order numbers are reserved at once."""

AHEAD_MS = 5_000
"""How far ahead the market's place is reserved, in ms of the clock: after a kill it goes on at most this much later."""

_VERSIONS = 1_000_000
"""What a restart adds to the version of every book. No market publishes as many within ``AHEAD_MS``."""

_FILLS = 1_000
"""A restart numbers the fills of an open order from the next multiple on, because the last one may be lost with the power."""

_MS = 1_000_000
_MARKET, _BESIDE, _ORDERS, _IDENTITY = "market", "beside", "order-numbers", "identity"


class Persistence:
    """Keeps one venue. ``market`` is where its market was; ``failure`` is set when the state could not be written."""

    def __init__(self, store: Store) -> None:
        """Read where the market was. Raises ``IntegrityError`` for a damaged state."""
        self._store = store
        self._documents = store.documents()
        self._numbers = 0
        self._transfers = 0
        self._beside = b""
        self._played_until = 0
        self._note_at_ns = 0
        self.failure: GatehouseError | None = None
        try:
            self.market = NOTE.validate_json(self._documents[_MARKET]) if _MARKET in self._documents else MarketNote(0, {})
        except ValidationError as error:
            raise _damaged(store) from error
        self._places = dict(self.market.places)

    @property
    def instance(self) -> str:
        """What no other venue has: the same at every start on this state."""
        return self._store.instance

    def attach(self, venue: SimulatedVenue) -> None:
        """Make a venue that has not been used yet what the state says, and keep it from now on.

        Raises:
            ConfigError: the state belongs to a venue with other options, or an open order's symbol is not listed any more.
            IntegrityError: the state is damaged.
            StateError: it cannot be written.
        """
        self._venue = venue
        identity = _identity(venue)
        if self._documents.get(_IDENTITY, identity) != identity:
            raise ConfigError(
                f"the state in {self._store.directory} is of a testnet with another market or seed",
                code="testnet-state-of-another-venue",
                remedy="Start it with the options it had, or give the new testnet a directory of its own with --state DIR.",
            )
        known = {account for account, *_ in self._store.balances()}
        try:
            self._load()
        except KeyError as error:
            raise ConfigError(
                f"the state in {self._store.directory} has an open order for {error.args[0]}, which is not listed now",
                code="testnet-state-of-another-venue",
                remedy="Start the testnet with that symbol, cancel the order, then start it without.",
            ) from error
        except (ValueError, ArithmeticError, TypeError) as error:
            raise _damaged(self._store) from error
        opened = [name for name in venue.account_names if name not in known]
        balances = {
            (name, one.asset): (str(one.free), str(one.locked)) for name in opened for one in venue.engine.balances(name).values()
        }
        self._write(Changes(balances=balances, documents={_IDENTITY: identity, **self._reserve()}, durable=True))
        self._note(AHEAD_MS)
        run, before = self._store.runs[-1], self._store.runs[-2] if len(self._store.runs) > 1 else None
        venue.instance = Instance(self._store.instance, run.began, len(self._store.runs), None if before is None else before.seen)
        venue.keep = self.keep

    def keep(self, events: Sequence[EngineEvent]) -> None:
        """Write what the events changed, and without events what else has changed. Raises ``StateError``."""
        changes = Changes()
        for event in events:
            if isinstance(event, OrderChanged):
                order = self._venue.engine.order_record(event.order.report.order_id)
                changes.placed[order.sequence] = order_text(order)
            elif isinstance(event, Filled):
                changes.fills.append(fill_text(event))
            elif isinstance(event, BalanceChanged):
                change = event.change
                changes.balances[event.account, change.asset] = str(change.free), str(change.locked)
        if changes.placed or changes.balances:
            self._keep_trading(changes)
            return
        if not events:
            self._keep_beside()
        if self._note_is_due():
            self._note(AHEAD_MS)

    def close(self) -> None:
        """Write down where the market is, unless the state could not be written."""
        if self.failure is None:
            self._keep_beside()
            self._note(0)

    def _keep_trading(self, changes: Changes) -> None:
        for one in self._venue.transfers[self._transfers :]:
            changes.transfers.append(TRANSFER.dump_json(one).decode())
        if self._venue.engine.sequence >= self._numbers:
            changes.documents, changes.durable = self._reserve(), True
        self._write(changes)
        self._transfers = len(self._venue.transfers)

    def _keep_beside(self) -> None:
        venue = self._venue
        beside = BESIDE.dump_json(
            Beside(
                venue.listings.all(),
                venue.groups.saved(),
                venue.mx_fees.switched_on(),
                venue.listen_keys.state(),
                venue.late_cancels,
            )
        )
        if beside != self._beside:
            self._write(Changes(documents={_BESIDE: beside.decode()}))
            self._beside = beside

    def _reserve(self) -> dict[str, str]:
        self._numbers = self._venue.engine.sequence + NUMBERS
        return {_ORDERS: str(self._numbers)}

    def _note_is_due(self) -> bool:
        venue, market = self._venue, self._venue.market
        if venue.clock.monotonic_ns() >= self._note_at_ns or (isinstance(market, Playback) and market.played >= self._played_until):
            return True
        return any(venue.engine.market_marks(symbol)[2] != place.factor for symbol, place in self._places.items())

    def _note(self, ahead_ms: int) -> None:
        """Write down where the market is, or where it will be in ``ahead_ms`` of the clock."""
        venue, market = self._venue, self._venue.market
        played = market.played + int(ahead_ms * market.speed) if isinstance(market, Playback) else 0
        for symbol in venue.engine.rules:
            quote = venue.engine.quote(symbol, venue.clock.now())
            mid = quote.mid if quote is not None else self._places[symbol].mid if symbol in self._places else None
            self._places[symbol] = MarketPlace(*venue.engine.market_marks(symbol), mid)
        note = NOTE.dump_json(MarketNote(played, self._places)).decode()
        self._write(Changes(documents={_MARKET: note}, seen=Millis(venue.clock.now() - venue.clock.skew_ms)))
        self._played_until, self._note_at_ns = played, venue.clock.monotonic_ns() + ahead_ms * _MS // 2

    def _write(self, changes: Changes) -> None:
        try:
            self._store.write(changes)
        except GatehouseError as error:
            self.failure = error
            raise

    def _load(self) -> None:
        venue, store, documents = self._venue, self._store, self._documents
        orders = [order for text in store.placed() if (order := order_of(text, venue.engine.rules)) is not None]
        for order in orders:
            if order.is_open:
                order.fills = (order.fills // _FILLS + 1) * _FILLS
        fills = tuple(one for text in store.fills() if (one := fill_of(text)).fill.symbol in venue.engine.rules)
        # A new venue counts its orders from its first instant on, so that one whose state was deleted gives no old id again.
        sequence = int(documents.get(_ORDERS, store.created))
        self._places = {symbol: place for symbol, place in self._places.items() if symbol in venue.engine.rules}
        markets = tuple(_market(symbol, place) for symbol, place in self._places.items())
        venue.engine.load(EngineState(sequence, self._accounts(), tuple(orders), fills, markets))
        venue.transfers = [TRANSFER.validate_json(text) for text in store.transfers()]
        self._transfers = len(venue.transfers)
        if _BESIDE in documents:
            self._load_beside(BESIDE.validate_json(documents[_BESIDE]), orders)

    def _load_beside(self, beside: Beside, orders: Sequence[LiveOrder]) -> None:
        venue = self._venue
        venue.listings.load(one for one in beside.listings if one.symbol in venue.engine.rules)
        venue.groups.load(beside.groups)
        known = {account for account, *_ in self._store.balances()}
        opened = (name for name in venue.mx_fees.switched_on() if name not in known)
        venue.mx_fees.load((*beside.pay_in_mx, *opened))
        venue.listen_keys.load(beside.listen_keys)
        still_open = {order.order_id for order in orders if order.is_open}
        for late in beside.late_cancels:
            if late.order_id in still_open:
                venue.cancel_later(late)

    def _accounts(self) -> tuple[AccountState, ...]:
        assets: dict[str, list[tuple[str, Decimal, Decimal]]] = {}
        for account, asset, free, locked in self._store.balances():
            assets.setdefault(account, []).append((asset, Decimal(free), Decimal(locked)))
        return tuple(AccountState(name, tuple(held)) for name, held in assets.items())


def _market(symbol: str, place: MarketPlace) -> MarketState:
    """A market whose book waits for its next data, above every version it ever published."""
    book = BookState(symbol, BookStatus.STALE, place.version + _VERSIONS, False, Millis(0), (), ())  # noqa: FBT003
    buckets = None if place.factor == 1 else ()
    return MarketState(symbol, MarketBookState(book, place.offset, place.factor, buckets, ()), ())


def _identity(venue: SimulatedVenue) -> str:
    """What must stay the same: the kind of market, its tapes, and the seed that the ids are made of."""
    tapes = [hashlib.sha256(one.read_bytes()).hexdigest() for one in venue.config.tapes]
    return " ".join((venue.market.source.value, str(venue.config.seed), *tapes))


def _damaged(store: Store) -> IntegrityError:
    return IntegrityError(
        f"the testnet's state in {store.directory} holds what no testnet writes",
        code="testnet-state-damaged",
        remedy="Restore the directory from a backup, or move it away: the testnet then begins as another one, with new accounts.",
    )
