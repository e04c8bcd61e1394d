"""One flipped bit anywhere in an export, a bundle or a report is found, and the message names the entry or part and the field."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import pytest

from controller.core import inputs as i
from controller.journal.export import LINES, MANIFEST
from controller.report.offline.bundle import bundle_of, check_bundle
from controller.report.offline.document import open_report
from controller.report.offline.export import check_export
from exchange.errors import IntegrityError
from gates.computed import Statistic
from policies.rules import MetricName
from policies.stage import Stage
from tests.support.desk import Desk
from tests.support.proofs import sizes
from tests.support.reported import entries_of, last_move, measured, report_of, write_export

EVERY = 0
"""So many flips mean one in every byte."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small export: a deployment that started, traded once and was measured."""
    desk = Desk().arm()
    desk.trade(1)
    desk.run(2_000)
    return write_export(entries_of(desk), tmp_path_factory.mktemp("small"))


def flips(data: bytes, wanted: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """The lowest bit of every byte or, if fewer are wanted, any bit of so many."""
    chance = random.Random(seed)
    places = range(len(data)) if wanted == EVERY else sorted(chance.sample(range(len(data)), wanted))
    for place in places:
        bit = 1 if wanted == EVERY else 1 << chance.randrange(8)
        yield place, data[:place] + bytes((data[place] ^ bit,)) + data[place + 1 :]


def message(check: Callable[[], object]) -> str:
    with pytest.raises(IntegrityError) as found:
        check()
    return found.value.message


def every_flip(file: Path, export: Path, wanted: int) -> Iterator[tuple[int, str]]:
    data = file.read_bytes()
    try:
        for place, flipped in flips(data, wanted, 7):
            file.write_bytes(flipped)
            yield place, message(lambda: check_export(export))
    finally:
        file.write_bytes(data)


@pytest.mark.parametrize("wanted", sizes(short=40, long=EVERY))
def test_a_flipped_bit_of_a_line_names_its_entry_and_field(small: Path, wanted: int) -> None:
    ends = list(accumulate(len(line) for line in (small / LINES).read_bytes().splitlines(keepends=True)))
    for place, why in every_flip(small / LINES, small, wanted):
        assert why.startswith(f"entry {bisect_right(ends, place) + 1} "), (place, why)
        assert "field" in why or "its last byte is" in why, (place, why)


@pytest.mark.parametrize("wanted", sizes(short=60, long=EVERY))
def test_a_flipped_bit_of_the_manifest_names_its_field(small: Path, wanted: int) -> None:
    for place, why in every_flip(small / MANIFEST, small, wanted):
        assert why.startswith(MANIFEST), (place, why)
        assert "field" in why, (place, why)


def test_an_intact_export_is_verified_to_its_last_entry(small: Path) -> None:
    checked = check_export(small)
    assert checked.replay.head.seq == checked.manifest.entries == (small / LINES).read_bytes().count(b"\n")


@pytest.mark.parametrize("wanted", sizes(short=15, long=600))
def test_a_flipped_bit_of_a_large_export_is_named(tmp_path: Path, wanted: int) -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.run(30_000)
    export = write_export(entries_of(desk), tmp_path)
    ends = list(accumulate(len(line) for line in (export / LINES).read_bytes().splitlines(keepends=True)))
    for place, why in every_flip(export / LINES, export, wanted):
        assert why.startswith(f"entry {bisect_right(ends, place) + 1} "), (place, why)


def test_statistics_that_the_entries_do_not_give_are_refused(tmp_path: Path) -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    right = write_export(entries_of(measured(desk.fork())), tmp_path)
    assert check_export(right).replay.recomputed == 1
    tally = desk.state.tally
    assert tally is not None
    figures = (Statistic(MetricName.PSR, Decimal(1), 1000, ""),)
    digest, at = tally.series.digest(), desk.state.at
    desk.give(i.StatisticsComputed(tally.started_at, desk.state.seq, at, tally.covered_ms, digest, figures))
    wrong = write_export(entries_of(desk), tmp_path)
    assert "computed again from the journal" in message(lambda: check_export(wrong))


@pytest.fixture(scope="module")
def command() -> tuple[bytes, bytes]:
    """The bundle and the report of an applied command."""
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    report = report_of(entries_of(desk), last_move(desk))
    return bundle_of(report.document["command"]), report.data


@pytest.mark.parametrize("wanted", sizes(short=200, long=EVERY))
def test_a_flipped_bit_of_a_bundle_names_its_field(command: tuple[bytes, bytes], wanted: int) -> None:
    bundle, _ = command
    check_bundle(bundle)
    for place, flipped in flips(bundle, wanted, 7):
        why = message(lambda data=flipped: check_bundle(data))  # type: ignore[misc]
        assert "field" in why, (place, why)


@pytest.mark.parametrize("wanted", sizes(short=60, long=4_000))
def test_a_flipped_bit_of_a_report_names_its_part_or_field(command: tuple[bytes, bytes], wanted: int) -> None:
    _, report = command
    open_report(report)
    for place, flipped in flips(report, wanted, 7):
        why = message(lambda data=flipped: open_report(data))  # type: ignore[misc]
        assert "part " in why or "field" in why, (place, why)
