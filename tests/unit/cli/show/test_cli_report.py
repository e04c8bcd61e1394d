"""``gatehouse report`` and ``gatehouse verify``: what they write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.core.events import CommandAccepted
from controller.journal.chain import entry_hash
from controller.report.sealed import seal
from policies import canonical
from policies.authority import Verb
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    """A deployment that went to LIVE_€10 and was halted by a price gap."""
    desk = Desk().walk_to(Stage.VALIDATED)
    desk.run(10_000)
    desk.move(Verb.ADVANCE, Stage.LIVE_EUR10)
    desk.tick()
    bought = desk.placed(desk.order("0.00009", bot_id="my-order"))
    desk.fill(bought, "0.00009")
    desk.price = desk.price * 9 / 10
    desk.tick()
    return desk


@pytest.fixture
def journalled(deployment: Path, desk: Desk) -> Path:
    write_journal(desk, deployment)
    return deployment


def reported(run: Run, journalled: Path, desk: Desk) -> dict[str, Any]:
    """What a report of the last applied command wrote."""
    last = desk.events(CommandAccepted)[-1]
    assert isinstance(last, CommandAccepted)
    written: dict[str, Any] = printed(run("report", "-d", journalled, "--command", last.command_id, "-o", "json"))
    return written


def test_a_report_of_a_command_is_a_page_and_a_bundle_that_verifies(run: Run, journalled: Path, desk: Desk) -> None:
    written = reported(run, journalled, desk)
    assert "VALIDATED → LIVE_€10" in Path(written["page"]).read_text()
    verified = printed(run("verify", written["bundle"], "-o", "json"))
    assert verified["result"]["verdict"] == "PASS"
    assert sorted(verified["persons"]) == ["alice", "bob"]


def test_every_applied_command_can_be_reported(run: Run, journalled: Path, desk: Desk) -> None:
    for event in desk.events(CommandAccepted):
        assert run("report", "-d", journalled, "--command", event.command_id).exit_code == 0


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("policy", '"name":"demo"', '"name":"dem0"'),
        ("roster", '"alice"', '"alica"'),
        ("body", '"persons":["alice","bob"]', '"persons":["alice","carol"]'),
        ("body", '\\"verdict\\":\\"PASS\\"', '\\"verdict\\":\\"FAIL\\"'),
        ("body", '\\"journal_seq\\":', '\\"journal_seq\\":1'),
    ],
)
def test_a_changed_bundle_is_an_error_even_with_a_recomputed_hash(
    run: Run, journalled: Path, desk: Desk, part: str, old: str, new: str
) -> None:
    bundle = Path(reported(run, journalled, desk)["bundle"])
    document = json.loads(bundle.read_bytes())
    entry = document["entry"]
    holder = entry if part == "body" else document
    assert old in holder[part]
    holder[part] = holder[part].replace(old, new, 1)
    fields = {name: entry[name] for name in ("seq", "epoch", "at", "kind", "prev")}
    entry["hash"] = entry_hash(**fields, body=entry["body"].encode())
    bundle.write_bytes(canonical.encode(document))
    assert run("verify", bundle).exit_code in {1, 4}


def test_a_bundle_with_a_wrong_hash_is_an_error(run: Run, journalled: Path, desk: Desk) -> None:
    bundle = Path(reported(run, journalled, desk)["bundle"])
    document = json.loads(bundle.read_bytes())
    document["entry"]["seq"] += 1
    bundle.write_bytes(canonical.encode(document))
    result = run("verify", bundle, "-o", "json")
    assert result.exit_code == 1
    assert printed(result, error=True)["error"]["code"] == "bundle-broken"


def test_without_an_applied_command_the_present_run_is_reported(run: Run, deployment: Path) -> None:
    write_journal(Desk().arm(), deployment)
    written = printed(run("report", "-d", deployment, "-o", "json"))
    assert "no command was applied yet" in Path(written["page"]).read_text().lower()
    assert "bundle" not in written


def test_a_command_that_passed_no_gate_is_refused(run: Run, journalled: Path) -> None:
    result = run("report", "-d", journalled, "--command", "0" * 32, "-o", "json")
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (2, "no-evidence")


def test_a_report_is_verified_against_an_export(run: Run, journalled: Path, tmp_path: Path) -> None:
    written = printed(run("report", "-d", journalled, "-o", "json"))
    run("journal", "export", tmp_path / "export", "-d", journalled)
    found = printed(run("verify", written["report"], "--export", tmp_path / "export", "-o", "json"))
    assert found["digest"] == written["digest"]
    assert found["page"].endswith("shows this report and nothing else")
    assert found["export"]["entries"] == found["entries"]


def test_a_report_of_a_command_is_verified_against_an_export(run: Run, journalled: Path, desk: Desk, tmp_path: Path) -> None:
    written = reported(run, journalled, desk)
    run("journal", "export", tmp_path / "export", "-d", journalled)
    result = run("verify", written["report"], "--export", tmp_path / "export")
    assert "every field of the report is what the entries give" in result.stdout


def test_a_report_that_says_something_else_than_the_entries_is_an_error(run: Run, journalled: Path, tmp_path: Path) -> None:
    written = printed(run("report", "-d", journalled, "-o", "json"))
    run("journal", "export", tmp_path / "export", "-d", journalled)
    document = json.loads(Path(written["report"]).read_bytes())
    document.pop("seal")
    document["performance"]["fills"] = 1_000_000
    forged = tmp_path / "forged.json"
    forged.write_bytes(seal(document).data)
    assert run("verify", forged).exit_code == 0
    error = printed(run("verify", forged, "--export", tmp_path / "export", "-o", "json"), error=True)["error"]
    assert error["code"] == "report-differs"
    assert "field performance.fills of the report is 1000000, expected 1," in error["message"]


def test_a_changed_page_is_an_error_that_names_its_line(run: Run, journalled: Path) -> None:
    written = printed(run("report", "-d", journalled, "-o", "json"))
    page = Path(written["page"])
    page.write_text(page.read_text().replace("HALTED", "READY", 1))
    error = printed(run("verify", written["report"], "-o", "json"), error=True)["error"]
    assert error["code"] == "page-differs"
    assert "line " in error["message"]


def test_a_halted_deployment_says_what_halted_it(run: Run, journalled: Path) -> None:
    verdict = printed(run("report", "-d", journalled, "-o", "json"))["verdict"]
    assert verdict["word"] == "HALTED"
    assert "daily-loss" in verdict["sentence"] or "loss" in verdict["sentence"]
