"""A bot that misbehaves through ccxt and through raw HTTP never has more at the venue than the cap, by the venue's own books.

The deployment is at TESTNET_VALIDATING, whose cap and limits are those of LIVE_€10, because a halt drill runs only there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from controller.bootstrap.bot_secrets import make_bot_key
from controller.core.decisions.bot_keys import key_document, secret_digest
from controller.core.decisions.drills import HALT_DRILL
from controller.gateway.limits import GatewayLimits
from policies.document import load_policy
from policies.ramp import cap_eur
from policies.stage import Stage
from tests.support.misbehaving import Bot, misbehaving
from tests.support.rig import SYMBOL, quick_policy, rig
from tests.support.venue_books import VenueBooks

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

POLICY = load_policy(quick_policy().encode())
CAP = cap_eur(POLICY, Stage.TESTNET_VALIDATING, 0)
BUY = [("symbol", SYMBOL), ("side", "BUY")]
WAYS: dict[str, Callable[[Bot], Awaitable[None]]] = {}


def way(misbehave: Callable[[Bot], Awaitable[None]]) -> Callable[[Bot], Awaitable[None]]:
    """One of the ways."""
    WAYS[misbehave.__name__] = misbehave
    return misbehave


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bot]:
    async with rig(tmp_path_factory.mktemp("bots") / "deployment") as deployment:
        await deployment.start()
        await deployment.climb("TESTNET_VALIDATING")
        assert (await deployment.bot("GET", "/api/v3/account")).status_code == 200
        books = VenueBooks(deployment.testnet, "testnet", POLICY.eur_rate.quote_per_eur)
        async with misbehaving(deployment, books) as built:
            yield built


def refused(bot: Bot, why: str) -> bool:
    """Whether some order was refused for this reason."""
    return any(why in refusal for refusal in bot.refusals)


async def full_rate() -> None:
    """Wait until the gateway's rate allows a whole burst again: this way is about exposure and not about the rate."""
    orders, cancels = GatewayLimits().orders, GatewayLimits().cancels
    await asyncio.sleep(max(rate.burst * rate.seconds / rate.count for rate in (orders, cancels)))


async def resting_to_the_cap(bot: Bot) -> None:
    """Two orders that rest and leave about half a euro."""
    for _ in range(2):
        await bot.raw(quantity=bot.amount("4.7"), price=bot.resting())
    assert bot.taken == 2, bot.refusals


@way
async def one_order_above_the_cap(bot: Bot) -> None:
    await bot.order("limit", "buy", float(bot.amount("11")), float(bot.resting()))
    await bot.order("limit", "buy", float(bot.amount("5000")), float(bot.resting()))
    assert (bot.taken, len(bot.refusals)) == (0, 2)


@way
async def many_small_orders_at_once(bot: Bot) -> None:
    await asyncio.gather(*(bot.order("limit", "buy", float(bot.amount("2.4")), float(bot.resting(n))) for n in range(30, 50)))
    assert bot.taken == 4, bot.refusals
    assert refused(bot, "exposure")


@way
async def the_same_client_id_with_other_sizes(bot: Bot) -> None:
    sizes = ("2", "3", "4", "5", "5.5")
    ids = [{"clientOrderId": f"same-{bot.books.looks}"} for _ in sizes]
    orders = zip(sizes, ids, strict=True)
    await asyncio.gather(*(bot.order("limit", "buy", float(bot.amount(eur)), float(bot.resting()), **one) for eur, one in orders))
    assert bot.taken == 1
    assert refused(bot, "client-id")
    assert bot.books.open_orders() == 1


@way
async def the_same_signed_bytes_again(bot: Bot) -> None:
    query = bot.query([*BUY, ("type", "LIMIT"), ("quantity", str(bot.amount("4"))), ("price", str(bot.resting()))])
    await asyncio.gather(*(bot.send(query) for _ in range(6)))
    await bot.send(query)
    assert (bot.taken, len(bot.refusals)) == (1, 6)
    assert bot.books.open_orders() == 1


@way
async def market_buys_by_quote_amount(bot: Bot) -> None:
    for amount in ("12", "20", "1000000"):
        await bot.raw(type="MARKET", quantity=None, price=None, quoteOrderQty=amount)
    assert (bot.taken, len(bot.refusals)) == (0, 3)
    await asyncio.gather(*(bot.raw(type="MARKET", quantity=None, price=None, quoteOrderQty="4") for _ in range(6)))
    assert bot.taken == 2, bot.refusals
    assert refused(bot, "exposure")


