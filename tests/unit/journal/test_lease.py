"""The times of a lease, in virtual time: for all clocks and network delays, only one controller may place orders."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.journal import lease as terms
from controller.journal.lease import DRIFT_PPM, LANDING_NS, PERMIT_NS, RENEW_NS, SKEW_NS, TERM_NS, Lease, LeaseWatch
from exchange.mexc.rest import RECV_WINDOW
from tests.support.tries import tries

MS = 1_000_000
DRIFT = st.integers(-DRIFT_PPM, DRIFT_PPM)
"""The rate error of a clock in parts per million."""

DELAY = st.integers(0, 6_000).map(lambda ms: ms * MS)


@dataclass(frozen=True)
class Clock:
    """A monotonic clock: it starts at any value and runs slightly fast or slow."""

    offset: int
    ppm: int

    def at(self, true_ns: int) -> int:
        return self.offset + true_ns + true_ns * self.ppm // 1_000_000

    def true(self, ns: int) -> int:
        """When it shows ``ns``, rounded up."""
        return -(-(ns - self.offset) * 1_000_000 // (1_000_000 + self.ppm))


@dataclass(frozen=True)
class Renewal:
    """Sent at a true instant and committed at another; ``confirmed`` when the leader got the answer, or never."""

    sent: int
    committed: int
    confirmed: int | None


@st.composite
def renewals(draw: st.DrawFn) -> list[Renewal]:
    """A leader that sends one renewal at a time, pauses at random, and sometimes gets no answer."""
    found, now = [], 0
    for _ in range(draw(st.integers(1, 12))):
        now += RENEW_NS + draw(st.just(0) | DELAY)
        committed = now + draw(st.just(0) | DELAY)
        confirmed = draw(st.booleans())
        found.append(Renewal(now, committed, committed if confirmed else None))
        now = committed
    return found


def lease_at(made: list[Renewal], true_ns: int) -> Lease:
    """What the server shows: a new lease with every renewal."""
    return Lease(1, str(sum(1 for one in made if one.committed <= true_ns) + 1))


def taken_over_at(made: list[Renewal], standby: Clock, looks: list[tuple[int, int]], until: int) -> int | None:
    """When a standby that polls (pause, then the delay of each way) takes over: the expired lease must still be in force then."""
    watch, now, turn = LeaseWatch(), 0, 0
    while now < until:
        pause, way = looks[turn % len(looks)]
        turn += 1
        now += pause
        shown = lease_at(made, now + way)
        now += 2 * way
        watch.saw(shown, standby.at(now))
        if (over := watch.over(standby.at(now))) is not None:
            now += way
            if lease_at(made, now) == over:
                return now
            now += way
    return None


LOOKS = st.lists(
    st.tuples(st.integers(1, 3_000).map(lambda ms: ms * MS), st.integers(0, 2_000).map(lambda ms: ms * MS)), min_size=1, max_size=6
)


@given(made=renewals(), leader=DRIFT, standby=DRIFT, offsets=st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), looks=LOOKS)
@settings(max_examples=tries(250))
def test_the_old_leaders_orders_are_settled_before_the_new_one_leads(
    made: list[Renewal], leader: int, standby: int, offsets: tuple[int, int], looks: list[tuple[int, int]]
) -> None:
    theirs, ours = Clock(offsets[0], leader), Clock(offsets[1], standby)
    taken = taken_over_at(made, ours, looks, 300_000 * MS)
    assert taken is not None
    for one in made:
        if one.confirmed is not None and one.committed <= taken:
            ends = theirs.true(theirs.at(one.sent) + PERMIT_NS)
            assert ends + LANDING_NS + SKEW_NS <= taken


@given(standby=DRIFT, looks=LOOKS)
@settings(max_examples=tries(30))
def test_no_standby_takes_over_from_a_leader_that_renews(standby: int, looks: list[tuple[int, int]]) -> None:
    steady = [Renewal(at, at, at) for at in range(0, 60_000 * MS, RENEW_NS)]
    slow = [(max(250 * MS, min(pause, 1_000 * MS)), min(way, 500 * MS)) for pause, way in looks]
    assert taken_over_at(steady, Clock(0, standby), slow, 50_000 * MS) is None


def test_the_terms_allow_for_the_largest_clock_drift() -> None:
    fast, slow = 1_000_000 + DRIFT_PPM, 1_000_000 - DRIFT_PPM
    assert PERMIT_NS * fast + (LANDING_NS + SKEW_NS) * 1_000_000 <= TERM_NS * slow


def test_the_landing_time_is_the_receive_window_of_orders() -> None:
    assert LANDING_NS == RECV_WINDOW * MS


def test_a_permit_is_valid_for_more_than_two_renewal_intervals() -> None:
    assert 2 * RENEW_NS < PERMIT_NS < terms.TERM_NS


def test_a_released_lease_is_over_at_once() -> None:
    watch = LeaseWatch()
    assert watch.over(0) is None
    watch.saw(Lease(7, ""), 5)
    assert watch.over(5) == Lease(7, "")


def test_a_lease_is_over_a_whole_term_after_its_last_change() -> None:
    watch, first, second = LeaseWatch(), Lease(1, "1"), Lease(1, "2")
    watch.saw(first, 0)
    watch.saw(second, TERM_NS - 1)
    watch.saw(second, TERM_NS + 5)
    assert watch.over(2 * TERM_NS - 2) is None
    assert watch.over(2 * TERM_NS - 1) == second
    assert watch.unchanged_ns(2 * TERM_NS - 1) == TERM_NS


def test_a_new_epoch_is_a_new_lease() -> None:
    watch = LeaseWatch()
    watch.saw(Lease(1, "1"), 0)
    watch.saw(Lease(2, "1"), TERM_NS)
    assert watch.over(TERM_NS + 1) is None
