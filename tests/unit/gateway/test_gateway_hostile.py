from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.gateway.limits import GatewayLimits
from exchange.wire.signing import encode_params, signature
from tests.support.tries import tries
from tests.unit.gateway.fake_port import START, FakePort
from tests.unit.gateway.gateway_client import ALPHA, BUY, PLENTY, BotClient

BAD_NUMBERS = [
    "NaN", "nan", "Infinity", "-Infinity", "-1", "-0", "+1", "1e5", "1E-3", "1e400", "0x10", "1_0", "1,5", " 1", "1 ", "01", ".5",
    "1.", "1000000000000000000000000000000", "9" * 5_000, "0." + "1" * 5_000, "１", "٣", "1\x00", "true", "null", "[1]", "½",
]  # fmt: skip
BAD_SYMBOLS = [
    "mxusdt", "MX_USDT", "MX/USDT", "MXUSD\u0422", "MXUSDT\u200b", "\ufeffMXUSDT", "MXUSDT\x00", "MXUSDT ", " MXUSDT", "МХUSDT",
    "M" * 5_000, "MXUSDT,MXUSDT", "../MXUSDT", "MXUSDT:USDT", "ＭＸUSDT", "[]", "*", "",
]  # fmt: skip
ODD_PATHS = [
    "/api/v3//order", "//api/v3/order", "/api/v3/./order", "/api/v3/foo/../order", "/api/v3/%6frder", "/api/v3/order%2f",
    "/api/v3/order/", "/api/v3/Order", "/API/V3/order", "/api/v3/order;x=1", "/api/v3/order%00", "/api/v3/order%2e",
    "/api/v2/order", "/", "", "/api/v3/ord\u0435r", "/api/v3/order%20", "/api/v3/order\\",
]  # fmt: skip


def replaced(name: str, value: str) -> list[tuple[str, str]]:
    return [(key, value if key == name else old) for key, old in BUY]


async def expect_refusal(bot: BotClient, params: list[tuple[str, str]]) -> None:
    reply = await bot.signed("POST", "order", params)
    assert 400 <= reply.status_code < 500
    assert set(reply.json()) <= {"code", "msg", "_extend"}
    assert bot.port.heard == []


@pytest.mark.parametrize("name", ["quantity", "price"])
@pytest.mark.parametrize("value", BAD_NUMBERS, ids=range(len(BAD_NUMBERS)))
async def test_a_number_that_is_not_plain_digits_never_reaches_the_port(bot: BotClient, name: str, value: str) -> None:
    await expect_refusal(bot, replaced(name, value))


@pytest.mark.parametrize("value", BAD_SYMBOLS, ids=range(len(BAD_SYMBOLS)))
async def test_a_malformed_symbol_never_reaches_the_port(bot: BotClient, value: str) -> None:
    await expect_refusal(bot, replaced("symbol", value))


@pytest.mark.parametrize(("name", "value"), [("side", "buy"), ("side", "BUY "), ("type", "limit"), ("type", "STOP_LIMIT")])
async def test_a_side_or_type_in_another_spelling_never_reaches_the_port(bot: BotClient, name: str, value: str) -> None:
    await expect_refusal(bot, replaced(name, value))


@pytest.mark.parametrize("value", ["x" * 65, "a\r\nb", "a\x1b[0m", "a\u202eb", "a\u200bb", "\x00", "\ufffd"])
async def test_an_unprintable_or_long_client_id_never_reaches_the_port(bot: BotClient, value: str) -> None:
    await expect_refusal(bot, [*BUY, ("newClientOrderId", value)])


@pytest.mark.parametrize("path", ODD_PATHS)
async def test_a_path_that_differs_by_one_byte_from_an_endpoint_is_not_found(bot: BotClient, path: str) -> None:
    payload = encode_params([*BUY, ("timestamp", str(START))])
    statuses: list[int] = []
    await _raw_asgi(bot, path, f"{payload}&signature={signature(ALPHA.secret, payload)}", statuses)
    assert statuses == [404]
    assert bot.port.heard == []


async def _raw_asgi(bot: BotClient, path: str, query: str, statuses: list[int]) -> None:
    """Straight to the application: an HTTP client would tidy the path up."""
    from urllib.parse import unquote

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    raw = path.encode()
    headers = [(b"host", b"gateway"), (b"x-mexc-apikey", ALPHA.key.encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "root_path": "",
        "path": unquote(path), "raw_path": raw, "query_string": query.encode(), "headers": headers, "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await bot.http._transport.app(scope, receive, send)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"])
