"""The rate limits, the venue's clock, the signer and the reach: the checks before a request is sent."""

import asyncio
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import ConfigError, Refused, VenueError
from exchange.mexc.clock import Sample, VenueClock, estimate
from exchange.mexc.connect import PRODUCTION, VenueEndpoint, open_feed, open_venue
from exchange.mexc.http import HttpTransport, Method
from exchange.mexc.ratelimit import (
    ALL_PER_WINDOW,
    HISTORY_PER_WINDOW,
    LOCK_OUT,
    ORDERS_PER_WINDOW,
    PROBE_EVERY,
    QUERIES_KEPT,
    SECOND,
    SETTLE,
    Grant,
    HeldBack,
    Lane,
    Limits,
    LockOut,
    RateLimiter,
)
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner, SignerLimits
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.ports import VenueName
from exchange.wire.orders import order_params
from exchange.wire.signing import encode_params, signature
from tests.support.permits import Leaving

INTENT = OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", quantity=Decimal(10), price=Decimal(2))


class FakeClock:
    def __init__(self) -> None:
        self.ns = 5 * SECOND

    def now(self) -> Millis:
        return Millis(1_700_000_000_000 + self.ns // 1_000_000)

    def monotonic_ns(self) -> int:
        return self.ns


class Permit(Leaving):
    def __init__(self, *, live: bool = True) -> None:
        self.live = live
        self.epoch = 1

    def is_live(self) -> bool:
        return self.live


def granted(steps: list[tuple[Lane, int]]) -> list[tuple[Lane, int]]:
    """Ask for each lane after each gap of nanoseconds; returns the grants and their times."""
    limits, now, through = Limits(), 0, []
    for lane, gap in steps:
        now += gap
        if limits.take(lane, now) == 0:
            through.append((lane, now))
    return through


STEPS = st.lists(st.tuples(st.sampled_from(list(Lane)), st.sampled_from([0, 1, SECOND // 50, SECOND // 7])), max_size=200)


@given(STEPS)
def test_no_second_has_more_requests_than_the_venues_limits(steps: list[tuple[Lane, int]]) -> None:
    through = granted(steps)
    for _, start in through:
        inside = [lane for lane, at in through if start <= at <= start + SECOND]
        assert len(inside) <= ALL_PER_WINDOW
        assert sum(lane in {Lane.PLACE, Lane.CANCEL} for lane in inside) <= ORDERS_PER_WINDOW


@given(st.lists(st.tuples(st.sampled_from([0, SECOND // 50]), st.sampled_from([0, SETTLE])), min_size=20, max_size=60))
def test_no_second_at_the_venue_has_too_many_orders_despite_delays(sends: list[tuple[int, int]]) -> None:
    limits, now = Limits(), 0
    on_their_way: list[tuple[int, Grant]] = []
    arrivals: list[int] = []
    for gap, delay in sends:
        now, grant = now + gap, Grant()
        while (wait := limits.take(Lane.PLACE, _answered(on_their_way, now), grant)) > 0:
            now += wait
        on_their_way.append((now + delay, grant))
        arrivals.append(now + delay)
    assert max(sum(start <= at <= start + SECOND for at in arrivals) for start in arrivals) <= ORDERS_PER_WINDOW


def _answered(on_their_way: list[tuple[int, Grant]], now: int) -> int:
    for arrival, grant in on_their_way:
        if arrival <= now:
            grant.answered(arrival)
    on_their_way[:] = [one for one in on_their_way if one[0] > now]
    return now


@given(STEPS.map(lambda steps: [(lane, gap) for lane, gap in steps if lane is not Lane.CANCEL]))
def test_three_cancels_pass_at_once_while_other_lanes_are_full(steps: list[tuple[Lane, int]]) -> None:
    limits, now = Limits(), 0
    for lane, gap in steps:
        now += gap
        limits.take(lane, now)
    assert [limits.take(Lane.CANCEL, now) for _ in range(3)] == [0, 0, 0]


@given(st.sampled_from(list(Lane)), STEPS)
def test_after_the_stated_wait_the_lane_is_open(lane: Lane, steps: list[tuple[Lane, int]]) -> None:
    limits, now = Limits(), 0
    for other, gap in steps:
        now += gap
        limits.take(other, now)
    wait = limits.take(lane, now)
    assert limits.take(lane, now + wait) == 0 or wait == 0


@pytest.mark.parametrize(
    ("status", "retry_after", "pause"), [(429, 30, 30 * SECOND), (429, None, SECOND), (418, None, LOCK_OUT), (403, 5, 5 * SECOND)]
)
def test_a_pause_lasts_exactly_as_long_as_the_venue_says(status: int, retry_after: int | None, pause: int) -> None:
    limits = Limits()
    limits.answered(status, retry_after, 0)
    with pytest.raises(HeldBack):
        limits.take(Lane.PLACE, pause - 1)
    assert limits.take(Lane.PLACE, pause) == 0


@pytest.mark.parametrize("status", [200, 400, 401, 500, 503])
def test_other_replies_cause_no_pause(status: int) -> None:
    limits = Limits()
    limits.answered(status, 30, 0)
    assert limits.take(Lane.PLACE, 1) == 0


def test_in_a_lock_out_one_cancel_at_a_time_still_probes() -> None:
    limits = Limits()
    limits.answered(418, None, 0)
    assert limits.take(Lane.CANCEL, 1) == 0
    with pytest.raises(HeldBack):
        limits.take(Lane.CANCEL, 2)
    assert limits.take(Lane.CANCEL, 1 + PROBE_EVERY) == 0


def test_a_lock_out_is_reported_once_and_ends_on_time() -> None:
    clock, reported = FakeClock(), list[LockOut]()
    limiter = RateLimiter(clock, on_lockout=reported.append)
    limiter.answered(429, 1)
    assert limiter.lockout is None
    limiter.answered(418, 120)
    limiter.answered(403, 60)
    assert [(one.status, one.seconds) for one in reported] == [(418, 120)]
    assert limiter.lockout is not None
    clock.ns += 120 * SECOND
    assert limiter.lockout is None


def test_account_queries_have_two_a_second() -> None:
    limits = Limits()
    assert [limits.take(Lane.ACCOUNT, 0) == 0 for _ in range(3)] == [True, True, False]


@given(STEPS.map(lambda steps: [(lane, gap) for lane, gap in steps if lane not in {Lane.MARKET, Lane.CANCEL}]))
def test_a_book_is_repaired_at_once_while_orders_and_queries_wait(steps: list[tuple[Lane, int]]) -> None:
    limits, now = Limits(), 0
    for lane, gap in steps:
        now += gap
        limits.take(lane, now)
    assert limits.take(Lane.MARKET, now) == 0


async def test_a_queue_of_orders_never_delays_a_cancel() -> None:
    limiter = RateLimiter(FakeClock())
    orders = [asyncio.create_task(limiter.acquire(Lane.PLACE)) for _ in range(40)]
    await asyncio.sleep(0)
    await asyncio.wait_for(limiter.acquire(Lane.CANCEL), timeout=1)
    assert sum(order.done() for order in orders) < 40
    for order in orders:
        order.cancel()
    await asyncio.gather(*orders, return_exceptions=True)


def test_a_slow_exchange_does_not_move_the_clock() -> None:
    quick = [Sample(n * 100, n * 100 + 10, Millis(1)) for n in range(4)]
    slow = Sample(1_000, 900_000_000, Millis(1))
    assert estimate([*quick, slow]).offset == estimate(quick).offset
    assert estimate([*quick, slow]).uncertainty == 5


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(1, 50), min_size=1, max_size=9))
def test_the_estimates_error_is_within_its_uncertainty_and_one_ms(offset: int, trips: list[int]) -> None:
    samples, now = [], 10**13
    for trip in trips:
        sent, answered = now, now + trip * 1_000_000
        samples.append(Sample(sent, answered, Millis((sent + offset + trip * 300_000) // 1_000_000)))
        now = answered
    measured = estimate(samples)
    assert abs(measured.offset - offset) <= measured.uncertainty + 1_000_000


def sample(source: FakeClock, offset_ms: int, trip_ms: int = 10) -> Sample:
    sent = source.ns
    source.ns += trip_ms * 1_000_000
    return Sample(sent, source.ns, Millis((sent + source.ns) // 2_000_000 + offset_ms))


def test_the_venues_time_advances_between_measurements_with_its_age() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    clock.observe(sample(source, 42_000))
    source.ns += 3 * SECOND
    assert (clock.now(), clock.age_ns) == (42_000 + source.ns // 1_000_000, 3 * SECOND)
    reading = clock.reading
    assert reading is not None
    assert (reading.offset_ms, reading.age_ms) == (source.now() - clock.now(), 3_000)


def test_a_single_slow_sample_hardly_changes_the_venues_time() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    for offset in (100, 101, 99, 100, 109, 100):
        clock.observe(sample(source, offset))
    assert clock.now() == source.ns // 1_000_000 + 100


def test_a_clock_that_was_set_is_accepted_at_once() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    for _ in range(5):
        clock.observe(sample(source, 100))
    clock.observe(sample(source, 30_100))
    assert clock.now() == source.ns // 1_000_000 + 30_100


def test_the_quickest_sample_wins_and_says_how_wrong_it_can_be() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    for trip, offset in ((200, 90), (10, 100), (100, 140)):
        clock.observe(sample(source, offset, trip))
    reading = clock.reading
    assert reading is not None
    assert clock.now() == source.ns // 1_000_000 + 100
    # Half of its round trip, a tenth of a millisecond of drift, and the rounding; the newest sample agrees with it.
    assert (reading.uncertainty_ms, reading.age_ms) == (7, 0)
    source.ns += 19 * SECOND
    reading = clock.reading
    assert reading is not None
    assert (reading.uncertainty_ms, reading.age_ms) == (26, 19_000)


def test_a_quick_sample_that_is_old_no_longer_counts() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    clock.observe(sample(source, 100, 10))
    source.ns += 21 * SECOND
    clock.observe(sample(source, 104, 60))
    assert clock.now() == source.ns // 1_000_000 + 104


def test_an_uneven_round_trip_is_an_uncertainty() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    sent = source.ns
    source.ns += 2_100_000_000
    clock.observe(Sample(sent, source.ns, Millis(source.now() - 2_000)))
    reading = clock.reading
    assert reading is not None
    assert (reading.offset_ms, reading.uncertainty_ms) == (950, 1051)


def test_a_sample_answered_before_it_was_sent_measures_nothing() -> None:
    source = FakeClock()
    clock = VenueClock(source)
    clock.observe(Sample(source.ns, source.ns - 400_000_000, Millis(5)))
    assert (clock.reading, clock.uncertainty_ns) == (None, None)
    clock.observe(sample(source, 100))
    before = clock.now() - source.now()
    clock.observe(Sample(source.ns, source.ns - 400_000_000, Millis(source.now() + 700)))
    reading = clock.reading
    assert reading is not None
    assert (clock.now() - source.now(), reading.uncertainty_ms) == (before, 6)


def test_an_unmeasured_clock_raises_instead_of_guessing() -> None:
    clock = VenueClock(FakeClock())
    assert (clock.age_ns, clock.reading, clock.uncertainty_ns) == (None, None, None)
    with pytest.raises(VenueError):
        clock.now()


def signer(limit: str = "100") -> LocalSigner:
    return LocalSigner("mx0vgl-key", "very-secret", SignerLimits(frozenset({"MXUSDT"}), Decimal(limit)))


def payload_of(intent: OrderIntent, extra: str = "&timestamp=1") -> str:
    return encode_params(order_params(intent)) + extra


def test_an_order_within_the_limits_is_signed_as_mexc_wants() -> None:
    payload = payload_of(INTENT)
    assert signer().sign_order(INTENT, payload, Permit()) == signature("very-secret", payload)


@pytest.mark.parametrize(
    ("intent", "payload", "live", "code"),
    [
        (INTENT, payload_of(INTENT), False, "permit-not-live"),
        (OrderIntent("BTCUSDT", Side.BUY, OrderType.LIMIT, "g", Decimal(1), None, Decimal(1)), "", True, "signer-symbol"),
        (
            OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", Decimal("50.01"), None, Decimal(2)),
            None,
            True,
            "signer-notional",
        ),
        (OrderIntent("MXUSDT", Side.BUY, OrderType.MARKET, "gh-1", None, Decimal("100.01")), None, True, "signer-notional"),
        (OrderIntent("MXUSDT", Side.BUY, OrderType.MARKET, "gh-1", Decimal(1)), None, True, "signer-notional"),
        (INTENT, payload_of(INTENT).replace("quantity=10", "quantity=1000"), True, "signer-payload"),
        (INTENT, payload_of(INTENT).replace("gh-1", "gh-2"), True, "signer-payload"),
        (INTENT, payload_of(INTENT, "&batchOrders=%5B%5D&timestamp=1"), True, "signer-payload"),
        (INTENT, "timestamp=1", True, "signer-payload"),
    ],
)
def test_every_other_order_is_refused(intent: OrderIntent, payload: str | None, live: bool, code: str) -> None:
    with pytest.raises(Refused) as caught:
        signer().sign_order(intent, payload_of(intent) if payload is None else payload, Permit(live=live))
    assert caught.value.code == code


class ExitPermit(Permit):
    client_id = "gh-1"


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (OrderIntent("MXUSDT", Side.SELL, OrderType.IMMEDIATE_OR_CANCEL, "gh-1", Decimal(10), None, Decimal(2)), ""),
        (
            OrderIntent("MXUSDT", Side.BUY, OrderType.IMMEDIATE_OR_CANCEL, "gh-1", Decimal(10), None, Decimal(2)),
            "signer-other-order",
        ),
        (
            OrderIntent("MXUSDT", Side.SELL, OrderType.IMMEDIATE_OR_CANCEL, "gh-2", Decimal(10), None, Decimal(2)),
            "signer-other-order",
        ),
    ],
)
def test_a_permit_for_one_sale_signs_that_sale_and_no_other_order(intent: OrderIntent, code: str) -> None:
    if not code:
        assert signer().sign_order(intent, payload_of(intent), ExitPermit())
        return
    with pytest.raises(Refused) as caught:
        signer().sign_order(intent, payload_of(intent), ExitPermit())
    assert caught.value.code == code


def test_selling_what_is_held_at_market_needs_no_price() -> None:
    sell = OrderIntent("MXUSDT", Side.SELL, OrderType.MARKET, "gh-1", Decimal(10**6))
    assert signer().sign_order(sell, payload_of(sell), Permit())


@pytest.mark.parametrize("payload", [payload_of(INTENT), "batchOrders=%5B%5D&timestamp=1", "side=SELL", "%73ide=BUY"])
def test_an_order_cannot_be_signed_as_a_query(payload: str) -> None:
    with pytest.raises(Refused):
        signer().sign(payload)


def test_queries_and_cancels_are_signed_without_a_permit() -> None:
    payload = "symbol=MXUSDT&origClientOrderId=gh-1&timestamp=1"
    assert signer().sign(payload) == signature("very-secret", payload)


@pytest.mark.parametrize(("key", "secret"), [("", "s"), ("k", ""), ("k\n", "s"), ("k", "s "), ("ké", "s")])
def test_a_badly_copied_key_is_refused_without_showing_it(key: str, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LocalSigner(key, secret, SignerLimits(frozenset(), Decimal(1)))
    assert "ké" not in caught.value.message


def test_the_secret_is_in_no_text_a_signer_gives() -> None:
    texts = [repr(signer()), str(signer()), f"{signer()!r:>50}"]
    with pytest.raises(Refused) as caught:
        signer().sign("side=BUY")
    assert not any("very-secret" in text for text in [*texts, str(caught.value)])


@pytest.mark.parametrize(
    "url",
    [
        "https://api.mexc.com", "http://192.168.1.1", "http://example.com", "http://127.0.0.1.example.com", "http://0.0.0.0:80",
        "ftp://127.0.0.1", "http://user:pw@127.0.0.1", "http://[::ffff:8.8.8.8]", "", "http://", "//127.0.0.1", "http://127.0.0.1:99999",
    ],
)  # fmt: skip
def test_a_rehearsal_reaches_loopback_only(url: str) -> None:
    with pytest.raises(Refused):
        HttpTransport(url, Reach.LOOPBACK)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8710", "http://localhost:8710", "http://[::1]:8710", "ws://127.0.0.2/ws", "https://127.0.0.1"]
)
def test_loopback_is_reachable_in_rehearsal(url: str) -> None:
    Reach.LOOPBACK.check(url)


@pytest.mark.parametrize(
    "url",
    ["http://api.mexc.com", "ws://wbs-api.mexc.com/ws", "https://wbs-api.mexc.com", "https://api.mexc.com.evil.io",
     "https://api.mexc.com:8443", "https://127.0.0.1", "https://www.mexc.com"],
)  # fmt: skip
def test_production_reaches_mexcs_two_hosts_secured_and_nothing_else(url: str) -> None:
    with pytest.raises(Refused):
        Reach.MEXC.check(url)


def test_production_addresses_are_within_their_reach() -> None:
    Reach.MEXC.check(PRODUCTION.rest_url)
    Reach.MEXC.check(PRODUCTION.stream_url)


@pytest.mark.parametrize(
    "endpoint",
    [
        VenueEndpoint("https://api.mexc.com", "ws://127.0.0.1/ws", Reach.LOOPBACK),
        VenueEndpoint("http://127.0.0.1", "wss://wbs-api.mexc.com/ws", Reach.LOOPBACK),
    ],
)
def test_a_rehearsal_venue_and_feed_refuse_the_real_hosts_when_built(endpoint: VenueEndpoint) -> None:
    with pytest.raises(Refused):
        open_venue(VenueName.TESTNET, endpoint, signer(), FakeClock(), Random(1))
    with pytest.raises(Refused):
        open_feed(["MXUSDT"], endpoint, FakeClock(), Random(1))


async def test_a_path_cannot_lead_a_request_to_another_host() -> None:
    transport = HttpTransport("http://127.0.0.1", Reach.LOOPBACK)
    with pytest.raises(Refused):
        await transport.send(Method.GET, "@example.com/")
    await transport.aclose()


def storm(lane: Lane | None, seconds: int, *, beside: list[tuple[Lane, int]]) -> list[tuple[Lane, int]]:
    """Bots ask for candles all the time, and other requests are sent at their times; returns when each of the others passed."""
    limits, step, passed = Limits(), SECOND // 200, list[tuple[Lane, int]]()
    waiting = sorted(beside, key=lambda one: one[1])
    for now in range(0, seconds * SECOND, step):
        if lane is not None:
            limits.take(lane, now)
        for other in [one for one in waiting if one[1] <= now]:
            if limits.take(other[0], now) == 0:
                waiting.remove(other)
                passed.append((other[0], now - other[1]))
    assert not waiting
    return passed


@given(
    st.lists(
        st.tuples(st.sampled_from([Lane.PLACE, Lane.CANCEL, Lane.EMPTYING, Lane.MARKET]), st.integers(0, 2 * SECOND)), max_size=30
    )
)
def test_a_storm_of_candles_delays_no_order_and_no_cancel(beside: list[tuple[Lane, int]]) -> None:
    assert storm(Lane.HISTORY, 9, beside=beside) == storm(None, 9, beside=beside)


@given(st.integers(0, SECOND))
def test_a_storm_of_candles_leaves_room_for_a_sweep_at_once(at: int) -> None:
    sweep = [(Lane.QUERY, at), (Lane.QUERY, at), (Lane.ACCOUNT, at), (Lane.ACCOUNT, at)]
    assert [waited <= SECOND // 200 for _, waited in storm(Lane.HISTORY, 3, beside=sweep)] == [True] * QUERIES_KEPT


@given(STEPS)
def test_candles_are_asked_for_at_most_twice_a_second(steps: list[tuple[Lane, int]]) -> None:
    history = [at for lane, at in granted(steps) if lane is Lane.HISTORY]
    assert all(sum(start <= at <= start + SECOND for at in history) <= HISTORY_PER_WINDOW for start in history)


def test_candles_wait_while_queries_are_many() -> None:
    limits = Limits()
    assert [limits.take(Lane.QUERY, 0) for _ in range(3)] == [0, 0, 0]
    wait = limits.take(Lane.HISTORY, 0)
    assert wait > 0
    assert limits.take(Lane.HISTORY, wait) == 0
