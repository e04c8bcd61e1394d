"""``gatehouse doctor`` asks the testnet for a statement, and says whether the key of the policy signed it (ADR 47)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.doctor import testnet as doctor_testnet
from controller.cli.doctor.checks import CheckResult
from controller.cli.doctor.testnet import check_testnet_key
from controller.cli.setup.deployment import TESTNET_KEY
from controller.settings.deployment import load_settings, read_secret
from exchange.statement import fingerprint, public_line
from exchange.testnet.config import AccountConfig
from exchange.testnet.identity import own_key
from tests.unit.cli.doctor.test_cli_doctor_venues import serving


def keyed(deployment: Path, *, key: Path | None) -> Iterator[Path]:
    """A deployment whose testnet answers with this key, or with a new one."""
    settings = load_settings(deployment)
    secret = read_secret(deployment, settings.testnet.secret_file)
    with serving(AccountConfig("bot", settings.testnet.api_key, secret, {}), key) as address:
        path = deployment / "gatehouse.toml"
        path.write_text(path.read_text().replace(settings.testnet.rest, address))
        yield deployment


@pytest.fixture
def true_at(deployment: Path) -> Iterator[Path]:
    yield from keyed(deployment, key=deployment / TESTNET_KEY)


@pytest.fixture
def false_at(deployment: Path) -> Iterator[Path]:
    yield from keyed(deployment, key=None)


def row(deployment: Path) -> CheckResult:
    (found,) = check_testnet_key(deployment)
    return found


def policy_key(deployment: Path) -> str:
    return fingerprint(public_line(own_key(None, deployment / TESTNET_KEY).public_key()))


def test_the_testnet_that_was_signed_for_passes(true_at: Path) -> None:
    found = row(true_at)
    assert (found.verdict, found.fix) == ("PASS", "")
    assert found.found == f"{policy_key(true_at)} signs for synthetic data, run 1"


def test_another_testnet_fails_with_both_keys(false_at: Path) -> None:
    found = row(false_at)
    assert found.verdict == "FAIL"
    assert found.found.startswith("another key signed; it names sha256:")
    assert found.found.endswith(f"the policy names {policy_key(false_at)}")


def test_a_policy_without_a_key_warns_with_the_remedy(true_at: Path) -> None:
    path = true_at / "policy.toml"
    path.write_text(path.read_text().partition("[testnet]")[0])
    found = row(true_at)
    assert found.verdict == "WARN"
    assert "gatehouse set-policy" in found.fix


def test_a_testnet_of_another_version_warns(true_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_testnet, "VERSION", "9")
    assert (row(true_at).verdict, row(true_at).fix) == ("WARN", "Start the testnet again.")


def test_a_testnet_that_is_silent_has_its_row_elsewhere(deployment: Path) -> None:
    assert check_testnet_key(deployment) == []