async def test_another_method_on_an_endpoints_path_is_not_allowed(bot: BotClient, method: str) -> None:
    reply = await bot.http.request(method, "/api/v3/order", headers={"X-HTTP-Method-Override": "POST"})
    assert reply.status_code == 405


async def test_a_body_that_is_announced_as_too_large_is_refused_unread(bot: BotClient) -> None:
    head = {"X-MEXC-APIKEY": ALPHA.key, "Content-Type": "application/json", "Content-Length": "10000000"}
    reply = await bot.raw("POST", "order", "", headers=head)
    assert (reply.status_code, reply.headers["connection"]) == (413, "close")


async def test_a_body_that_is_found_too_large_is_refused(bot: BotClient) -> None:
    async def endless() -> object:
        while True:
            yield b"a=b&" * 1_000

    reply = await bot.http.post("/api/v3/order", content=endless(), headers={"X-MEXC-APIKEY": ALPHA.key})  # type: ignore[arg-type]
    assert reply.status_code == 413


async def test_a_body_that_does_not_arrive_times_out(port: FakePort) -> None:
    bot = BotClient(port, GatewayLimits(body_seconds=0))

    async def never() -> object:
        yield b"a=b"
        await asyncio.Event().wait()

    reply = await bot.http.post("/api/v3/order", content=never(), headers={"X-MEXC-APIKEY": ALPHA.key})  # type: ignore[arg-type]
    assert reply.status_code == 408


@pytest.mark.parametrize("body", [b'{"symbol":"MXUSDT"}', b"[" * 16_000, b"\xff\xfe", b"\x00" * 100, "símbolo=x".encode()])
async def test_a_body_that_is_not_a_form_is_refused(bot: BotClient, body: bytes) -> None:
    reply = await bot.raw("POST", "order", "", content=body)
    assert reply.status_code == 400
    assert bot.port.heard == []


async def test_a_query_beyond_the_limit_is_refused(bot: BotClient) -> None:
    assert (await bot.public("depth", "x=" + "y" * 20_000)).status_code == 414


async def test_too_many_parameters_are_refused(bot: BotClient) -> None:
    reply = await bot.public("depth", "&".join(f"p{n}=1" for n in range(500)))
    assert (reply.status_code, reply.json()["code"]) == (400, 33333)


async def test_a_key_sent_twice_is_refused(bot: BotClient) -> None:
    reply = await bot.http.get(
        "/api/v3/account", headers=[("X-MEXC-APIKEY", ALPHA.key), ("X-MEXC-APIKEY", "other")]
    )  # joined, they would be a third key
    assert (reply.status_code, reply.json()["code"]) == (400, 33333)


async def test_an_internal_error_is_an_unknown_outcome_without_its_details(port: FakePort) -> None:
    async def broken(bot: str, order: object) -> object:
        raise RuntimeError("secret detail")

    port.place = broken  # type: ignore[assignment,method-assign]
    bot = BotClient(port)
    bot.http._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
    reply = await bot.buy()
    assert (reply.status_code, reply.json()["code"]) == (500, 500)
    assert "secret detail" not in reply.text


TEXT = st.text(max_size=60)
NAMES = st.sampled_from(["symbol", "side", "type", "quantity", "quoteOrderQty", "price", "newClientOrderId", "recvWindow"])


@settings(max_examples=tries(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    params=st.lists(st.tuples(NAMES | TEXT, TEXT), max_size=10), method=st.sampled_from(["GET", "POST", "DELETE"]), data=st.data()
)
def test_every_signed_request_gets_an_answer_in_mexcs_shape(
    params: list[tuple[str, str]], method: str, data: st.DataObject
) -> None:
    path = data.draw(
        st.sampled_from(["order", "order/test", "openOrders", "allOrders", "myTrades", "depth", "tradeFee", "order/all"])
    )

    async def ask() -> None:
        bot = BotClient(FakePort(), PLENTY)
        reply = await bot.signed(method, path, [(name, value) for name, value in params if name != "timestamp"])
        assert reply.status_code in {200, 400, 404, 405, 429}
        if reply.status_code != 200:
            assert {"code", "msg"} <= set(reply.json())

    asyncio.run(ask())


@settings(max_examples=tries(150), deadline=None)
@given(query=st.text(alphabet=st.characters(codec="ascii"), max_size=300) | st.binary(max_size=200).map(quote))
def test_any_unsigned_query_is_refused_and_reaches_nothing(query: str) -> None:
    async def ask() -> None:
        bot, statuses = BotClient(FakePort(), PLENTY), []
        await _raw_asgi(bot, "/api/v3/order", query, statuses)
        assert statuses == [400]
        assert bot.port.heard == []

    asyncio.run(ask())
