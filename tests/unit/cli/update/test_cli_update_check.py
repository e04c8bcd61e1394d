"""``gatehouse update check`` says what this version does to a deployment of another one, and changes nothing in it."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from controller.core.events import OrderUnknown
from controller.core.inputs import VenueReported
from controller.version import VERSION
from exchange.model import OrderStatus
from policies.stage import Stage
from tests.support.cli_kit import Run, printed, write_journal
from tests.support.desk import Desk
from tests.support.desk_of import desk_of

OLDER = "0.0.9"


def written(directory: Path, stage: Stage, *, version: str = OLDER, at_work: bool = False) -> Desk:
    """The journal of a deployment that ``version`` took to ``stage``; ``at_work``: something is held, and an order is open."""
    desk = desk_of(directory, version=version).walk_to(stage)
    desk.run(30_000)
    if at_work:
        bought = desk.placed(desk.order("0.00006"))
        desk.fill(bought, "0.00006")
        desk.give(VenueReported(desk.state.orders[bought].venue, desk.report(bought, OrderStatus.FILLED, "0.00006")))
        desk.placed(desk.order("0.00003", price="59900"))
        desk.sweep_all()
    write_journal(desk, directory)
    return desk


def digests(directory: Path) -> dict[str, str]:
    """Of every file of a deployment. A reader makes SQLite's empty log and its index, which hold no entry."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size and not path.name.endswith("-shm")]
    return {str(path.relative_to(directory)): sha256(path.read_bytes()).hexdigest() for path in files}


def rows(found: dict[str, object]) -> dict[str, str]:
    return {one["check"]: one["verdict"] for one in found["checks"]}  # type: ignore[attr-defined]


def test_the_same_version_goes_on_and_loses_nothing(deployment: Path, run: Run) -> None:
    written(deployment, Stage.TESTNET_VALIDATING, version=VERSION)
    result = run("update", "check", deployment, "-o", "json")
    found = printed(result)
    assert (result.exit_code, found["ok"]) == (0, True)
    assert set(rows(found).values()) == {"PASS"}
    assert (found["start"]["kept"], found["start"]["lost_ms"]) == (True, 0)
    assert found["start"]["becomes"] == "TESTNET_VALIDATING"


def test_another_version_says_which_hours_of_the_run_are_lost(deployment: Path, run: Run) -> None:
    desk = written(deployment, Stage.TESTNET_VALIDATING)
    assert desk.state.tally is not None
    found = printed(run("update", "check", deployment, "-o", "json"))
    assert found["ok"]
    assert rows(found)["validation"] == "WARN"
    start = found["start"]
    assert (start["stage"], start["becomes"], start["kept"]) == ("TESTNET_VALIDATING", "MOCK", False)
    assert start["lost_ms"] == desk.state.tally.covered_ms > 0


def test_at_real_money_it_names_what_is_cancelled_and_what_stays(deployment: Path, run: Run) -> None:
    desk = written(deployment, Stage.LIVE_EUR10, at_work=True)
    result = run("update", "check", deployment, "-o", "json")
    start = printed(result)["start"]
    assert (start["stage"], start["becomes"], start["cancels"]) == ("LIVE_€10", "MOCK", 1)
    assert start["held"]["BTC"] == "0.00006"
    assert desk.state.policy is not None
    assert start["again_ms"] == desk.state.policy.validation.covered_ms
    assert "gatehouse flatten" in next(one["fix"] for one in printed(result)["checks"] if one["check"] == "first start")


def test_the_check_reads_every_entry_and_changes_no_byte(deployment: Path, run: Run) -> None:
    desk = written(deployment, Stage.TESTNET_VALIDATING)
    before = digests(deployment)
    found = printed(run("update", "check", deployment, "-o", "json"))
    assert (found["entries"], found["written_by"], found["versions"]) == (len(desk.journal), OLDER, [OLDER])
    assert digests(deployment) == before


def test_an_order_that_was_under_way_is_named(deployment: Path, run: Run) -> None:
    desk = desk_of(deployment, version=VERSION).walk_to(Stage.TESTNET_VALIDATING)
    desk.order("0.00003")
    write_journal(desk, deployment)
    found = printed(run("update", "check", deployment, "-o", "json"))
    (order,) = desk.state.open
    assert any(order in line for line in found["start"]["events"]), OrderUnknown.kind
    assert rows(found)["first start"] == "WARN"


def test_each_place_that_a_floor_does_not_allow_is_a_row(deployment: Path, run: Run) -> None:
    written(deployment, Stage.MOCK)
    example = Path(__file__).parents[4] / "policies" / "examples" / "team.toml"
    loose = (
        example.read_text()
        .replace("price_collar_bps = 200", "price_collar_bps = 900")
        .replace("open_orders_max = 4", "open_orders_max = 50")
    )
    (deployment / "policy.toml").write_text(loose)
    result = run("update", "check", deployment, "-o", "json")
    found = printed(result)
    assert result.exit_code == 1
    assert {"limits.price_collar_bps", "limits.open_orders_max"} <= {one["path"] for one in found["looser"]}
    assert found["start"] is None


def test_settings_of_another_version_are_a_failure(deployment: Path, run: Run) -> None:
    written(deployment, Stage.MOCK)
    settings = deployment / "gatehouse.toml"
    settings.write_text("speed = 3\n" + settings.read_text())
    result = run("update", "check", deployment)
    assert result.exit_code == 1
    assert "speed" in result.stdout
    assert "Do not change the version yet" in result.stdout


def damage(directory: Path, statement: str) -> None:
    """Change a journal file as a newer version or a person would, past its triggers."""
    connection = sqlite3.connect(directory / "var" / "journal.db")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def test_a_changed_entry_is_a_failure_that_names_it(deployment: Path, run: Run) -> None:
    written(deployment, Stage.MOCK)
    damage(deployment, "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '0.0.9', '0.0.8') AS BLOB) WHERE seq = 1")
    result = run("update", "check", deployment, "-o", "json")
    assert result.exit_code == 1
    assert rows(printed(result))["journal"] == "FAIL"
    assert "entry 1" in json.dumps(printed(result)["checks"])


@pytest.mark.parametrize("missing", ["var/journal.db", "gatehouse.toml"])
def test_what_cannot_be_read_is_never_called_good(deployment: Path, run: Run, missing: str) -> None:
    written(deployment, Stage.MOCK)
    (deployment / missing).unlink()
    result = run("update", "check", deployment, "-o", "json")
    assert (result.exit_code, printed(result)["ok"]) == (1, False)
