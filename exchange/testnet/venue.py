"""The testnet's one actor: every change of the venue goes through here, in one event loop, without waiting.

REST handlers and the playback call it; the engine decides; the hub sends the events to the listeners. Faults that change the
venue's state, and not only a single connection, strike here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from random import Random

from exchange.errors import UsageError
from exchange.matching.engine import Engine
from exchange.matching.events import Accepted, Canceled, EngineEvent, Filled, FillRecord, MarketTraded, OrderView, Refusal
from exchange.matching.mx_fees import MxFees
from exchange.matching.saved import draws_of, resume_draws
from exchange.model import Millis, OrderStatus, OrderType
from exchange.ports import Clock
from exchange.push.listenkeys import ListenKeys
from exchange.tape import TapeRecord
from exchange.testnet.access.auth import KeyRing
from exchange.testnet.access.ratelimit import SlidingWindow
from exchange.testnet.access.stp_groups import StrategyGroups
from exchange.testnet.conditions.clock import SkewedClock
from exchange.testnet.conditions.faults import ACTIONS, Fault, FaultKind, FaultParams, FaultPlan, Operation
from exchange.testnet.conditions.latency import Delays
from exchange.testnet.conditions.listings import Listings
from exchange.testnet.config import StreamLimits, TestnetConfig
from exchange.testnet.identity import own_key
from exchange.testnet.market.history import History
from exchange.testnet.market.playback import Market, Playback
from exchange.testnet.push.hub import Hub
from exchange.testnet.saved import Instance, LateCancel, Receipt, VenueState
from exchange.testnet.statements import Statements
from exchange.wire.errors import ErrorCode, WireError, WireRefusal, refuse
from exchange.wire.orders import NewOrder, OrderRef, order_json
from exchange.wire.wallet import Transfer

_RECEIPTS = 100_000
_LONGEST_ID = 64
_MS = 1_000_000
_ACTIONS_PERIOD_S = 0.05
_OPEN = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class SimulatedVenue:
    """A whole venue. Not thread-safe. ``groups`` and ``mx_fees`` are the ones the engine was built with.

    ``keep`` gets the engine's events before anybody hears of them, and without events whenever something else may have changed.
    """

    def __init__(
        self, config: TestnetConfig, engine: Engine, market: Market, clock: Clock, groups: StrategyGroups, mx_fees: MxFees
    ) -> None:
        self.config = config
        self.engine = engine
        self.groups = groups
        self.mx_fees = mx_fees
        self.listings = Listings(engine.rules)
        self.uids = config.uids
        self.market = market
        self.clock = SkewedClock(clock)
        self.faults = FaultPlan(config.seed)
        self.delays = Delays(config.seed, config.entry_latency, config.response_latency)
        self.history = History(engine.rules)
        self.hub = Hub(engine, self.history, self.clock, self.faults)
        self._random = Random(config.seed)  # noqa: S311 - reproducible ids, not secrets
        self.listen_keys = ListenKeys(self._random, config.streams.listen_key_ms)
        self.stream_limits: StreamLimits = config.streams
        self.keys = KeyRing(
            (*(one.key for one in config.accounts), *config.extra_keys),
            strict_signatures=config.strict_signatures,
            expired=config.expired_key_code,
        )
        self.accounts = {account.name: account for account in config.accounts}
        self.account_names = tuple(self.accounts)
        self._orders_window = SlidingWindow(config.rate_limits.orders_per_second)
        self._requests_window = SlidingWindow(config.rate_limits.requests_per_second)
        self._own_windows = {
            "/api/v3/batchOrders": SlidingWindow(config.rate_limits.batches_per_second),
            "/api/v3/account": SlidingWindow(config.rate_limits.accounts_per_second),
        }
        self._receipts: OrderedDict[tuple[str, str], Receipt] = OrderedDict()
        self.transfers: list[Transfer] = []
        self._hidden_until: dict[str, int] = {}
        self._late: dict[str, tuple[LateCancel, asyncio.TimerHandle]] = {}
        self.on_fill: Callable[[FillRecord], None] | None = None
        self.keep: Callable[[Sequence[EngineEvent]], None] = _keep_nothing
        self.instance = Instance(secrets.token_hex(16), clock.now())
        self.identity = own_key(config.state, config.key_file)
        self.statements = Statements(engine, market)
        self.closed = asyncio.Event()
        self._armed = asyncio.Event()
        for account in config.accounts:
            engine.open_account(account.name, account.balances, self.clock.now())
            mx_fees.switch(account.name, on=account.mx_deduction)

    async def run(self) -> None:
        """Play the market and let timed faults happen, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.market.run(self.feed))
            group.create_task(self._run_actions())

    def feed(self, record: TapeRecord) -> None:
        """Apply the market's next record."""
        self.statements.record(record.symbol, self.clock.now())
        self._publish(self.engine.feed(record))

    def close(self) -> None:
        """Stop every timer, end every stream and send the events that are held back."""
        self.closed.set()
        for _, timer in self._late.values():
            timer.cancel()
        self.hub.close()

    def pause(self) -> None:
        """Stop the market; orders are still accepted."""
        self.market.pause()

    def resume(self) -> None:
        """Let the market continue."""
        self.market.resume()

    def admits(self, owner: str, operation: Operation, path: str = "") -> bool:
        """Whether the rate limits let a request pass: placing and cancelling share one, some paths have their own
        (mexc-spot-v3.md §1.4)."""
        now_ns = self.clock.monotonic_ns()
        if not self._requests_window.admit(owner, now_ns):
            return False
        own = self._own_windows.get(path)
        if own is not None and not own.admit(owner, now_ns):
            return False
        return operation not in {Operation.PLACE, Operation.CANCEL} or self._orders_window.admit(owner, now_ns)

    def strikes(self, kind: FaultKind, operation: Operation) -> FaultParams | None:
        """The parameters of a fault that strikes a request of this kind now."""
        return self.faults.take(kind, self.clock.now(), operation=operation) if self.faults else None

    def arm(self, fault: Fault) -> int:
        """Arm a fault and return its id; one that needs no request strikes at once unless it has a delay."""
        number = self.faults.arm(fault, self.clock.now())
        self._armed.set()
        self.act()
        return number

    def act(self) -> None:
        """Let every fault strike that needs no request and is due."""
        now = self.clock.now()
        for kind in ACTIONS:
            params = self.faults.take(kind, now)
            if params is not None:
                self._commit(kind, params)

    def count_receipt(self, account: str, client_id: str) -> None:
        """Remember that an order with this client id reached the venue."""
        if len(client_id) <= _LONGEST_ID:
            self.receipt(account, client_id).received += 1

    def receipt(self, account: str, client_id: str) -> Receipt:
        """How often orders with this client id reached the venue; the oldest are forgotten after 100,000 ids."""
        receipt = self._receipts.setdefault((account, client_id), Receipt())
        if len(self._receipts) > _RECEIPTS:
            self._receipts.popitem(last=False)
        return receipt

    def place(self, account: str, order: NewOrder) -> Accepted:
        """Accept an order.

        Raises:
            WireRefusal: the engine refused it.
        """
        self.admit_order(order)
        now = self.clock.now()
        outcome = self.engine.place(account, order.intent(order.client_id or ""), now, order.stp_mode)
        if isinstance(outcome, Refusal):
            raise _refusal(outcome)
        if order.client_id:
            self.receipt(account, order.client_id).accepted += 1
        lag = self.faults.take(FaultKind.NOT_FOUND_LAG, now)
        if lag is not None:
            self._hidden_until[outcome.order.report.order_id] = now + (500 if lag.ms is None else lag.ms)
        self._publish(outcome.events)
        return outcome

    def admit_order(self, order: NewOrder) -> None:
        """Let the faults that refuse orders strike. Raises ``WireRefusal``: 10007, 30051."""
        now = self.clock.now()
        if self.faults.take(FaultKind.SYMBOL_NOT_SUPPORTED, now, symbol=order.symbol) is not None:
            raise refuse(ErrorCode.SYMBOL_NOT_SUPPORT_API, "symbol not support api")
        is_market = order.type is OrderType.MARKET
        if is_market and self.faults.take(FaultKind.MARKET_ORDER_DISABLED, now, symbol=order.symbol) is not None:
            raise refuse(ErrorCode.API_MARKET_ORDER_DISABLED_2, "api market order is disabled")

    def transfer(self, account: str, asset: str, amount: Decimal, *, deposit: bool) -> Transfer:
        """Let money come in from outside, or leave. Raises ``UsageError``: no such account, an invalid amount, too little free."""
        now = self.clock.now()
        if account not in self.accounts:
            raise UsageError(f"there is no account {account!r}", code="account-missing", remedy="Name an account of this testnet.")
        if deposit:
            events = self.engine.open_account(account, {asset: amount}, now)
        else:
            events = self.engine.withdraw(account, asset, amount, now)
        self.transfers.append(Transfer(f"{len(self.transfers) + 1:032x}", account, asset, amount, now, deposit))
        self._publish(events)
        return self.transfers[-1]

    def cancel(self, account: str, ref: OrderRef) -> OrderView:
        """Cancel one order; returns the order as it was before.

        Raises:
            WireRefusal: -2011, it is unknown or has ended.
        """
        now = self.clock.now()
        before = self.engine.order(account, ref.symbol, order_id=ref.order_id, client_id=ref.client_id)
        if before is not None and before.report.status in _OPEN:
            late = self.faults.take(FaultKind.LATE_FILL_AFTER_CANCEL, now)
            if late is not None:
                due = Millis(now + (300 if late.ms is None else late.ms))
                if before.report.order_id not in self._late:
                    self.cancel_later(LateCancel(account, ref.symbol, before.report.order_id, due))
                return before
        outcome = self.engine.cancel(account, ref.symbol, now, order_id=ref.order_id, client_id=ref.client_id)
        if isinstance(outcome, Refusal):
            raise _refusal(outcome)
        self._publish(outcome.events)
        return outcome.before

    def cancel_all(self, account: str, symbols: Sequence[str] | None = None) -> list[OrderView]:
        """Cancel every open order, on these symbols or on all; returns the orders as they were before."""
        canceled = self.engine.cancel_all(account, self.clock.now(), symbols)
        for one in canceled:
            self._publish(one.events)
        return [one.before for one in canceled]

    def is_visible(self, view: OrderView) -> bool:
        """Whether queries find an order yet; while the read side lags they do not (mexc-spot-v3.md §6)."""
        until = self._hidden_until.get(view.report.order_id)
        if until is None:
            return True
        if self.clock.now() < until:
            return False
        del self._hidden_until[view.report.order_id]
        return True

    def end_streams(self, listen_keys: Sequence[str], reason: str) -> None:
        """End the connections that were opened with these keys."""
        for session in self.hub.sessions:
            if session.listen_key in listen_keys:
                session.end(reason)

    def saved(self) -> VenueState:
        """Everything that determines how the venue continues."""
        return VenueState(
            at=self.clock.now(),
            skew_ms=self.clock.skew_ms,
            engine=self.engine.state(),
            playback=self.market.state() if isinstance(self.market, Playback) else None,
            history=self.history.state(),
            faults=self.faults.state(),
            listings=self.listings.all(),
            groups=self.groups.saved(),
            pay_in_mx=self.mx_fees.switched_on(),
            listen_keys=self.listen_keys.state(),
            receipts=tuple((*owner, one.received, one.accepted) for owner, one in self._receipts.items()),
            hidden_until=tuple(self._hidden_until.items()),
            late_cancels=self.late_cancels,
            draws=draws_of(self._random),
            transfers=tuple(self.transfers),
        )

    def load(self, state: VenueState) -> None:
        """Continue from a saved state, in a venue that has not been used yet.

        Raises:
            IntegrityError, UsageError: as ``Engine.load``; the venue cannot be used afterwards.
        """
        self.clock.skew_ms = state.skew_ms
        self.engine.load(state.engine)
        if isinstance(self.market, Playback) and state.playback is not None:
            self.market.load(state.playback)
        self.history.load(state.history)
        self.faults.load(state.faults)
        self._armed.set()
        self.listings.load(state.listings)
        self.groups.load(state.groups)
        self.mx_fees.load(state.pay_in_mx)
        self.listen_keys.load(state.listen_keys)
        self._receipts.update({(account, name): Receipt(got, took) for account, name, got, took in state.receipts})
        self._hidden_until = dict(state.hidden_until)
        self.transfers = list(state.transfers)
        for late in state.late_cancels:
            self.cancel_later(late)
        resume_draws(self._random, state.draws)

    def state(self) -> dict[str, object]:
        """What ``GET /__control/state`` shows."""
        return {
            "source": self.market.source.value,
            **self.instance.document(),
            "now": self.clock.now(),
            "skew_ms": self.clock.skew_ms,
            "tape": {
                "position": self.market.position,
                "records": self.market.records,
                "rounds": self.market.rounds,
                "speed": str(self.market.speed),
                "paused": self.market.paused,
                "ended": self.market.ended,
            },
            "fills_digest": self.engine.fills_digest(),
            "sessions": [{"account": one.account, "channels": sorted(one.channels)} for one in self.hub.sessions],
            "accounts": {name: self._account_state(name) for name in self.account_names},
        }

    def _account_state(self, name: str) -> dict[str, object]:
        orders = [view for symbol in self.engine.rules for view in self.engine.orders(name, symbol)]
        return {
            "orders": [order_json(view.report) for view in orders],
            "receipts": {
                client_id: {"received": receipt.received, "accepted": receipt.accepted}
                for (account, client_id), receipt in self._receipts.items()
                if account == name
            },
        }

    def _publish(self, events: Iterable[EngineEvent]) -> None:
        happened = list(events)
        self.keep(happened)
        self.statements.take(happened)
        for event in happened:
            if isinstance(event, MarketTraded):
                self.history.record(event.trade)
            elif isinstance(event, Filled) and self.on_fill is not None:
                self.on_fill(FillRecord(event.account, event.fill, event.evidence))
        self.hub.publish(happened)

    @property
    def late_cancels(self) -> tuple[LateCancel, ...]:
        """The cancels that were answered and have not taken effect."""
        return tuple(late for late, _ in self._late.values())

    def cancel_later(self, late: LateCancel) -> None:
        """Let a cancel that was answered take effect when it is due."""

        def carry_out() -> None:
            self._late.pop(late.order_id, None)
            outcome = self.engine.cancel(late.account, late.symbol, self.clock.now(), order_id=late.order_id)
            if isinstance(outcome, Canceled):
                self._publish(outcome.events)

        timer = asyncio.get_running_loop().call_later(max(0, late.due - self.clock.now()) / 1000, carry_out)
        self._late[late.order_id] = late, timer
        self.keep(())

    async def _run_actions(self) -> None:
        while True:
            if self.keep is _keep_nothing and not self.faults.waits(ACTIONS):
                # Nothing can strike and nothing is kept: until a fault is armed there is nothing to do.
                self._armed.clear()
                await self._armed.wait()
            await asyncio.sleep(_ACTIONS_PERIOD_S)
            self.act()
            self.keep(())

    def _commit(self, kind: FaultKind, params: FaultParams) -> None:
        if kind is FaultKind.CLOCK_SKEW:
            self.clock.skew_ms = params.ms or 0
        elif kind is FaultKind.LISTENKEY_EXPIRY:
            self.end_streams(self.listen_keys.expire_all(), "listenKey expired")
        elif kind is FaultKind.STREAM_CUT:
            self.hub.cut(params.channel)
        elif kind is FaultKind.STREAM_FREEZE:
            until = self.clock.monotonic_ns() + (5000 if params.ms is None else params.ms) * _MS
            self.hub.freeze(until, params.channel)
        elif params.symbol is not None and params.factor is not None and params.symbol in self.engine.rules:
            self._publish(self.engine.shift_prices(params.symbol, params.factor, self.clock.now()))


def _keep_nothing(_: Sequence[EngineEvent]) -> None:
    """A venue without a state directory keeps nothing."""


def _refusal(outcome: Refusal) -> WireRefusal:
    return WireRefusal(WireError(outcome.code, outcome.message))
