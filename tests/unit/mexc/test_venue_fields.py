"""Every row of ops/docs/venue-fields.md: a published payload with one field in another form, and what gatehouse makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange.model import ForeignOrder, OrderStatus
from exchange.wire.account import parse_account, parse_fill, parse_trade_fee
from exchange.wire.errors import MalformedReply, load_json
from exchange.wire.market import parse_average_price, parse_book_ticker, parse_day_ticker, parse_depth, parse_klines
from exchange.wire.orders import parse_ack, parse_cancel, parse_order, parse_orders
from exchange.wire.pb.push_pb2 import PushDataV3ApiWrapper
from exchange.wire.push import BalanceReason, BalanceUpdate
from exchange.wire.push_decode import decode_push
from exchange.wire.symbols import parse_symbol_rules
from exchange.wire.wallet import parse_deposits, parse_withdrawals
from tests.support.wire_readers import parse_batch_reply
from tests.unit.mexc import payloads as p

PAGE = Path(__file__).parents[3] / "ops" / "docs" / "venue-fields.md"
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| where")
]


def pushed(channel: str, body: str) -> Callable[[Any], object]:
    def read(values: dict[str, Any]) -> object:
        wrapper = PushDataV3ApiWrapper(channel=f"spot@private.{channel}.v3.api.pb", sendTime=1736417034281)
        if channel != "account":
            wrapper.symbol = "MXUSDT"
        for name, value in values.items():
            setattr(getattr(wrapper, body), name, value)
        return decode_push(wrapper.SerializeToString()).body

    return read


READERS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "POST order": (p.POST_ORDER, parse_ack),
    "DELETE order": (p.DELETE_ORDER, parse_cancel),
    "GET order": (p.GET_ORDER, parse_order),
    "GET openOrders": (p.OPEN_ORDERS[0], lambda one: parse_orders([one])[0]),
    "GET myTrades": (p.MY_TRADES[0], parse_fill),
    "GET account": (p.ACCOUNT, parse_account),
    "balance": (p.ACCOUNT["balances"][0], lambda one: parse_account({**p.ACCOUNT, "balances": [one]})),
    "bookTicker": (p.BOOK_TICKER, parse_book_ticker),
    "ticker/24hr": (p.DAY_TICKER, parse_day_ticker),
    "klines": (p.KLINE, lambda one: parse_klines([[one.get(name) for name in p.KLINE]])[0]),
    "avgPrice": (p.AVERAGE_PRICE, parse_average_price),
    "depth": (p.DEPTH, parse_depth),
    "exchangeInfo": (p.LISTING, parse_symbol_rules),
    "tradeFee": (p.TRADE_FEE["data"], lambda one: parse_trade_fee({**p.TRADE_FEE, "data": one})),
    "deposit/hisrec": (p.DEPOSIT, lambda one: parse_deposits([one])[0]),
    "withdraw/history": (p.WITHDRAWAL, lambda one: parse_withdrawals([one])[0]),
    "private.orders": (p.PRIVATE_ORDER, pushed("orders", "privateOrders")),
    "private.deals": (p.PRIVATE_DEAL, pushed("deals", "privateDeals")),
    "private.account": (p.PRIVATE_ACCOUNT, pushed("account", "privateAccount")),
}


def over_the_wire(value: object) -> Any:
    return load_json(json.dumps(value).encode())


def test_the_table_has_every_endpoint_and_channel_that_is_read() -> None:
    assert {row[0] for row in ROWS} == set(READERS)
    assert len(set(ROWS)) == len(ROWS)


@pytest.mark.parametrize(("where", "field", "form", "outcome"), ROWS, ids=[" ".join(row[:3]) for row in ROWS])
def test_a_form_of_a_field_has_the_outcome_of_the_table(where: str, field: str, form: str, outcome: str) -> None:
    payload, read = READERS[where]
    json_reply = not where.startswith("private.")
    changed = {name: value for name, value in payload.items() if name != field}
    if form != "absent":
        changed[field] = json.loads(form)
    changed, published = (over_the_wire(changed), over_the_wire(payload)) if json_reply else (changed, payload)
    if outcome == "refused":
        with pytest.raises(MalformedReply):
            read(changed)
        return
    result = read(changed)
    if outcome == "no effect":
        expected = read(published)
        if isinstance(expected, BalanceUpdate):
            expected = replace(expected, reason=BalanceReason.UNLISTED)
        assert result == expected
    elif outcome == "no quote":
        assert result is None
    elif outcome == "foreign order":
        assert isinstance(result, ForeignOrder)
    else:
        name, value = outcome.split("=")
        assert str(getattr(result, name.strip())) == value.strip()


def test_the_order_as_documented_today_has_its_quantity_under_another_name() -> None:
    report = parse_order(over_the_wire(p.GET_ORDER_DOCUMENTED))
    assert (report.order_id, report.quantity, report.executed) == ("1", Decimal("1.0"), Decimal("0.0"))


def test_the_price_of_a_market_order_is_its_collar() -> None:
    report = parse_order(over_the_wire(p.FILLED_MARKET_ORDER))
    assert (report.status, report.executed_quote / report.executed) == (OrderStatus.FILLED, Decimal("0.004542"))


def test_a_stop_order_that_a_person_placed_is_open_until_it_has_ended() -> None:
    for number, is_open in ((0, True), (1, True), (2, False), (4, False), (9, True)):
        order = READERS["private.orders"][1]({**p.PRIVATE_ORDER, "orderType": 100, "status": number})
        assert order == ForeignOrder("MXUSDT", p.PRIVATE_ORDER["id"], "", "100", open=is_open)


def test_elements_of_a_batch_are_matched_by_id_and_never_by_position() -> None:
    reply = parse_batch_reply(over_the_wire(p.BATCH))
    assert (reply["hio8279hbdsds"].order_id, reply["123456"].code) == ("1196315350023612316", 30002)


def test_an_element_of_a_batch_that_names_no_order_is_unreadable() -> None:
    with pytest.raises(MalformedReply):
        parse_batch_reply([{"symbol": "BTCUSDT", "orderId": "1", "orderListId": -1}])


def test_only_complete_deposits_and_withdrawals_are_read() -> None:
    assert [n for n in range(1, 13) if parse_deposits([{**p.DEPOSIT, "status": n}])] == [5]
    assert [n for n in range(1, 13) if parse_withdrawals([{**p.WITHDRAWAL, "status": n}])] == [7]
