"""The page shows the venue's state, loads nothing from elsewhere, and its picture matches the book."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from exchange.model import OrderType, Side
from exchange.testnet.conditions.faults import FaultKind
from exchange.testnet.http.picture import HEIGHT, WIDTH, depth_picture
from exchange.testnet.server import RunningTestnet
from exchange.wire.orders import NewOrder

D = Decimal


async def test_the_page_shows_book_faults_orders_and_fills_with_their_evidence(
    trader: Any, http: httpx.AsyncClient, testnet: RunningTestnet
) -> None:
    testnet.arm(FaultKind.SLOW_REPLY, count=7, params={"operation": "stream"})
    testnet.venue.place("bot", NewOrder("BTCUSDT", Side.BUY, OrderType.MARKET, "taken", None, D(50)))
    await trader.place(newClientOrderId="waits")
    page = (await http.get("/")).text
    record = testnet.venue.engine.fill_log()[-1]
    assert page.count("<polygon") == 2
    assert "slow-reply" in page
    assert "operation stream" in page
    assert "waits" in page
    assert record.fill.trade_id in page
    assert f'<td class="n">{record.evidence.book_version}</td>' in page
    assert testnet.venue.engine.fills_digest() in page


async def test_the_page_loads_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    reply = await http.get("/")
    assert reply.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert re.findall(r"""(?:src|href|url)\s*[=(]""", reply.text) == []


async def test_a_paused_symbol_without_a_book_is_shown_as_such(http: httpx.AsyncClient, testnet: RunningTestnet) -> None:
    token = {"X-Testnet-Control": "let-me-in"}
    await http.post("/__control/symbols", headers=token, json={"symbol": "BTCUSDT", "status": 2, "trade_side_type": 3})
    testnet.venue.engine._market("BTCUSDT").depth.book.mark_stale()
    testnet.venue.pause()
    page = (await http.get("/")).text
    assert "paused, sells only, book stale" in page
    assert "no trustworthy book: nothing fills" in page
    assert "<polygon" not in page


LEVELS = st.lists(st.tuples(st.integers(1, 50), st.decimals("0.001", "90", places=3)), min_size=1, max_size=20)


def points(text: str) -> list[tuple[Decimal, Decimal]]:
    return [(D(x), D(y)) for x, _, y in (pair.partition(",") for pair in text.split())]


@given(bids=LEVELS, asks=LEVELS)
def test_the_picture_stays_in_its_frame_and_grows_from_the_middle(bids: Any, asks: Any) -> None:
    below = sorted({D(100 - away): quantity for away, quantity in bids}.items(), reverse=True)
    above = sorted({D(100 + away): quantity for away, quantity in asks}.items())
    picture = depth_picture(below, above)
    assert picture is not None
    left, right = points(picture.bids), points(picture.asks)
    for x, y in (*left, *right):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert [x for x, _ in left] == sorted((x for x, _ in left), reverse=True)
    assert [x for x, _ in right] == sorted(x for x, _ in right)
    assert min(y for _, y in (*left, *right)) == 0
    assert picture.most == max(sum(quantity for _, quantity in side) for side in (below, above))


def test_a_book_with_an_empty_or_crossed_side_has_no_picture() -> None:
    level, other = (D(100), D(1)), (D(99), D(1))
    assert depth_picture([], [level]) is None
    assert depth_picture([level], []) is None
    assert depth_picture([level], [other]) is None
