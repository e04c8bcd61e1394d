"""``gatehouse journal replay``: the controller's state and decisions, from the journal alone."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from controller.audit.replay import DECISIONS, replay
from controller.core import event_codec
from controller.core import events as e
from controller.journal.chain import entry_hash
from controller.journal.sqlite import read_journal
from exchange.errors import IntegrityError
from exchange.ports import VenueName
from policies import canonical
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A deployment live with one filled and one resting order, which denied another and refused a command."""
    desk = Desk().walk_to(Stage.LIVE_EUR10)
    desk.move(Verb.RAMP, Stage.RAMPING, 1, signers=("alice",))
    desk.tick()
    bought = desk.placed(desk.order("0.00009", bot_id="filled"))
    desk.fill(bought, "0.00009")
    desk.placed(desk.order("0.00002", bot_id="resting"))
    desk.order("9", bot_id="too-much")
    desk.price += 100
    desk.run(3_000)
    return desk


@pytest.fixture
def journalled(deployment: Path, desk: Desk) -> Path:
    write_journal(desk, deployment)
    return deployment


def test_a_replay_ends_in_the_state_the_controller_had(run: Run, journalled: Path, desk: Desk) -> None:
    found = printed(run("journal", "replay", "-d", journalled, "-o", "json"))
    assert found["fingerprint"] == desk.state.fingerprint()
    assert (found["entries"], found["stage"]) == (len(desk.journal), "LIVE_€10")
    totals = desk.state.ledger(VenueName.LIVE).totals
    assert totals is not None
    assert {asset: Decimal(amount) for asset, amount in found["venues"]["live"]["balances"].items()} == dict(totals)
    assert {order["client_id"] for order in found["open_orders"]} == set(desk.state.open)


def test_an_accounts_profit_is_its_present_less_its_first_equity(run: Run, journalled: Path, desk: Desk) -> None:
    found = printed(run("journal", "replay", "-d", journalled, "-o", "json"))["venues"]
    for venue in VenueName:
        fills = [one for one in desk.events(e.FillBooked) if isinstance(one, e.FillBooked) and one.venue is venue]
        assert found[venue.value]["fills"] == len(fills)
        assert Decimal(found[venue.value]["volume_quote"]) == sum((one.quote for one in fills), Decimal(0))
    live = [one.equity_eur for one in desk.events(e.Sampled) if isinstance(one, e.Sampled) and one.venue is VenueName.LIVE]
    known = [equity for equity in live if equity is not None]
    assert Decimal(found["live"]["pnl_eur"]) == known[-1] - known[0] != 0


def test_every_decision_is_written_with_the_entry_that_recorded_it(run: Run, journalled: Path, desk: Desk, tmp_path: Path) -> None:
    result = printed(run("journal", "replay", "-d", journalled, "--decisions", tmp_path / "decisions.jsonl", "-o", "json"))
    lines = [canonical.decode(line) for line in (tmp_path / "decisions.jsonl").read_bytes().splitlines()]
    decided = [event for event, _ in desk.journal if isinstance(event, DECISIONS)]
    assert [line["decision"] for line in lines] == [canonical.decode(event_codec.encode(event)) for event in decided]
    assert sum(result["decisions"].values()) == len(lines)
    accepted = [line for line in lines if line["kind"] == "command-accepted"]
    assert accepted
    assert all(line["rejudged"] for line in accepted)
    assert result["verdicts_judged_again"] == len(accepted)


def test_decisions_never_replace_a_file(run: Run, journalled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    result = run("journal", "replay", "-d", journalled, "--decisions", tmp_path / "mine", "-o", "json")
    assert printed(result, error=True)["error"]["code"] == "decisions-not-written"
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_replay_up_to_an_entry_is_the_state_after_that_entry(run: Run, journalled: Path, desk: Desk) -> None:
    seq = len(desk.journal) // 2
    found = printed(run("journal", "replay", "-d", journalled, "--upto", str(seq), "-o", "json"))
    assert found["entries"] == seq
    assert found["fingerprint"] != desk.state.fingerprint()
    result = run("journal", "replay", "-d", journalled, "--upto", str(len(desk.journal) + 1), "-o", "json")
    assert printed(result, error=True)["error"]["code"] == "no-such-entry"


def test_an_export_replays_to_the_same_state_as_its_journal(run: Run, journalled: Path, desk: Desk, tmp_path: Path) -> None:
    run("journal", "export", tmp_path / "export", "-d", journalled)
    found = printed(run("journal", "replay", "--export", tmp_path / "export", "-o", "json"))
    assert found == printed(run("journal", "replay", "-d", journalled, "-o", "json"))


def test_a_damaged_export_is_not_replayed(run: Run, journalled: Path, tmp_path: Path) -> None:
    run("journal", "export", tmp_path / "export", "-d", journalled)
    lines = tmp_path / "export" / "journal.jsonl"
    lines.write_bytes(b"".join(lines.read_bytes().splitlines(keepends=True)[:-1]))
    result = run("journal", "replay", "--export", tmp_path / "export", "-o", "json")
    assert printed(result, error=True)["error"]["code"] == "export-damaged"


def test_replay_prints_stage_balances_orders_results_fingerprint(run: Run, journalled: Path, desk: Desk) -> None:
    shown = run("journal", "replay", "-d", journalled).stdout
    for word in ("LIVE_€10", "BTC", "P&L EUR", next(iter(desk.state.open)), "1 order-denied", desk.state.fingerprint()):
        assert word in shown


def test_a_verdict_that_replay_does_not_reproduce_is_an_error(journalled: Path, desk: Desk) -> None:
    reader = read_journal(journalled / "var" / "journal.db")
    entries = list(reader.read())
    reader.close()
    at = next(number for number, entry in enumerate(entries) if entry.kind == "command-accepted")
    body = json.loads(entries[at].body)
    body["result"] = body["result"].replace("PASS", "FAIL")
    for number in range(at, len(entries)):
        old = entries[number]
        changed = old._replace(body=canonical.encode(body) if number == at else old.body, prev=entries[number - 1].hash)
        fields = {name: value for name, value in changed._asdict().items() if name != "hash"}
        entries[number] = changed._replace(hash=entry_hash(**fields))
    with pytest.raises(IntegrityError) as refused:
        replay(entries, "desk")
    assert refused.value.code == "replay-differs"


def test_a_broken_chain_is_not_replayed(journalled: Path) -> None:
    reader = read_journal(journalled / "var" / "journal.db")
    entries = list(reader.read())
    reader.close()
    with pytest.raises(IntegrityError) as refused:
        replay(entries[:5] + entries[6:], "desk")
    assert refused.value.code == "journal-broken"
