"""Whatever bytes reach the signer, it answers and goes on. It signs no order without a permit, nor what moves money away."""

from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.signer import protocol
from controller.signer.protocol import Kind, PermitFrame, Status
from exchange.mexc.signer import QUERY_PARAMETERS
from tests.unit.signer.signer_kit import EPOCH, LIVE, Desk, buy, payload_of

ORDER_ONLY = {"side", "type", "quantity", "quoteOrderQty", "price", "newClientOrderId", "batchOrders"}
MOVES_MONEY = [
    "coin=USDT&address=TXYZ&amount=10&netWork=TRC20&timestamp=1",
    "asset=USDT&fromAccountType=SPOT&toAccountType=FUTURES&amount=5&timestamp=1",
    "fromAccount=a&toAccount=b&asset=USDT&amount=5&timestamp=1",
    "subAccount=x&note=n&permissions=SPOT_WITHDRAW_WRITE&timestamp=1",
    "subAccount=x&apiKey=mx0&timestamp=1",
    "toAccountType=EMAIL&toAccount=a%40b.c&asset=USDT&amount=5&timestamp=1",
    "coin=USDT&network=TRC20&timestamp=1",
    "asset=BTC&timestamp=1",
    "mxDeductEnable=true&timestamp=1",
    "id=1&timestamp=1",
]
"""The parameters of MEXC's withdrawal, transfer, convert, deposit address, sub-account and key calls."""

NAMES = st.sampled_from([*sorted(QUERY_PARAMETERS), *sorted(ORDER_ONLY), "coin", "address", "amount", "asset", "%73ide", "si\tde"])
VALUES = st.text(alphabet="AB1.,;&=%+ \x00\r\n/-_73sideé", max_size=12)
QUERIES = st.lists(st.tuples(NAMES, VALUES), max_size=5).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A signer at LIVE_€10, so that an order would be signed if a permit came with it."""
    with TemporaryDirectory() as place:
        made = Desk(Path(place), buys_most=100_000)
        made.to_live()
        yield made


def answered(desk: Desk, message: bytes) -> tuple[int, bytes]:
    status, _, body = protocol.read_answer(desk.service.answer(message))
    assert len(body) <= 8192 - 5
    return status, body


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_answered_and_sign_nothing(desk: Desk, message: bytes) -> None:
    status, body = answered(desk, message)
    if status == Status.DONE:
        assert len(body) != protocol.SIGNATURE_LENGTH


@given(kind=st.sampled_from(Kind), venue=st.integers(0, 255), number=st.integers(0, 2**32 - 1), body=st.binary(max_size=300))
def test_a_framed_request_with_any_body_signs_no_order(desk: Desk, kind: Kind, venue: int, number: int, body: bytes) -> None:
    if kind is not Kind.LEAD:
        status, answer = answered(desk, protocol.request(kind, venue, number, body))
        if kind in {Kind.ORDER, Kind.COMMAND}:
            assert status == Status.REFUSED, answer


@given(QUERIES)
def test_what_is_signed_as_a_query_has_no_parameter_of_anything_else(desk: Desk, payload: str) -> None:
    status, _ = answered(desk, protocol.request(Kind.QUERY, LIVE, 1, payload.encode()))
    if status == Status.DONE:
        for separator in "&", ";":
            names = [name for name, _ in parse_qsl(payload, keep_blank_values=True, separator=separator)]
            assert QUERY_PARAMETERS.issuperset(names)
            assert len(names) == len(set(names))


@pytest.mark.parametrize("payload", MOVES_MONEY)
def test_withdrawals_transfers_and_key_calls_are_never_signed(desk: Desk, payload: str) -> None:
    assert answered(desk, protocol.request(Kind.QUERY, LIVE, 1, payload.encode()))[0] == Status.REFUSED
    permit = PermitFrame(EPOCH, 1, desk.clock.ns + 1_000_000_000)
    order = payload_of(buy(), f"&{payload}")
    assert answered(desk, protocol.request(Kind.ORDER, LIVE, 1, protocol.order_body(permit, order)))[0] == Status.REFUSED


@given(st.text(alphabet="&;=%+ \x00\n1aAé", min_size=1, max_size=20), st.integers(0, 200))
def test_an_order_with_anything_else_in_it_is_not_signed(desk: Desk, extra: str, at: int) -> None:
    desk.clock.pass_ms(1000)
    payload = payload_of(buy())
    at = min(at, len(payload))
    altered = payload[:at] + extra + payload[at:]
    body = protocol.order_body(PermitFrame(EPOCH, 1, desk.clock.ns + 1_000_000_000), altered)
    status, _ = answered(desk, protocol.request(Kind.ORDER, LIVE, 1, body))
    names = [name for name, _ in parse_qsl(altered, keep_blank_values=True)]
    if status == Status.DONE:
        assert names == [name for name, _ in parse_qsl(payload)]
        assert not set(extra) & set("&;=%+ \x00\né")


@given(st.text(max_size=400))
def test_an_envelope_of_any_text_grants_nothing(desk: Desk, text: str) -> None:
    before = desk.grants.cap_eur
    assert answered(desk, protocol.request(Kind.COMMAND, LIVE, 1, text.encode("utf-8", "surrogatepass")))[0] == Status.REFUSED
    assert desk.grants.cap_eur == before
