from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from controller.gateway.limits import GatewayLimits, ReplayGuard
from controller.gateway.port import BotKey
from controller.serving.throttle import Rate, Throttle
from exchange.model import Millis
from exchange.wire.signing import MAX_FUTURE, encode_params, signature
from policies.limit_types import Deny
from tests.support.fixed_keys import FixedKeys
from tests.unit.gateway.fake_port import START, FakePort
from tests.unit.gateway.gateway_client import ALPHA, BETA, BUY, PLENTY, BotClient

JSON = {"Content-Type": "application/json"}
FORM = "application/x-www-form-urlencoded"


def sign(params: list[tuple[str, str]], bot: BotKey = ALPHA) -> str:
    payload = encode_params(params)
    return f"{payload}&signature={signature(bot.secret, payload)}"


def typed(content_type: str | None) -> dict[str, str]:
    return {"X-MEXC-APIKEY": ALPHA.key} | ({} if content_type is None else {"Content-Type": content_type})


def shown(reply: httpx.Response) -> tuple[int, int]:
    return reply.status_code, reply.json()["code"]


async def test_a_request_without_a_key_is_refused(bot: BotClient) -> None:
    assert shown(await bot.signed("GET", "account", headers={})) == (400, 400)


async def test_an_unknown_key_is_refused(bot: BotClient) -> None:
    assert shown(await bot.signed("GET", "account", headers={"X-MEXC-APIKEY": "mx0nobody"})) == (400, 10072)


async def test_a_malformed_key_is_refused(bot: BotClient) -> None:
    assert shown(await bot.signed("GET", "account", headers={"X-MEXC-APIKEY": "x" * 65})) == (400, 700001)


async def test_another_bots_secret_does_not_sign_for_this_bot(bot: BotClient, port: FakePort) -> None:
    assert shown(await bot.buy(secret=BETA.secret)) == (400, 700002)
    assert port.heard == []


async def test_a_changed_parameter_breaks_the_signature(bot: BotClient, port: FakePort) -> None:
    query = sign([*BUY, ("timestamp", str(START))]).replace("quantity=4", "quantity=400")
    assert shown(await bot.raw("POST", "order", query)) == (400, 700002)
    assert port.heard == []


@pytest.mark.parametrize("query", ["", f"timestamp={START}", "signature=00", "timestamp=now&signature=00"])
async def test_a_request_without_signature_or_time_is_refused(bot: BotClient, query: str) -> None:
    assert shown(await bot.raw("GET", "account", query)) == (400, 700004)


@pytest.mark.parametrize(
    ("age", "window", "code"), [(-1_000, None, 700003), (5_001, None, 700003), (10_001, 10_000, 700003), (0, 60_001, 700005)]
)
async def test_a_request_outside_its_window_is_refused(bot: BotClient, age: int, window: int | None, code: int) -> None:
    asked = [("recvWindow", str(window))] if window is not None else []
    assert shown(await bot.signed("GET", "account", asked, timestamp=START - age)) == (400, code)


@pytest.mark.parametrize("stated", [None, "application/json", "APPLICATION/JSON; charset=utf-8", FORM])
async def test_without_a_body_a_content_type_may_be_missing(bot: BotClient, port: FakePort, stated: str | None) -> None:
    assert (await bot.buy(headers=typed(stated))).status_code == 200
    assert len(port.placed()) == 1


@pytest.mark.parametrize("stated", ["text/plain", "multipart/form-data", "application/jsonx"])
async def test_a_write_with_another_content_type_is_refused(bot: BotClient, port: FakePort, stated: str) -> None:
    assert shown(await bot.buy(headers=typed(stated))) == (400, 700013)
    assert port.heard == []


@pytest.mark.parametrize(("stated", "status"), [(None, 400), ("text/plain", 400), ("application/json", 200), (FORM, 200)])
async def test_a_body_needs_a_content_type(bot: BotClient, stated: str | None, status: int) -> None:
    body = sign([*BUY, ("timestamp", str(START))]).encode()
    assert (await bot.raw("POST", "order", "", content=body, headers=typed(stated))).status_code == status


