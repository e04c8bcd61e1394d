"""Measures how much faster than real time the matching engine plays the recorded tape, with 100 resting orders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from exchange import tape
from exchange.matching.engine import Engine
from exchange.matching.events import Accepted, Filled, OrderChanged
from exchange.matching.symbols import DEFAULT_RULES
from exchange.model import OrderIntent, OrderStatus, OrderType, Side
from exchange.tape import DepthDelta, TapeRecord
from ops.bench.measure import Contest, Figures, Goal, Line, Round, seconds, turns

TAPE = Path(__file__).parents[2] / "exchange" / "testnet" / "tapes" / "btcusdt-20240808.tape.gz"
_SYMBOL, _ACCOUNT, _SEED, _RESTING = "BTCUSDT", "bench", 7, 100


class Makers:
    """Keeps 100 post-only orders resting, 50 a side, one dollar apart from the best price; a filled order is placed again."""

    def __init__(self, first: TapeRecord) -> None:
        self.engine = Engine(DEFAULT_RULES, seed=_SEED)
        self.engine.open_account(_ACCOUNT, {"USDT": Decimal(100_000_000), "BTC": Decimal(1_000)}, first.at)
        self.fills = 0
        self._placed = 0
        self.engine.feed(first)
        for step in range(_RESTING // 2):
            self._place(Side.BUY, step, first)
            self._place(Side.SELL, step, first)

    def feed(self, record: TapeRecord) -> None:
        """One record, and a new order for each that filled."""
        for event in self.engine.feed(record):
            self.fills += isinstance(event, Filled)
            if isinstance(event, OrderChanged) and event.order.report.status is OrderStatus.FILLED:
                self._place(event.order.report.side, self._placed % 10, record)

    def _place(self, side: Side, step: int, record: TapeRecord) -> None:
        quote = self.engine.quote(_SYMBOL, record.at)
        if quote is None:
            return
        self._placed += 1
        price = quote.bid - step if side is Side.BUY else quote.ask + step
        intent = OrderIntent(_SYMBOL, side, OrderType.LIMIT_MAKER, f"m-{self._placed}", Decimal("0.01"), None, price)
        assert isinstance(self.engine.place(_ACCOUNT, intent, record.at), Accepted)


@contextmanager
def opened(size: float) -> Iterator[Round]:
    """Read the tape once, before the rounds."""
    records = list(tape.read(TAPE))
    records = records[: max(50, int(len(records) * min(1.0, size)))]
    span = (records[-1].at - records[0].at) / 1000
    deltas = [record for record in records if isinstance(record, DepthDelta)]

    def one_round(number: int) -> Figures:
        makers = Makers(records[0])

        def play() -> None:
            for record in records[1:]:
                makers.feed(record)

        def levels() -> None:
            book: dict[Decimal, Decimal] = {}
            for delta in deltas:
                book.update(delta.bids)
                book.update(delta.asks)

        both = turns(number, lambda: {"ours": span / seconds(play)}, lambda: {"dict": span / seconds(levels)})
        return {**both, "fills": makers.fills, "resting": len(makers.engine.open_orders(_ACCOUNT))}

    yield one_round


CONTEST = Contest(
    "replay",
    (
        Line(
            "testnet: replay of the tape with 100 orders resting",
            "× real time",
            "ours",
            "dict",
            "a dict update per level",
            (Goal("≥ 100 × real time", lambda ours, _: ours >= 100),),
        ),
        Line("testnet: fills in that replay", "", "fills"),
        Line("testnet: orders resting at its end", "", "resting"),
    ),
    opened,
)