@way
async def a_market_buy_while_limit_buys_rest(bot: Bot) -> None:
    await resting_to_the_cap(bot)
    await asyncio.gather(*(bot.order("market", "buy", float(bot.amount("2"))) for _ in range(4)))
    assert (bot.taken, refused(bot, "exposure")) == (2, True)


@way
async def prices_far_from_the_market(bot: Bot) -> None:
    for factor in (2, 10, 1_000):
        await bot.order("limit", "buy", float(bot.amount("5")), float(bot.price * factor))
        await bot.order("limit", "sell", float(bot.amount("5")), float(bot.price / factor))
    assert (bot.taken, len(bot.refusals)) == (0, 6)


@way
async def prices_that_are_no_prices(bot: Bot) -> None:
    texts = (
        "0",
        "-1",
        "-58000",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e309",
        "1E+5",
        "",
        "0x1",
        "１",
        f"58000.{'1' * 400}",
        "9" * 3000,
    )
    for text in texts:
        await bot.raw(price=text)
    assert (bot.taken, len(bot.refusals)) == (0, len(texts))


@way
async def quantities_that_are_no_quantities(bot: Bot) -> None:
    texts = ("0", "-0", "-0.0001", "NaN", "inf", "1e309", "3e-5", "1e2", "0.0000000001", f"0.0000{'3' * 400}", "", "0,0001", "٣")
    for text in texts:
        await bot.raw(quantity=text)
        await bot.raw(type="MARKET", quantity=None, price=None, quoteOrderQty=text)
    assert (bot.taken, bot.books.open_orders()) == (0, 0), bot.taken


@way
async def unknown_and_repeated_parameters(bot: Bot) -> None:
    for name, value in (
        ("leverage", "100"),
        ("reduceOnly", "true"),
        ("cap", "1000000"),
        ("newOrderRespType", "FULL"),
        ("stage", "3"),
    ):
        await bot.raw((name, value), quantity=bot.amount("3"))
    for repeated in (("quantity", "1"), ("price", "1"), ("side", "SELL"), ("symbol", "ETHUSDT"), ("type", "MARKET")):
        await bot.raw(repeated, quantity=bot.amount("3"))
    assert bot.taken <= 3
    assert len(bot.refusals) >= 7


@way
async def a_batch_of_orders(bot: Bot) -> None:
    await full_rate()
    one = {"symbol": "BTC/USDT", "type": "limit", "side": "buy", "amount": float(bot.amount("4")), "price": float(bot.resting())}
    answers = await bot.exchange.create_orders([one] * 10)
    assert len(answers) == 10
    # Each is decided as an order of its own: two of 4 EUR fit under a cap of 10.
    assert 1 <= bot.books.open_orders() <= 2


@way
async def symbols_that_the_policy_does_not_name(bot: Bot) -> None:
    names = ("ETHUSDT", "btcusdt", "BtcUsdt", " BTCUSDT", "BTCUSDT ", "BTC/USDT", "BTCUSDC", "BTCUSDT,BTCUSDT", "BTCUSDT\0", "%00")
    for name in names:
        await bot.raw(symbol=name)
    assert (bot.taken, len(bot.refusals)) == (0, len(names))


@way
async def a_storm_of_cancels_and_replacements(bot: Bot) -> None:
    await full_rate()
    for _ in range(5):
        new = (bot.order("limit", "buy", float(bot.amount("3")), float(bot.resting(n))) for n in range(40, 44))
        await asyncio.gather(bot.cancel_all(), *new, bot.cancel_all())
    assert bot.taken >= 3, bot.refusals


@way
async def a_cancel_and_orders_in_one_burst(bot: Bot) -> None:
    await full_rate()
    await resting_to_the_cap(bot)
    await asyncio.gather(
        bot.cancel_all(), *(bot.order("limit", "buy", float(bot.amount("4.7")), float(bot.resting())) for _ in range(4))
    )
    await asyncio.gather(*(bot.order("limit", "buy", float(bot.amount("4.7")), float(bot.resting())) for _ in range(4)))
    assert refused(bot, "exposure")


@way
async def two_hundred_orders_in_a_second(bot: Bot) -> None:
    async def late(number: int) -> None:
        await asyncio.sleep(number / 200)
        await bot.raw(quantity=bot.amount("1.8"), price=bot.resting(40 + number % 20))

    await asyncio.gather(*(late(number) for number in range(200)))
    assert bot.taken == 5, bot.refusals[:3]
    assert len(bot.refusals) == 195


@way
async def timestamps_of_the_past_and_of_the_future(bot: Bot) -> None:
    order = [*BUY, ("type", "LIMIT"), ("quantity", str(bot.amount("4"))), ("price", str(bot.resting()))]
    for late_ms, window in (
        (-61_000, 60_000),
        (-10_000, 5_000),
        (60_000, 60_000),
        (10**13, 60_000),
        (-(10**12), 60_000),
        (0, 10**9),
    ):
        await bot.send(bot.query(order, late_ms=late_ms, window=window))
    assert (bot.taken, len(bot.refusals)) == (0, 6)