@pytest.mark.parametrize("stated", [None, FORM])
async def test_a_strict_gateway_takes_nothing_but_json(port: FakePort, stated: str | None) -> None:
    strict = BotClient(port, replace(PLENTY, strict_content_type=True))
    assert shown(await strict.buy(headers=typed(stated))) == (400, 700013)
    assert shown(await strict.signed("DELETE", "order/all", headers=typed(stated))) == (400, 700013)
    assert (await strict.buy()).status_code == 200


async def test_an_order_may_be_sent_in_the_body(bot: BotClient, port: FakePort) -> None:
    body = sign([*BUY, ("timestamp", str(START))]).encode()
    reply = await bot.raw("POST", "order", "", content=body)
    assert reply.status_code == 200
    assert len(port.placed()) == 1


async def test_parameters_in_both_query_and_body_are_refused_even_when_signed(bot: BotClient, port: FakePort) -> None:
    payload = encode_params([*BUY, ("timestamp", str(START))])
    cut = payload.index("4&price")
    query = f"{payload[:cut]}0.0&signature={signature(ALPHA.secret, payload[:cut] + '0.0' + payload[cut:])}"
    assert shown(await bot.raw("POST", "order", query, content=payload[cut:].encode())) == (400, 33333)
    assert port.heard == []


async def test_a_repeated_parameter_is_refused(bot: BotClient, port: FakePort) -> None:
    assert shown(await bot.buy(("quantity", "400"))) == (400, 33333)
    assert port.heard == []


async def test_the_same_signed_order_is_not_accepted_twice(bot: BotClient, port: FakePort) -> None:
    query = sign([*BUY, ("timestamp", str(START))])
    first = await bot.raw("POST", "order", query)
    port.clock = Millis(START + 5_000)
    again = await bot.raw("POST", "order", query.replace("signature=", "&signature="))
    upper_case = await bot.raw("POST", "order", query[:-64] + query[-64:].upper())
    assert first.status_code == 200
    assert [shown(again), shown(upper_case)] == [(400, 700002), (400, 700002)]
    assert len(port.placed()) == 1


async def test_a_repeated_order_with_a_client_id_returns_the_first_order(bot: BotClient, port: FakePort) -> None:
    query = sign([*BUY, ("newClientOrderId", "mine"), ("timestamp", str(START))])
    replies = [await bot.raw("POST", "order", query) for _ in range(2)]
    assert replies[0].json() == replies[1].json()
    assert len(port.orders["alpha"]) == 1


@pytest.mark.parametrize("extra", [(), (("newClientOrderId", "mine"),)])
async def test_a_test_order_spends_its_signature(bot: BotClient, port: FakePort, extra: tuple[tuple[str, str], ...]) -> None:
    query = sign([*BUY, *extra, ("timestamp", str(START))])
    tested = await bot.raw("POST", "order/test", query)
    placed = await bot.raw("POST", "order", query)
    again = await bot.raw("POST", "order/test", query)
    assert tested.status_code == 200
    assert [shown(placed), shown(again)] == [(400, 700002), (400, 700002)]
    assert port.placed() == []


async def test_an_order_spends_its_signature_for_a_test(bot: BotClient) -> None:
    query = sign([*BUY, ("timestamp", str(START))])
    assert (await bot.raw("POST", "order", query)).status_code == 200
    assert shown(await bot.raw("POST", "order/test", query)) == (400, 700002)


@pytest.mark.parametrize("path", ["order", "order/test"])
@pytest.mark.parametrize("extra", [(), (("newClientOrderId", "mine"),), (("recvWindow", "60000"),)])
async def test_nothing_is_taken_that_an_earlier_process_may_have_taken(
    bot: BotClient, port: FakePort, path: str, extra: tuple[tuple[str, str], ...]
) -> None:
    port.started_at, port.clock = START, Millis(START + 2_000)
    last_taken_before = START + MAX_FUTURE
    old = await bot.raw("POST", path, sign([*BUY, *extra, ("timestamp", str(last_taken_before))]))
    new = await bot.raw("POST", path, sign([*BUY, *extra, ("timestamp", str(last_taken_before + 1))]))
    assert (shown(old), new.status_code) == ((400, 700003), 200)


async def test_a_repeated_client_id_gives_the_first_order_after_a_start(bot: BotClient, port: FakePort) -> None:
    query = sign([*BUY, ("newClientOrderId", "mine"), ("timestamp", str(START))])
    first = await bot.raw("POST", "order", query)
    after_the_restart = BotClient(port)
    port.started_at = Millis(START + 100)
    again = await after_the_restart.raw("POST", "order", query)
    assert again.json() == first.json()
    assert len(port.orders["alpha"]) == 1


