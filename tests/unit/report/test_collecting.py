"""What a report says of a journal: the product's own figures, and nothing where nothing was measured."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from controller.core import events as e
from controller.core import inputs as i
from controller.core.event_codec import encode
from controller.journal.chain import Head, Record, seal
from controller.report.collect import Collector
from controller.report.document import document, simulated
from controller.report.reading import report_of as read_report
from exchange.errors import IntegrityError, UsageError
from exchange.model import DataSource, Side
from exchange.ports import VenueName
from gates.measure import Tally
from policies.stage import Environment, Stage
from tests.support.desk import D, Desk
from tests.support.reported import busy_desk, entries_of, halted_desk, measured, report_of


def collected(desk: Desk) -> Collector:
    collector = Collector()
    for entry in entries_of(desk):
        collector.take(entry)
    return collector


def tally_of(desk: Desk) -> Tally:
    assert desk.state.tally is not None
    return desk.state.tally


@pytest.fixture(scope="module")
def busy() -> Desk:
    return busy_desk(120)


def test_the_coverage_of_a_report_is_that_of_the_gate(busy: Desk) -> None:
    run = collected(busy).found.subject
    tally = tally_of(busy)
    assert run is not None
    assert run.coverage.covered_ms == tally.covered_ms
    gaps = sum(gap.ms for gap in run.coverage.gaps)
    assert tally.covered_ms + gaps == tally.total_ms


def test_every_order_of_a_run_ended_in_one_way_or_is_open(busy: Desk) -> None:
    orders = report_of(entries_of(busy)).document["orders"]
    assert sum(orders["outcomes"].values()) + orders["open"] == orders["sent"] == tally_of(busy).orders


def test_realised_and_not_realised_make_the_net_result(busy: Desk) -> None:
    said = report_of(entries_of(busy)).document["performance"]
    assert abs(D(said["net_eur"]) - D(said["realised_eur"]) - D(said["unrealised_eur"])) <= D("0.000002")
    assert D(said["hold_excess_eur"]) == pytest.approx(D(said["net_eur"]) - D(said["hold_eur"]), abs=D("0.000002"))


def test_the_days_of_a_run_add_up_to_it(busy: Desk) -> None:
    said = report_of(entries_of(busy)).document["performance"]
    for name in ("orders", "fills"):
        assert sum(day[name] for day in said["days"]) == {"orders": tally_of(busy).orders, "fills": said["fills"]}[name]
    assert sum((D(day["net_eur"]) for day in said["days"]), Decimal(0)) == D(said["net_eur"])


def test_a_deposit_is_neither_gain_nor_loss() -> None:
    desk = Desk(usdt="1000").walk_to(Stage.TESTNET_VALIDATING)
    desk.run(10_000)
    before = report_of(entries_of(desk)).document
    desk.owner_moves(VenueName.TESTNET, "USDT", "50")
    moved = e.CapitalMoved(
        venue=VenueName.TESTNET,
        moves=(e.MoveBooked(id="in-1", asset="USDT", amount=D(50), at=desk.now),),
        shift_eur=D(50) / tally_of(desk).series.quote_per_eur,
        taken={},
    )
    entries = entries_of(desk)
    last = entries[-1]
    entries.append(seal(Record(moved.kind, encode(moved)), Head(last.seq, last.hash, last.epoch), epoch=1, at=desk.now))
    after = report_of(entries).document
    assert after["performance"]["net_eur"] == before["performance"]["net_eur"] == "0"
    assert after["performance"]["moves"] == 1
    assert after["curves"]["equity"][0][4] != before["curves"]["equity"][0][4]
    assert after["curves"]["drawdown"] == before["curves"]["drawdown"]


def test_a_run_that_was_not_measured_has_no_figures() -> None:
    desk = Desk()
    desk.boot()
    said = report_of(entries_of(desk)).document
    assert said["performance"]["net_eur"] is None
    assert said["performance"]["hold_eur"] is None
    assert said["coverage"]["ratio"] is None
    assert said["statistics"]["rows"] == []
    assert said["verdict"]["word"] == "NOT YET"


def test_a_halt_is_reported_with_the_run_that_it_ended() -> None:
    said = report_of(entries_of(halted_desk())).document
    assert said["verdict"]["word"] == "HALTED"
    assert "the operator saw a fire" in said["verdict"]["sentence"]
    assert said["run"]["stage"] == "TESTNET_VALIDATING"
    assert said["run"]["ended"]
    assert said["halt"]["resumes"] == []


def test_statistics_of_another_run_are_not_shown() -> None:
    desk = measured(Desk().walk_to(Stage.TESTNET_VALIDATING))
    assert report_of(entries_of(desk)).document["statistics"]["rows"]
    desk.walk_to(Stage.VALIDATED)
    assert report_of(entries_of(desk)).document["statistics"]["rows"] == []


def test_statistics_that_failed_say_why() -> None:
    desk = Desk().walk_to(Stage.TESTNET_VALIDATING)
    tally = tally_of(desk)
    desk.give(i.StatisticsComputed(tally.started_at, desk.state.seq, desk.state.at, 0, "", (), "no memory"))
    assert "no memory" in report_of(entries_of(desk)).document["statistics"]["why_not"]


def test_latency_is_from_the_decision_to_the_answer() -> None:
    desk = Desk().arm()
    decision = desk.order("0.00003")
    desk.pass_time(37)
    desk.placed(decision)
    said = report_of(entries_of(desk)).document["latency"]
    assert (said["answers"], said["quantiles_ms"][0]) == (1, ["median", 37])


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "60006"), (Side.SELL, "59994")])
def test_a_worse_price_is_positive_slippage(side: Side, price: str) -> None:
    desk = Desk().arm()
    if side is Side.SELL:
        desk.fill(desk.placed(desk.order("0.00003")), "0.00003")
        desk.tick()
    client_id = desk.placed(desk.order("0.00003", side=side))
    desk.fill(client_id, "0.00003", price)
    said = report_of(entries_of(desk)).document["slippage"]
    assert said["worst_bps"] == "1"


def test_a_damaged_journal_names_the_entry_and_how_far_it_is_good() -> None:
    entries = entries_of(Desk().arm())
    entries[5] = entries[5]._replace(at=type(entries[5].at)(entries[5].at + 1))
    with pytest.raises(IntegrityError) as found:
        read_report(entries, "desk")
    assert "entry 6 is not what was written" in found.value.message
    assert "gatehouse report --upto 5" in found.value.remedy
    assert read_report(entries, "desk", upto=5)[0].document["about"]["entries"] == 5


def test_an_entry_that_cannot_be_read_is_named() -> None:
    entries = entries_of(Desk().arm())
    last = entries[-1]
    entries.append(seal(Record("never-heard-of", b"{}"), Head(last.seq, last.hash, last.epoch), epoch=1, at=last.at))
    with pytest.raises(IntegrityError) as found:
        read_report(entries, "desk")
    assert f"entry {last.seq + 1} cannot be read" in found.value.message
    assert f"--upto {last.seq}" in found.value.remedy


def test_a_journal_without_a_run_says_what_to_do() -> None:
    with pytest.raises(UsageError) as found:
        read_report(entries_of(Desk().arm())[:1], "desk")
    assert found.value.code == "nothing-to-report"


def test_the_same_journal_gives_the_same_report(busy: Desk) -> None:
    entries = entries_of(busy)
    assert report_of(entries).data == report_of(entries).data


def test_a_command_is_reported_as_of_its_own_entry() -> None:
    desk = Desk().walk_to(Stage.VALIDATED)
    collector = Collector()
    for entry in entries_of(desk):
        collector.take(entry)
        signed = collector.found.signed
        if len(signed) == 2:
            break
    said = document(collector.found, signed[1])
    assert said["verdict"]["word"] == "PASSED"
    assert "alice and bob signed the move from TESTNET_VALIDATING to VALIDATED" in said["verdict"]["sentence"]
    assert said["run"]["stage"] == "TESTNET_VALIDATING"
    assert said["gates"][0]["verdict"] == "PASS"


def test_a_live_stage_of_production_is_notsimulated() -> None:
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    run = collected(desk).found.subject
    assert run is not None
    run.sources = {DataSource.LIVE}
    assert simulated(replace(desk.state, environment=Environment.PRODUCTION), run) == []
    assert "rehearsal" in simulated(desk.state, run)[0]
