"""An early signature serves its own order, under its own permit, while its timestamp is fresh; or the order is signed anew."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

import pytest

from exchange.errors import Refused
from exchange.mexc.client import MexcVenue
from exchange.mexc.connect import VenueEndpoint, VenueHost, open_venue
from exchange.mexc.early import USABLE_MS
from exchange.mexc.ratelimit import PLACES_PER_WINDOW, Lane
from exchange.mexc.reach import Reach
from exchange.mexc.signer import LocalSigner
from exchange.model import Millis, OrderIntent, OrderType, Side
from exchange.ports import Ack, Permit, Rejected, VenueName
from tests.unit.mexc.conftest import LIMITS, LivePermit, Request, StubVenue, reply, running

INTENT = OrderIntent("MXUSDT", Side.BUY, OrderType.LIMIT, "gh-1", Decimal(10), None, Decimal(2))
EARLY, LATE = "e" * 64, "l" * 64


class Set:
    """A clock that a test moves."""

    ms = 1_790_000_000_000

    def now(self) -> Millis:
        return Millis(self.ms)

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000


@dataclass
class Asked:
    signature: str | None
    permit: LivePermit
    forgotten: bool = False

    def signed_query(self) -> str | None:
        if not self.permit.live:
            raise Refused("the permit is no longer live", code="permit-not-live", remedy="Wait.")
        return f"early=1&signature={self.signature}" if self.signature else None

    def forget(self) -> None:
        self.forgotten = True


@dataclass
class Signer:
    """Signs early and late with signatures that differ."""

    gives: str | None = EARLY
    asked: list[Asked] = field(default_factory=list)
    late: int = 0
    api_key: str = "mx0key"

    def sign(self, _payload: str) -> str:
        return LATE

    def sign_order(self, _intent: OrderIntent, _payload: str, permit: Permit) -> str:
        if not permit.is_live():
            raise Refused("the permit is no longer live", code="permit-not-live", remedy="Wait.")
        self.late += 1
        return LATE

    def ask_order(self, _intent: OrderIntent, _recv_window: int, _at: Millis, permit: Permit) -> Asked:
        assert isinstance(permit, LivePermit)
        self.asked.append(Asked(self.gives, permit))
        return self.asked[-1]


class Bench:
    """A venue client, its signer, its clock, and what the venue received."""

    def __init__(self, stub: StubVenue) -> None:
        self.stub, self.clock, self.signer, self.permit = stub, Set(), Signer(), LivePermit()
        endpoint = VenueEndpoint(stub.url, "ws://127.0.0.1:9/ws", Reach.LOOPBACK)
        self.host = VenueHost(endpoint, self.clock)
        self.venue: MexcVenue = open_venue(VenueName.TESTNET, endpoint, self.signer, self.clock, Random(7), host=self.host)

    def signatures(self) -> list[str]:
        return [request.params["signature"] for request in self.stub.received("/api/v3/order")]


def answer(request: Request) -> object:
    if request.path == "/api/v3/account":
        return reply({"balances": []})
    return reply({"symbol": "MXUSDT", "orderId": "C02__1"})


@pytest.fixture
async def bench() -> object:
    async with running(answer) as stub:
        made = Bench(stub)
        await made.venue.server_time()
        yield made
        await made.host.aclose()


async def test_an_order_uses_the_signature_that_was_asked_for_early(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    assert isinstance(await bench.venue.place(INTENT, bench.permit), Ack)
    assert (bench.signatures(), bench.signer.late) == ([EARLY], 0)


@pytest.mark.parametrize(
    ("age_ms", "used"), [(0, EARLY), (USABLE_MS, EARLY), (USABLE_MS + 1, LATE), (-1, LATE)], ids=["new", "just", "old", "ahead"]
)
async def test_a_signature_is_used_while_its_timestamp_is_fresh(bench: Bench, age_ms: int, used: str) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    bench.clock.ms += age_ms
    await bench.venue.place(INTENT, bench.permit)
    assert bench.signatures() == [used]
    assert bench.signer.asked[0].forgotten == (used == LATE)


async def test_a_signature_serves_no_other_order_of_that_name(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    await bench.venue.place(replace(INTENT, quantity=Decimal(9)), bench.permit)
    assert (bench.signatures(), bench.signer.asked[0].forgotten) == ([LATE], True)


async def test_a_signature_serves_no_other_permit(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    await bench.venue.place(INTENT, LivePermit(epoch=2))
    assert (bench.signatures(), bench.signer.asked[0].forgotten) == ([LATE], True)


async def test_a_signature_serves_one_placement(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    await bench.venue.place(INTENT, bench.permit)
    await bench.venue.place(INTENT, bench.permit)
    assert bench.signatures() == [EARLY, LATE]


async def test_an_order_without_an_early_answer_is_signed_anew(bench: Bench) -> None:
    bench.signer.gives = None
    bench.venue.prepare(INTENT, bench.permit)
    assert isinstance(await bench.venue.place(INTENT, bench.permit), Ack)
    assert bench.signatures() == [LATE]


async def test_a_permit_that_ended_since_sends_nothing(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    bench.permit.live = False
    assert isinstance(await bench.venue.place(INTENT, bench.permit), Rejected)
    assert (bench.signatures(), bench.signer.late) == ([], 0)


async def test_a_test_order_is_not_sent_with_a_signature_for_an_order(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    await bench.venue.trading.test(INTENT, bench.permit)
    (request,) = bench.stub.received("/api/v3/order/test")
    assert (request.params["signature"], bench.signer.asked[0].forgotten) == (LATE, True)


async def test_nothing_is_asked_early_before_the_venue_s_clock_is_known(bench: Bench) -> None:
    bench.host.venue_clock.forget()
    bench.venue.prepare(INTENT, bench.permit)
    assert bench.signer.asked == []


async def test_nothing_is_asked_early_while_orders_wait_for_the_limits(bench: Bench) -> None:
    for _ in range(PLACES_PER_WINDOW):
        await bench.host.limiter.acquire(Lane.PLACE)
    assert bench.host.limiter.flows(Lane.PLACE)
    bench.host.limiter.answered(429, 1)
    with pytest.raises(Exception, match="held back"):
        await bench.host.limiter.acquire(Lane.PLACE)
    bench.venue.prepare(INTENT, bench.permit)
    assert bench.signer.asked == []
    bench.clock.ms += 2_000
    await bench.host.limiter.acquire(Lane.PLACE)
    bench.venue.prepare(INTENT, bench.permit)
    assert len(bench.signer.asked) == 1


async def test_what_is_never_placed_is_forgotten_in_time(bench: Bench) -> None:
    bench.venue.prepare(INTENT, bench.permit)
    bench.clock.ms += USABLE_MS + 1
    bench.venue.prepare(replace(INTENT, client_id="gh-2"), bench.permit)
    assert [one.forgotten for one in bench.signer.asked] == [True, False]


async def test_a_signer_in_this_process_is_asked_when_the_order_is_placed() -> None:
    async with running(answer) as stub:
        endpoint = VenueEndpoint(stub.url, "ws://127.0.0.1:9/ws", Reach.LOOPBACK)
        venue = open_venue(VenueName.TESTNET, endpoint, LocalSigner("mx0key", "secret", LIMITS), Set(), Random(7))
        await venue.server_time()
        venue.prepare(INTENT, LivePermit())
        assert isinstance(await venue.place(INTENT, LivePermit()), Ack)
        assert len(stub.received("/api/v3/order")) == 1
        await venue.aclose()
