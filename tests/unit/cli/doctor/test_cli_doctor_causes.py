"""``gatehouse doctor`` reports one cause once: what cannot be checked for it is listed and is neither good nor bad."""

from __future__ import annotations

from pathlib import Path

from controller.cli.doctor.result import Absent, Check, CheckResult, Follows, judged
from controller.cli.doctor.venues import one_row_for_each_cause
from exchange.errors import ConfigError
from exchange.ports import VenueName
from tests.support.cli_kit import Run, printed


def failing() -> str:
    raise ConfigError("it is gone", code="gone", remedy="Bring it back.")


def rows_of(*checks: Check) -> list[tuple[str, str, str]]:
    return [(row.name, row.verdict, row.found) for row in judged(checks)]


def test_what_needs_a_failed_check_is_not_made_and_is_listed_once() -> None:
    checks = Check("a", failing), Check("b", failing, ("a",)), Check("c", failing, ("b",)), Check("d", lambda: "fine")
    assert rows_of(*checks) == [
        ("a", "FAIL", "it is gone"),
        ("d", "PASS", "fine"),
        ("after a", "SKIP", "not checked: b, c"),
    ]


def test_what_is_rightly_absent_fails_nothing() -> None:
    checks = Check("a", lambda: Absent("not started")), Check("b", failing, ("a",))
    assert [row.ok for row in judged(checks)] == [True, True]
    assert rows_of(*checks)[1] == ("after a", "SKIP", "not checked: b")


def test_a_finding_that_follows_from_another_is_no_second_failure() -> None:
    checks = Check("a", failing), Check("b", lambda: Follows("a"))
    assert [row[1] for row in rows_of(*checks)] == ["FAIL", "SKIP"]


def test_questions_that_fail_for_one_cause_are_one_row() -> None:
    said = "MEXC 10072 (Invalid access key), HTTP 400"
    rows = [
        CheckResult("clock", ok=True, found="fine"),
        *(CheckResult(name, ok=False, found=f"GET /{name}: {said} (expected: yes)", fix="Do it.") for name in ("a", "b")),
        *(CheckResult(name, ok=False, found=f"{name} (expected: at most 0)") for name in ("fee", "price")),
    ]
    assert one_row_for_each_cause(VenueName.LIVE, rows) == [
        CheckResult("live clock", ok=True, found="fine"),
        CheckResult("live fee", ok=False, found="fee (expected: at most 0)"),
        CheckResult("live price", ok=False, found="price (expected: at most 0)"),
        CheckResult("live account", ok=False, found=f"{said}; 2 checks fail for it: a, b", fix="Do it."),
    ]


def failures(run: Run, deployment: Path) -> dict[str, str]:
    """What fails beside the two venues, which do not run in these tests."""
    rows = printed(run("doctor", "--dir", deployment, "-o", "json"))
    return {row["check"]: row["fix"] for row in rows if row["ok"] is False and not row["check"].startswith("venue ")}


def test_an_unreadable_policy_is_one_failure(run: Run, deployment: Path) -> None:
    (deployment / "policy.toml").unlink()
    assert set(failures(run, deployment)) == {"policy"}


def test_unreadable_settings_are_one_failure(run: Run, deployment: Path) -> None:
    (deployment / "gatehouse.toml").unlink()
    rows = printed(run("doctor", "--dir", deployment, "-o", "json"))
    assert [(row["check"], row["ok"], row["verdict"]) for row in rows] == [
        ("settings", False, "FAIL"),
        ("after settings", None, "SKIP"),
    ]


def test_a_missing_secret_is_one_failure(run: Run, deployment: Path) -> None:
    (deployment / "secrets" / "live.secret").unlink()
    assert set(failures(run, deployment)) == {"secret secrets/live.secret"}


def test_a_damaged_journal_is_one_failure(run: Run, deployment: Path) -> None:
    (deployment / "var" / "journal.db").write_bytes(b"no journal")
    assert set(failures(run, deployment)) == {"journal"}


def test_venues_that_do_not_answer_leave_their_accounts_unchecked(run: Run, deployment: Path) -> None:
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert [name for name, row in rows.items() if row["ok"] is False] == ["venue testnet", "venue live"]
    assert rows["after venue live"]["ok"] is None
    assert rows["after venue live"]["found"] == "not checked: clock, live account"