async def test_a_bot_can_cancel_and_look_right_after_a_start(bot: BotClient, port: FakePort) -> None:
    assert (await bot.buy()).status_code == 200
    port.started_at = port.clock
    assert (await bot.signed("DELETE", "order/all")).status_code == 200
    assert (await bot.signed("GET", "openOrders")).status_code == 200


def test_the_replay_guard_forgets_signatures_outside_their_time_window() -> None:
    guard = ReplayGuard()
    assert guard.first_use("alpha", "aa", Millis(10), Millis(5))
    assert not guard.first_use("alpha", "AA", Millis(10), Millis(10))
    assert guard.first_use("beta", "aa", Millis(10), Millis(10))
    assert guard.first_use("alpha", "aa", Millis(30), Millis(11))
    assert len(guard._expiries) == 1


async def test_a_bot_over_its_rate_gets_429_and_can_still_cancel(port: FakePort) -> None:
    bot = BotClient(port, GatewayLimits(orders=Rate(2, 3)))
    replies = [await bot.buy(("newClientOrderId", f"n{number}")) for number in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert replies[-1].headers["retry-after"] == "1"
    assert (await bot.signed("DELETE", "order/all")).status_code == 200


async def test_one_bots_flood_does_not_limit_another_bot(port: FakePort) -> None:
    bot = BotClient(port, GatewayLimits(orders=Rate(1, 1)))
    assert [(await bot.buy(("newClientOrderId", f"n{n}"))).status_code for n in range(2)] == [200, 429]
    assert (await bot.buy(bot=BETA)).status_code == 200


async def test_forged_requests_do_not_use_up_the_named_bots_rate(port: FakePort) -> None:
    bot = BotClient(port, GatewayLimits(orders=Rate(1, 1), unsigned=Rate(1, 2)))
    forged = [await bot.buy(secret="wrong") for _ in range(3)]
    assert [shown(reply) for reply in forged] == [(400, 700002), (400, 700002), (429, 429)]
    assert (await bot.buy()).status_code == 200


def test_a_throttle_gives_back_one_request_per_interval() -> None:
    throttle = Throttle(Rate(2, 2))
    assert [throttle.admit("a", Millis(at)) for at in (0, 0, 0, 499, 500, 500)] == [0, 0, 1, 1, 0, 1]


def test_a_clock_that_goes_back_does_not_lock_anybody_out() -> None:
    throttle = Throttle(Rate(1, 1))
    assert [throttle.admit("a", Millis(at)) for at in (1_000_000, 0, 0)] == [0, 0, 1]


def test_invented_addresses_cost_no_memory_and_share_one_allowance() -> None:
    throttle = Throttle(Rate(1, 1))
    passed = sum(throttle.admit(f"address-{number}", Millis(0)) == 0 for number in range(10_000))
    assert passed == 4_097
    assert len(throttle._due) == 4_097


async def test_a_controller_that_is_not_ready_places_nothing_and_says_so(port: FakePort) -> None:
    port.is_ready = False
    bot = BotClient(port)
    assert shown(await bot.buy()) == (400, 30016)
    assert shown(await bot.signed("GET", "account")) == (503, 503)
    assert (await bot.public("ping")).status_code == 200
    assert port.heard == []


async def test_a_key_is_valid_from_its_issue_until_its_removal(port: FakePort) -> None:
    keys = FixedKeys()
    bot = BotClient(port, keys=keys)
    assert shown(await bot.buy()) == (400, 10072)
    keys.by_key[ALPHA.key] = ALPHA
    assert (await bot.buy()).status_code == 200
    del keys.by_key[ALPHA.key]
    assert shown(await bot.buy()) == (400, 10072)
    assert len(port.placed()) == 1


async def test_an_order_whose_key_is_revoked_meanwhile_is_refused_as_unknown_key(port: FakePort) -> None:
    port.answer = Deny("bot-key", "", "", "the key was revoked", "Use another.")
    assert shown(await BotClient(port).buy()) == (400, 10072)


def test_a_key_shown_in_a_log_hides_its_secret() -> None:
    assert ALPHA.secret not in repr(ALPHA)
