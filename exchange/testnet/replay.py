"""Runs scripted quotes against a tape at full speed, to compare fill models. ``gatehouse tape`` and tests call it.

The script ignores fills. Every ``quote_every`` records it asks for the best prices, quotes both sides there and, every
``renew_every``, cancels its open orders; every ``take_every`` it places a small market order. Its requests take ``latency`` to
arrive and are matched, in order of arrival, against the book they then meet. The machine's clock plays no part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from exchange.errors import UsageError
from exchange.matching.engine import Engine
from exchange.matching.events import Accepted
from exchange.matching.resting import FillModel
from exchange.matching.symbols import DEFAULT_RULES
from exchange.model import Fill, Millis, OrderIntent, OrderType, Quote, Side, SymbolRules
from exchange.tape import DepthSnapshot, TapeRecord
from exchange.testnet.conditions.latency import NO_LATENCY, LatencyModel

ACCOUNT = "script"
_ZERO = Decimal(0)
_Request = Callable[[Millis], None]


@dataclass(frozen=True, slots=True)
class Script:
    """When the script acts, counted in records, and how much it trades. ``fund`` is its opening balance, by asset."""

    quantity: Decimal = Decimal("0.05")
    quote_every: int = 50
    renew_every: int = 300
    take_every: int = 400
    take_amount: Decimal = Decimal(500)
    fund: Decimal = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The script's result under one fill model. Money is in the quote asset, quantities in the base asset.

    ``profit`` is the account's value at the last mid price minus the value of its opening balances at that price.
    """

    model: FillModel
    records: int
    orders: int
    fills: int
    made: Decimal
    taken: Decimal
    fees: Decimal
    profit: Decimal
    digest: str


def replay(
    records: Iterable[TapeRecord],
    model: FillModel = FillModel.PESSIMISTIC,
    *,
    seed: int = 7,
    latency: Sequence[int] = NO_LATENCY,
    script: Script | None = None,
    rules: Mapping[str, SymbolRules] = DEFAULT_RULES,
) -> ReplayResult:
    """Run the script once. ``latency`` are quantiles in ms as for ``LatencyModel``; empty: everything arrives at once.

    Raises:
        UsageError: the records do not begin with a book, or are of a symbol without rules.
        ConfigError: invalid latency quantiles.
    """
    source = iter(records)
    first = next(source, None)
    if not isinstance(first, DepthSnapshot):
        raise UsageError("the tape does not begin with a book", code="replay-no-book", remedy="Give a tape made by gatehouse tape.")
    run = _Run(Engine(rules, model, seed), first, Script() if script is None else script, seed, latency)
    number = 0
    for number, record in enumerate(chain((first,), source)):
        run.step(number, record)
    return run.result(model, number + 1)


def compare(
    records: Sequence[TapeRecord],
    *,
    seed: int = 7,
    latency: Sequence[int] = NO_LATENCY,
    script: Script | None = None,
    rules: Mapping[str, SymbolRules] = DEFAULT_RULES,
) -> tuple[ReplayResult, ...]:
    """Run the script under every fill model, pessimistic first. Options and errors are those of ``replay``."""
    return tuple(replay(records, model, seed=seed, latency=latency, script=script, rules=rules) for model in FillModel)


class _Run:
    def __init__(self, engine: Engine, first: DepthSnapshot, script: Script, seed: int, latency: Sequence[int]) -> None:
        self._engine = engine
        self._script = script
        self._symbol = first.symbol
        self._latency = LatencyModel(seed, latency) if latency else None
        self._under_way: deque[tuple[Millis, _Request]] = deque()
        self._orders = 0
        self._quote: Quote | None = None
        rules = engine.rules.get(first.symbol)
        if rules is None:
            raise UsageError(
                f"there are no rules for {first.symbol}", code="replay-no-rules", remedy="Give the rules of the tape's symbol."
            )
        self._rules = rules
        self._start = {rules.quote: script.fund, rules.base: script.fund / 1_000}
        engine.open_account(ACCOUNT, self._start, first.at)

    def step(self, number: int, record: TapeRecord) -> None:
        while self._under_way and self._under_way[0][0] <= record.at:
            at, request = self._under_way.popleft()
            request(at)
        self._engine.feed(record)
        if not number or number % self._script.quote_every:
            return
        quote = self._engine.quote(self._symbol, record.at)
        if quote is None:
            return
        self._quote = quote
        if number % self._script.renew_every == 0:
            self._send(record.at, self._cancel_all)
        for side, price in ((Side.BUY, quote.bid), (Side.SELL, quote.ask)):
            intent = OrderIntent(self._symbol, side, OrderType.LIMIT, f"{side}-{number}", self._script.quantity, None, price)
            self._send(record.at, self._placing(intent))
        if number % self._script.take_every == 0:
            intent = OrderIntent(self._symbol, Side.BUY, OrderType.MARKET, f"take-{number}", None, self._script.take_amount)
            self._send(record.at, self._placing(intent))

    def result(self, model: FillModel, records: int) -> ReplayResult:
        fills: list[Fill] = [one.fill for one in self._engine.fill_log()]
        mid = self._quote.mid if self._quote is not None else _ZERO
        balances = self._engine.balances(ACCOUNT)
        gained = {asset: balances[asset].total - amount for asset, amount in self._start.items()}
        return ReplayResult(
            model=model,
            records=records,
            orders=self._orders,
            fills=len(fills),
            made=sum((fill.quantity for fill in fills if fill.maker), _ZERO),
            taken=sum((fill.quantity for fill in fills if not fill.maker), _ZERO),
            fees=sum((fill.fee for fill in fills), _ZERO),
            profit=gained[self._rules.quote] + gained[self._rules.base] * mid,
            digest=self._engine.fills_digest(),
        )

    def _send(self, at: Millis, request: _Request) -> None:
        if self._latency is None:
            request(at)
            return
        # With one connection a request does not overtake the one before it.
        earliest = self._under_way[-1][0] if self._under_way else at
        self._under_way.append((max(earliest, self._latency.arrival(at)), request))

    def _placing(self, intent: OrderIntent) -> _Request:
        def place(at: Millis) -> None:
            self._orders += isinstance(self._engine.place(ACCOUNT, intent, at), Accepted)

        return place

    def _cancel_all(self, at: Millis) -> None:
        self._engine.cancel_all(ACCOUNT, at)
