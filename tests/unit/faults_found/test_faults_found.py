"""Every check of ``make audit`` finds a fault that is planted for it, and never calls clean what it did not look at."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.audit import licences
from ops.audit.advisories import check_snapshot
from ops.audit.cooldown import check_cooldown
from ops.audit.found import ROOT, Accepted, Finding, Outcome, accepted_in, as_sarif, as_text, judged
from ops.audit.lock import Pinned, read_lock
from ops.audit.secrets import check_secrets, in_line, scanned
from ops.audit.tools import read_pip_audit
from ops.audit.workflows import check_workflows, in_script

NOW = datetime(2026, 11, 30, tzinfo=UTC)
LOCK = (Pinned("jinja2", "3.1.2", "", ("0" * 64,), 3), Pinned("idna", "3.18", "", ("1" * 64,), 7))

# Spelled in halves, so that this file is not its own finding.
PLANTED = {
    "private-key": "-----BEGIN OPENSSH PRIV" + "ATE KEY-----",
    "aws-access-key": "AK" + "IA2E0A8F3B244C9986",
    "github-token": "gh" + "p_16C7e42F292c6912E7710c838347Ae178B4a",
    "slack-token": "xo" + "xb-123456789012-abcdefGHIJ",
    "telegram-token": "123456789" + ":AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawQ",
    "mexc-key": "mx" + "0vglTheKeyOfSomebody1",
    "password-in-url": "postgresql" + "://gatehouse:hunter2222@db/journal",
    "assigned-value": "api_sec" + 'ret = "9f8A72c1d04b4e6f8a1b2c3d4e5f6a7b"',
}


@pytest.mark.parametrize(("rule", "line"), PLANTED.items())
def test_a_planted_secret_is_found_and_not_shown_whole(rule: str, line: str) -> None:
    found = list(in_line(f"x = {line}"))
    assert rule in {name for name, _ in found}
    assert all(len(text) < 35 and "…" in text for _, text in found)


@pytest.mark.parametrize(
    "line",
    [
        'secret_file = "secrets/testnet.secret"',
        'token = "a-token-of-no-value-at-all-here"',
        "--hash=sha256:065665c041c42a5938ed220bdcd7230f22527fbec085e1853d2402c8a3615d9d",
        "https://example.org/a:b@c",
    ],
)
def test_names_digests_and_words_are_no_secrets(line: str) -> None:
    assert list(in_line(line)) == []


def git(directory: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", directory, *identity, *words], check=True, capture_output=True)


def test_a_secret_that_was_removed_is_found_in_the_history(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a.env").write_text(f"one\n{PLANTED['github-token']}\n")
    git(tmp_path, "add", "."), git(tmp_path, "commit", "-m", "one")
    (tmp_path / "a.env").write_text("one\n")
    git(tmp_path, "commit", "-am", "two")
    outcome = check_secrets(tmp_path)
    assert [(one.rule, one.path, one.line) for one in outcome.findings] == [("github-token", "a.env", 2)]
    assert outcome.unchecked == ()


def test_without_a_history_the_secrets_are_not_checked(tmp_path: Path) -> None:
    assert check_secrets(tmp_path).verdict == "NOT CHECKED"


def test_a_secret_is_reported_once_however_often_it_was_added() -> None:
    diff = ["commit " + "a" * 40, "+++ b/x.py", "@@ -0,0 +1 @@", "+" + PLANTED["mexc-key"]]
    findings, count = scanned([*diff, *diff])
    assert (len(findings), count) == (1, 2)


# Vulnerabilities

ADVISORY = {
    "id": "PYSEC-1",
    "aliases": ["CVE-1"],
    "modified": "2026-11-29T00:00:00Z",
    "summary": "planted",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Jinja2"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}],
        }
    ],
}


def snapshot(directory: Path, **changes: object) -> Outcome:
    (directory / "one.json").write_text(json.dumps({**ADVISORY, **changes}))
    return check_snapshot("vulnerabilities", LOCK, "requirements.lock", directory, NOW)


def test_a_vulnerable_version_is_found_in_a_snapshot(tmp_path: Path) -> None:
    outcome = snapshot(tmp_path)
    assert [(one.rule, one.line) for one in outcome.findings] == [("PYSEC-1", 3)]
    assert "CVE-1" in outcome.findings[0].message


def test_a_fixed_version_and_a_withdrawn_advisory_are_no_findings(tmp_path: Path) -> None:
    fixed = [{**ADVISORY["affected"][0], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.2"}]}]}]  # type: ignore[index, dict-item]
    assert snapshot(tmp_path, affected=fixed).verdict == "clean"
    assert snapshot(tmp_path, withdrawn="2026-11-01T00:00:00Z").verdict == "clean"


def test_an_old_snapshot_finds_and_still_leaves_it_not_checked(tmp_path: Path) -> None:
    outcome = snapshot(tmp_path, modified="2026-10-01T00:00:00Z")
    assert outcome.findings
    assert "60 days old" in outcome.unchecked[0]


def test_an_empty_snapshot_is_not_clean(tmp_path: Path) -> None:
    assert check_snapshot("vulnerabilities", LOCK, "requirements.lock", tmp_path, NOW).verdict == "NOT CHECKED"


def test_a_package_that_the_service_does_not_know_is_not_checked() -> None:
    known = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.3"]}]}
    unknown = {"name": "idna", "skip_reason": "Dependency not found"}
    outcome = read_pip_audit({"dependencies": [known, unknown]}, LOCK, "requirements.lock")
    assert [one.rule for one in outcome.findings] == ["PYSEC-1"]
    assert "idna" in outcome.unchecked[0]
    assert read_pip_audit({"dependencies": [unknown]}, LOCK, "requirements.lock").verdict == "NOT CHECKED"


# Cooldown


def test_a_young_release_is_found_and_the_others_are_still_asked() -> None:
    def asked(left: Sequence[Pinned], until: str) -> tuple[int, str]:
        assert until == "2026-11-23T00:00:00Z"
        young = "hint: `idna` was filtered by `exclude-newer` to .... v3.18, was published at 2026-11-29T14:11:03.168Z. Consider"
        return (1, young) if any(one.name == "idna" for one in left) else (0, "")

    outcome = check_cooldown(LOCK, "requirements.lock", NOW, asked)
    assert [(one.rule, one.line) for one in outcome.findings] == [("too-young", 7)]


@pytest.mark.parametrize("said", ["error: Failed to fetch", "", "idna is missing an upload date"])
def test_an_index_without_an_answer_leaves_the_ages_not_checked(said: str) -> None:
    outcome = check_cooldown(LOCK, "requirements.lock", NOW, lambda left, until: (2, said))
    assert outcome.verdict == "NOT CHECKED"


# Licences


@pytest.mark.parametrize(
    ("licence", "rule"),
    [
        ("AGPL-3.0-or-later", "denied-licence"),
        ("MIT AND AGPL-3.0-only", "denied-licence"),
        ("GNU Affero General Public License v3", "denied-licence"),
        ("GPL-2.0-only", "denied-licence"),
        ("SSPL-1.0", "denied-licence"),
        ("", "unknown-licence"),
        ("Beerware", "unlisted-licence"),
    ],
)
def test_a_licence_that_is_not_allowed_is_found(licence: str, rule: str) -> None:
    found = licences.judged_licence("planted", licence, licences.rules())
    assert found is not None
    assert found[0] == rule


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0 OR BSD-3-Clause", "LGPL-3.0-only", "Mozilla Public License 2.0 (MPL 2.0)"])
def test_a_licence_that_is_allowed_is_no_finding(licence: str) -> None:
    assert licences.judged_licence("planted", licence, licences.rules()) is None


def test_a_package_that_is_not_installed_is_not_called_clean() -> None:
    outcome, text = licences.check_licences([*LOCK, Pinned("no-such-package", "1", "", (), 9)], "requirements.lock")
    assert outcome.verdict == "NOT CHECKED"
    assert "no-such-package 1" in outcome.unchecked[0]
    assert "idna 3.18: BSD" in text


def test_every_installed_package_of_the_lock_has_an_allowed_licence() -> None:
    outcome, _ = licences.check_licences(read_lock(ROOT / "requirements.lock"), "requirements.lock")
    assert outcome.findings == ()


# Build files


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("download-into-shell", "curl -fsSL https://example.org/install | sh\n"),
        ("certificates-ignored", "pip install --trusted-host example.org --require-hashes -r a.lock\n"),
        ("hooks-skipped", "git commit --no-verify -m x\n"),
        ("everybody-may-write", "chmod -R 777 .\n"),
        ("unpinned-install", "python3 -m pip install \\\n  --quiet uv\n"),
        ("errors-ignored", "set +e\n"),
        ("goes-on-after-errors", "#!/usr/bin/env bash\nmake test\n"),
    ],
)
def test_a_fault_of_a_script_is_found(rule: str, text: str) -> None:
    assert rule in {one.rule for one in in_script(".ci/run", text)}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("unpinned-action", "permissions: {}\nsteps:\n  - uses: actions/checkout@v4\n"),
        ("untrusted-target", "permissions: {}\non: pull_request_target\n"),
        ("injected-event", "permissions: {}\nrun: echo ${{ github.event.issue.title }}\n"),
        ("no-permissions", "on: push\n"),
    ],
)
def test_a_fault_of_a_workflow_is_found(rule: str, text: str) -> None:
    assert rule in {one.rule for one in in_script(".github/workflows/a.yml", text)}


def test_the_projects_own_build_files_have_no_fault() -> None:
    outcome = check_workflows(ROOT)
    assert (outcome.findings, outcome.unchecked) == ((), ())
    assert ".ci/run" in outcome.seen


# The reports


FAULT = Finding("code", "B602", "shell", "controller/a.py", 4)


def test_an_accepted_finding_keeps_its_reason_and_another_does_not_pass() -> None:
    rule = Accepted("code", "B602", "controller/*", "because")
    assert judged(Outcome("code", "x", (FAULT,)), [rule]).accepted == ((FAULT, "because"),)
    assert judged(Outcome("code", "x", (FAULT,)), [Accepted("code", "B602", "gates/*", "because")]).findings[0] == FAULT
    assert judged(Outcome("code", "x", (FAULT,)), [Accepted("code", "B602", "*", "because", "other text")]).findings[0] == FAULT


def test_an_acceptance_that_covers_nothing_is_a_finding() -> None:
    outcome = judged(Outcome("code", "x"), [Accepted("code", "B602", "controller/*", "because")])
    assert [one.rule for one in outcome.findings] == ["unused-acceptance"]


def test_every_acceptance_has_a_reason() -> None:
    assert all(len(one.reason) > 5 for one in accepted_in(ROOT / "ops" / "audit" / "accepted.toml"))


def test_the_reports_show_findings_and_what_was_not_checked() -> None:
    outcomes = [Outcome("code", "9 files", (FAULT,)), Outcome("cooldown", "no answer", unchecked=("no network",))]
    text = as_text(outcomes)
    assert "controller/a.py:4: B602: shell" in text
    assert "not checked: no network" in text
    runs = json.loads(as_sarif(outcomes))["runs"]
    assert runs[0]["results"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    assert [run["invocations"][0]["executionSuccessful"] for run in runs] == [True, False]


def test_the_lock_is_read_with_every_hash_and_marker() -> None:
    lock = read_lock(ROOT / "requirements.lock")
    assert len(lock) > 100
    assert all(one.hashes for one in lock)
    assert next(one.marker for one in lock if one.name == "colorama") == "sys_platform == 'win32'"


def test_a_line_that_is_no_pin_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("idna>=3\n")
    with pytest.raises(ValueError, match=r"a\.lock:1"):
        read_lock(tmp_path / "a.lock")
