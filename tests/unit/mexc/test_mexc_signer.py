"""What may be signed at all: an allow-list of parameters for queries, and one form for orders. Both signers use these checks."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import Refused
from exchange.mexc.signer import LocalSigner, SignerLimits, check_query, check_same, read_order
from exchange.model import OrderIntent, OrderType, Side
from exchange.wire.orders import order_params
from exchange.wire.signing import encode_params
from tests.support.permits import Leaving

STAMP = "&recvWindow=5000&timestamp=1790000000000"
AMOUNTS = st.decimals(min_value="0.00000001", max_value="99999999999", places=8)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)
LIMITED = st.sampled_from([kind for kind in OrderType if kind is not OrderType.MARKET])
SYMBOLS = st.from_regex(r"[A-Z0-9]{2,30}", fullmatch=True)
ORDERS = st.one_of(
    st.builds(OrderIntent, SYMBOLS, st.sampled_from(Side), LIMITED, IDS, AMOUNTS, st.none(), AMOUNTS),
    st.builds(OrderIntent, SYMBOLS, st.sampled_from(Side), st.just(OrderType.MARKET), IDS, AMOUNTS),
    st.builds(OrderIntent, SYMBOLS, st.sampled_from(Side), st.just(OrderType.MARKET), IDS, st.none(), AMOUNTS),
)
INTENT = OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", Decimal(10), None, Decimal(2))


def payload_of(intent: OrderIntent) -> str:
    return encode_params(order_params(intent)) + STAMP


@given(ORDERS)
def test_an_order_that_the_client_writes_is_read_back(intent: OrderIntent) -> None:
    assert read_order(payload_of(intent)) == intent
    check_same(intent, payload_of(intent))


@given(ORDERS, ORDERS)
def test_an_order_is_not_taken_for_another(intent: OrderIntent, other: OrderIntent) -> None:
    if other != intent:
        with pytest.raises(Refused):
            check_same(intent, payload_of(other))


@pytest.mark.parametrize(
    "changes",
    [{"price": None}, {"quantity": None}, {"quote_quantity": Decimal(3)}, {"type": OrderType.MARKET}],
    ids=["no price", "no quantity", "an amount to spend as well", "a price for MARKET"],
)
def test_an_order_with_amounts_that_do_not_fit_its_type_is_not_read(changes: dict[str, Decimal | None]) -> None:
    with pytest.raises(Refused) as caught:
        read_order(payload_of(replace(INTENT, **changes)))  # type: ignore[arg-type]
    assert caught.value.code == "signer-payload"


@pytest.mark.parametrize(
    "payload",
    [
        "symbol=MXUSDT&recvWindow=5000&timestamp=1",
        "symbol=MXUSDT%2CBTCUSDT&timestamp=1",
        "symbol=MXUSDT&orderId=C02__4437&recvWindow=5000&timestamp=1",
        "symbol=MXUSDT&startTime=1&endTime=2&limit=100&timestamp=1",
        "listenKey=pqia91ma%2B19a5s%2F61%3D&timestamp=1",
        "timestamp=1",
        f"id={'0' * 32}{STAMP}",
    ],
)
def test_every_query_and_cancel_of_the_client_is_signed(payload: str) -> None:
    check_query(payload)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "timestamp",
        f"id={'0' * 31}1{STAMP}",
        f"id={'0' * 32}&coin=USDT{STAMP}",
        f"coin=USDT&id={'0' * 32}{STAMP}",
        f"id={'0' * 32}{STAMP}&amount=1",
        "timestamp=1&",
        "timestamp=1&timestamp=2",
        "timestamp=1;side=BUY",
        "timestamp=1%3Bside%3DBUY",
        "timestamp=1&coin=USDT",
        "timestamp=1&Symbol=X",
        "timestamp=1\n",
        "timestamp=1&symbol=" + "A" * 3000,
    ],
)
def test_every_other_form_is_refused(payload: str) -> None:
    with pytest.raises(Refused) as caught:
        check_query(payload)
    assert caught.value.code == "signer-parameter"


def test_a_permit_for_one_sale_signs_no_other_order() -> None:
    class Permit(Leaving):
        epoch, client_id = 1, "gh-exit"

        def is_live(self) -> bool:
            return True

    signer = LocalSigner("mx0key", "secret", SignerLimits(frozenset({"MXUSDT"}), Decimal(100)))
    way_out = replace(INTENT, side=Side.SELL, client_id="gh-exit")
    assert signer.sign_order(way_out, payload_of(way_out), Permit())
    for other in replace(way_out, client_id="gh-1"), replace(way_out, side=Side.BUY):
        with pytest.raises(Refused) as caught:
            signer.sign_order(other, payload_of(other), Permit())
        assert caught.value.code == "signer-other-order"
