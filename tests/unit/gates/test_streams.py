"""What a run counts of its streams: rotations and renewals that were survived, and gaps, over restarts of the controller."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from exchange.model import DataSource, Millis
from exchange.stream_life import PRIVATE, Happening, Kind, StreamLife, market_stream
from gates.measure import Tally, metrics
from gates.streams import StreamRun, Streams, observed
from policies.rules import MetricName
from policies.stage import Environment
from policies.values import replace

BTC = market_stream("BTCUSDT")
BEGAN = Millis(1_000_000)
NOTHING = Streams()


def life(*happened: tuple[int, int, Kind, int], down: int | None = None, name: str = BTC) -> StreamLife:
    many = tuple(Happening(number, Millis(at), kind, ms, "cut" if kind is Kind.GAP else "") for number, at, kind, ms in happened)
    return StreamLife(name, many, None if down is None else Millis(down), "" if down is None else "cut")


def counted(*lives: StreamLife, before: Streams = NOTHING, now: int = 2_000_000) -> Streams:
    return observed(before, lives, BEGAN, Millis(now))


def one(streams: Streams) -> StreamRun:
    (found,) = streams.runs
    return found


def test_a_rotation_is_counted_once_however_often_it_is_observed() -> None:
    seen = life((1, 1_100_000, Kind.ROTATED, 40))
    again = counted(seen, before=counted(seen))
    assert (one(again).rotations, one(again).rotation_gap_ms) == (1, 40)


def test_what_happened_before_the_run_does_not_count() -> None:
    run = one(counted(life((1, 900_000, Kind.ROTATED, 40), (2, 990_000, Kind.GAP, 500))))
    assert (run.rotations, run.gaps, run.upto) == (0, 0, 2)


def test_a_gap_that_began_before_the_run_counts_from_its_begin() -> None:
    assert one(counted(life((1, 1_000_300, Kind.GAP, 5_000)))).down_ms == 300


def test_a_run_has_the_rotations_that_all_of_its_streams_survived() -> None:
    twice = life((1, 1_100_000, Kind.ROTATED, 40), (2, 1_200_000, Kind.ROTATED, 7))
    once = life((1, 1_100_000, Kind.ROTATED, 90), name=PRIVATE)
    streams = counted(twice, once)
    assert (streams.rotations, streams.rotation_gap_ms) == (1, 90)


def test_renewals_are_those_of_the_private_stream() -> None:
    streams = counted(life(), life((1, 1_100_000, Kind.RENEWED, 0), (2, 1_200_000, Kind.RENEWED, 0), name=PRIVATE))
    assert streams.renewals == 2


def test_an_open_gap_counts_until_now_and_its_reason_is_kept() -> None:
    run = one(counted(life(down=1_500_000)))
    assert (run.down_until(Millis(1_500_700)), run.down_why, run.gaps) == (700, "cut", 0)


def test_the_time_between_two_processes_is_a_gap_of_every_stream() -> None:
    before = counted(life((1, 1_100_000, Kind.ROTATED, 0)), now=1_200_000).restarted(Millis(1_300_000))
    after = one(counted(life((1, 1_400_000, Kind.GAP, 2_000)), before=before, now=1_400_000))
    assert (after.rotations, after.down_ms, after.longest_gap_why) == (1, 100_000, "the controller was not running")


def test_happenings_of_the_next_process_count_from_its_first() -> None:
    before = counted(life((1, 1_100_000, Kind.ROTATED, 0), (2, 1_150_000, Kind.ROTATED, 0))).restarted(Millis(1_200_000))
    assert one(counted(life((1, 1_300_000, Kind.GAP, 5), (2, 1_400_000, Kind.ROTATED, 0)), before=before)).rotations == 3


def test_coverage_of_a_stream_is_rounded_down() -> None:
    assert one(counted(life((1, 1_500_000, Kind.GAP, 1)))).coverage(3, Millis(1_600_000)) == Decimal("0.666666666666")


@given(st.lists(st.integers(1, 5_000), max_size=20), st.integers(0, 20))
def test_observing_in_two_parts_counts_as_observing_once(gaps: list[int], cut: int) -> None:
    at, happened = int(BEGAN), []
    for number, ms in enumerate(gaps, 1):
        at += ms + 10
        happened.append((number, at, Kind.GAP, ms))
    whole = counted(life(*happened))
    parts = counted(life(*happened), before=counted(life(*happened[:cut]), now=1_500_000))
    assert parts == whole
    assert one(whole).down_ms == sum(gaps)


def tally(streams: Streams) -> dict[MetricName, Decimal | None]:
    begun = Tally.begin(DataSource.LIVE, at=BEGAN, cap_eur=Decimal(10), accelerated=False)
    return {one.name: one.value for one in metrics(replace(begun, streams=streams), Environment.REHEARSAL)}


def test_a_venue_without_streams_has_no_figures_of_them() -> None:
    found = tally(Streams())
    names = (MetricName.STREAM_ROTATIONS, MetricName.LISTEN_KEY_RENEWALS, MetricName.LONGEST_ROTATION_GAP_MS)
    assert [found[name] for name in names] == [None, None, None]


def test_a_stream_that_was_not_rotated_yet_has_no_gap_at_a_rotation() -> None:
    found = tally(counted(life(), life(name=PRIVATE)))
    assert (found[MetricName.STREAM_ROTATIONS], found[MetricName.LONGEST_ROTATION_GAP_MS]) == (0, None)


def test_the_figures_of_streams_by_hand() -> None:
    market = life((1, 1_100_000, Kind.ROTATED, 40), (2, 1_200_000, Kind.ROTATED, 250))
    private = life((1, 1_100_000, Kind.RENEWED, 0), (2, 1_150_000, Kind.ROTATED, 3), name=PRIVATE)
    found = tally(counted(market, private))
    names = (MetricName.STREAM_ROTATIONS, MetricName.LISTEN_KEY_RENEWALS, MetricName.LONGEST_ROTATION_GAP_MS)
    assert [found[name] for name in names] == [1, 1, 250]