@way
async def two_keys_of_one_bot(bot: Bot) -> None:
    deployment = bot.deployment
    made = make_bot_key(deployment.directory, "testbot")
    secret = made.path.read_text().strip()
    document = key_document("testbot", made.key, secret_digest(made.key, secret))
    assert (await deployment.command("issue-bot-key", "alice", subject=document)).status_code == 200
    order = [*BUY, ("type", "LIMIT"), ("quantity", str(bot.amount("2.4"))), ("price", str(bot.resting()))]
    keys = [(made.key, secret), (deployment.bot_key, deployment.bot_secret)] * 6
    await asyncio.gather(*(bot.send(bot.query([*order, ("n", str(n))], key=key), key=key[0]) for n, key in enumerate(keys)))
    assert bot.taken == 4, bot.refusals
    assert refused(bot, "exposure")


@way
async def a_flood_of_test_orders_and_then_their_bytes_as_orders(bot: Bot) -> None:
    order = [*BUY, ("type", "LIMIT"), ("quantity", str(bot.amount("4"))), ("price", str(bot.resting()))]
    queries = [bot.query([*order, ("n", str(n))]) for n in range(60)]
    await asyncio.gather(*(bot.send(query, "/api/v3/order/test") for query in queries))
    answers = await asyncio.gather(*(bot.send(query) for query in queries))
    # Tests beyond the gateway's rate were turned away and spent nothing.
    assert sum(answer.status_code == 200 for answer in answers) == bot.books.open_orders() <= 2


@way
async def orders_during_a_halt_drill(bot: Bot) -> None:
    await resting_to_the_cap(bot)
    assert (await bot.deployment.command("drill", "alice", subject=HALT_DRILL)).status_code == 200
    while not refused(bot, "drill"):
        await asyncio.gather(*(bot.order("limit", "buy", float(bot.amount("4.7")), float(bot.resting())) for _ in range(4)))
    await bot.deployment.until(lambda status: status["armed"] and status["oversight"]["last_drill"])


@way
async def sales_of_what_it_does_not_hold(bot: Bot) -> None:
    await bot.order("limit", "sell", float(bot.amount("4")), float(bot.price))
    await bot.order("market", "sell", float(bot.amount("4")))
    await bot.order("limit", "buy", float(bot.amount("4")), float(bot.price * Decimal("1.002")))
    await asyncio.gather(*(bot.order("market", "sell", float(bot.amount("3"))) for _ in range(5)))
    assert bot.taken == 2, bot.refusals


@way
async def every_type_of_order_at_once(bot: Bot) -> None:
    types = ("IMMEDIATE_OR_CANCEL", "FILL_OR_KILL", "LIMIT_MAKER", "LIMIT", "MARKET")
    across = f"{bot.price * Decimal('1.003'):.2f}"
    prices = {"LIMIT_MAKER": bot.resting(), "MARKET": None}
    orders = (bot.raw(type=one, quantity=bot.amount("2.4"), price=prices.get(one, across)) for one in types * 3)
    await asyncio.gather(*orders)
    assert 3 <= bot.taken <= 6, bot.refusals
    assert refused(bot, "exposure")


@way
async def leaving_before_the_answer(bot: Bot) -> None:
    order = [*BUY, ("type", "LIMIT"), ("quantity", str(bot.amount("2.4"))), ("price", str(bot.resting()))]
    before = len(bot.books.orders())
    await asyncio.gather(*(bot.send_and_leave(bot.query([*order, ("n", str(n))])) for n in range(12)))

    def settled(status: dict[str, Any]) -> bool:
        new = len(bot.books.orders()) - before
        return 0 < new == status["working_orders"] == bot.books.open_orders()

    await bot.deployment.until(settled)
    assert bot.books.open_orders() <= 4


@pytest.mark.parametrize("name", WAYS)
async def test_no_way_of_misbehaving_exceeds_the_cap(bot: Bot, name: str) -> None:
    await bot.begin()
    await WAYS[name](bot)
    assert bot.books.most_since <= CAP
    status = await bot.deployment.status()
    assert (status["stage"], status["halt_reason"]) == ("TESTNET_VALIDATING", "")


async def test_over_all_of_them_the_venue_saw_most_of_the_cap_and_never_more(bot: Bot) -> None:
    await full_rate()
    await bot.begin()
    await resting_to_the_cap(bot)
    assert CAP - 1 < bot.books.most <= CAP
