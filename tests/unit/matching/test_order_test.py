"""``order/test`` refuses exactly what placing refuses, with the same text, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.matching.events import Accepted
from exchange.model import OrderIntent, OrderType, Side
from tests.support.tries import tries

D = Decimal
NUMBER = st.one_of(
    st.none(), st.sampled_from([D("0.0000001"), D("0.000001"), D("0.01"), D(1), D(100), D("101.005"), D(5_000), D(10**9)])
)
SYMBOL = st.sampled_from(["BTCUSDT", "BTCUSDT", "BTCUSDT", "NOPEUSDT"])
INTENT = st.builds(
    OrderIntent,
    SYMBOL,
    st.sampled_from(list(Side)),
    st.sampled_from(list(OrderType)),
    st.sampled_from(["a", "b", ""]),
    NUMBER,
    NUMBER,
    NUMBER,
)


@settings(max_examples=tries(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(intents=st.lists(INTENT, min_size=1, max_size=5))
def test_a_test_order_is_refused_exactly_like_the_order(make_driver: Callable[..., Any], intents: list[OrderIntent]) -> None:
    driver = make_driver()
    driver.book()
    for intent in intents:
        before = driver.engine.state()
        tested = driver.engine.test("ours", intent)
        after = driver.engine.state()
        assert (after.sequence, after.accounts, len(after.orders)) == (before.sequence, before.accounts, len(before.orders))
        placed = driver.engine.place("ours", intent, driver.now)
        assert tested == (None if isinstance(placed, Accepted) else placed)
