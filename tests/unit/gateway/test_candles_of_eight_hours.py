"""The stream's candles of 8 hours, which REST does not have: those of 4 hours, joined (mexc-spot-v3.md §3, §7.2)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from controller.gateway.port import CandlesView
from controller.gateway.streams.history import Candles
from exchange.candles import DAY
from exchange.model import Millis
from exchange.wire.errors import dump_json
from exchange.wire.market import Candle, Interval, KlineQuery, kline_row
from exchange.wire.push import KlineUpdate
from tests.unit.gateway.fake_port import FakePort

HOUR = DAY // 24
MIDNIGHT = Millis(1_800_000_000_000 // DAY * DAY)


def bar(hour: int, price: int) -> Candle:
    """Four hours: one MX at ``price``, from two below it to three above."""
    opened, one = MIDNIGHT + hour * HOUR, Decimal(price)
    return Candle(Millis(opened), one, one + 3, one - 2, one + 1, Decimal(1), Millis(opened + 4 * HOUR), one)


class FourHours(FakePort):
    """A market whose last four candles of 4 hours are these."""

    bars: tuple[Candle, ...] = ()

    async def candles(self, query: KlineQuery) -> CandlesView:
        assert (query.interval, query.limit) == (Interval.HOUR4, 4)
        return CandlesView(tuple(dump_json(kline_row(one)) for one in self.bars), "testnet", self.bars[0].open_time)


@pytest.mark.parametrize(
    ("hours", "last"),
    [
        pytest.param((4, 8, 12, 16), (16, 40, 1), id="first half"),
        pytest.param((0, 4, 8, 12), (8, 30, 2), id="second half"),
    ],
)
async def test_the_candle_that_forms_is_of_the_halves_that_began(hours: tuple[int, ...], last: tuple[int, int, int]) -> None:
    port = FourHours()
    port.bars = tuple(bar(hour, 10 * (n + 1)) for n, hour in enumerate(hours))
    opened, first, halves = last
    (push,) = await Candles("MXUSDT", Interval.HOUR8, port).bodies()
    assert isinstance(push, KlineUpdate)
    assert push.interval is Interval.HOUR8
    assert push.candle.open_time == MIDNIGHT + opened * HOUR
    assert push.candle.close_time == push.candle.open_time + 8 * HOUR
    assert (push.candle.open, push.candle.volume) == (first, halves)
    assert (push.candle.high, push.candle.low, push.candle.close) == (43, first - 2, 41)


async def test_a_closed_candle_is_pushed_once_more_with_both_halves() -> None:
    port = FourHours()
    channel = Candles("MXUSDT", Interval.HOUR8, port)
    port.bars = tuple(bar(hour, 10) for hour in (0, 4, 8, 12))
    await channel.bodies()
    port.bars = (*(bar(hour, 10) for hour in (4, 8)), bar(12, 20), bar(16, 10))
    pushed = [one.candle for one in await channel.bodies() if isinstance(one, KlineUpdate)]
    assert [one.open_time for one in pushed] == [MIDNIGHT + 8 * HOUR, MIDNIGHT + 16 * HOUR]
    assert (pushed[0].volume, pushed[0].high) == (2, 23)
