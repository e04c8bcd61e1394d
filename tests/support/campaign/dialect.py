"""How a campaign's venue tells what happened: the forms of MEXC that the product has to read (ADR 31 and 32).

The engine's books have one id for everything. A dialect says what the lists, the look-ups and the private stream show of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from exchange.model import Fill, Millis, OrderReport

_PREFIX = "C02__"
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number: its multiples are different modulo 2 to the power of 128, and in no order."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a venue leaves out, cuts off and numbers otherwise.

    ``nameless_trades``: trades have no id of ours in the trade lists. ``nameless_orders``: neither have orders in lists and
    look-ups. ``nameless_stream``: neither have trades on the stream. ``two_numberings``: a trade has another id in the lists than
    on the stream. ``integers``: order ids are numbers. ``whole_seconds``: the lists cut times to seconds. ``renumbered``: there was
    one numbering before, and the deployment had learned that.
    """

    nameless_trades: bool = False
    nameless_orders: bool = False
    nameless_stream: bool = False
    two_numberings: bool = False
    integers: bool = False
    whole_seconds: bool = False
    renumbered: bool = False

    def listed(self, report: OrderReport) -> OrderReport:
        """An order in a list or in the answer to a look-up."""
        return replace(
            report,
            order_id=self.order_id(report.order_id),
            client_id="" if self.nameless_orders else report.client_id,
            created_at=self._time(report.created_at),
            updated_at=None if report.updated_at is None else self._time(report.updated_at),
        )

    def streamed(self, report: OrderReport) -> OrderReport:
        """An order on the private stream, which always tells our id."""
        return replace(report, order_id=self.order_id(report.order_id)) if self.integers else report

    def listed_trade(self, fill: Fill) -> Fill:
        """A trade in the trade lists."""
        return replace(
            fill,
            trade_id=self.listed_id(fill.trade_id),
            order_id=self.order_id(fill.order_id),
            client_id="" if self.nameless_trades else fill.client_id,
            at=self._time(fill.at),
        )

    def streamed_trade(self, fill: Fill) -> Fill:
        """A trade on the private stream."""
        return replace(fill, order_id=self.order_id(fill.order_id), client_id="" if self.nameless_stream else fill.client_id)

    def order_id(self, order_id: str) -> str:
        """The venue's id of an order."""
        return order_id.removeprefix(_PREFIX) if self.integers else order_id

    def listed_id(self, trade_id: str) -> str:
        """The id of a trade in the trade lists."""
        return f"{int(trade_id.replace('X', '00')) * _SPREAD % (1 << 128):032x}" if self.two_numberings else trade_id

    def _time(self, at: Millis) -> Millis:
        return Millis(at // 1_000 * 1_000) if self.whole_seconds else at


PLAIN = Dialect()
"""Everything is told everywhere: what the mock executor does."""

KINDS = tuple(Dialect.__slots__)


def drawn_dialect(dice: Random) -> tuple[bool, ...]:
    """A quarter of all venues are like the captures of MEXC, a quarter are plain, and the others a mix."""
    kind = dice.random()
    if kind < 0.25:
        return (True, True, False, True, dice.random() < 0.5, True, False)
    mixed = tuple(kind >= 0.5 and dice.random() < 0.5 for _ in KINDS[:-1])
    return (*mixed, kind >= 0.9)
