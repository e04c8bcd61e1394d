"""``gatehouse doctor`` says how long the rate of the policy is good for, before it ends."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.cli.doctor.checks import Warned, _rate
from exchange.errors import ConfigError
from tests.support.rig import ROOT

DEMO = (ROOT / "policies" / "examples" / "demo.toml").read_text()
TEAM = (ROOT / "policies" / "examples" / "team.toml").read_text()
SETTINGS: Any = SimpleNamespace(policy="policy.toml")


def found(directory: Path, text: str) -> str | Warned:
    (directory / "policy.toml").write_text(text)
    return _rate(directory, SETTINGS)


def ending_in(days: float) -> str:
    end = datetime.fromtimestamp(time.time(), UTC) + timedelta(days=days)
    return DEMO.replace("2030-01-01T00:00:00Z", f"{end:%Y-%m-%dT%H:%M:%SZ}")


def test_a_rate_that_ends_in_two_days_warns(tmp_path: Path) -> None:
    warned = found(tmp_path, ending_in(2.5))
    assert isinstance(warned, Warned)
    assert warned.found == "the EUR rate of the policy ends in 2 days, and then every order is denied"
    assert "[eur_rate.follow]" in warned.fix


def test_a_rate_that_is_good_for_longer_passes(tmp_path: Path) -> None:
    assert found(tmp_path, ending_in(3.5)) == "1.09 USDT per EUR, good for 3 more days"


def test_a_rate_that_has_ended_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found(tmp_path, ending_in(-1))
    assert caught.value.code == "rate-stale"


def test_a_rate_that_follows_a_source_does_not_end(tmp_path: Path) -> None:
    assert found(tmp_path, TEAM) == "follows ecb from 1.0925 to 1.2075 USDT per EUR, and does not end"
