"""``gatehouse doctor`` says when an exchange key ends, as far as its owner has written it down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.cli.doctor.ends import check_key_end
from controller.cli.doctor.result import Warned
from controller.settings.deployment import load_settings
from controller.settings.key_ends import keys_that_end
from controller.settings.testnet import KeyEnd, VenueSettings
from exchange.errors import ConfigError
from exchange.model import Millis
from tests.support.cli_kit import Run, printed

NOW = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
NOW_MS = Millis(int(NOW.timestamp() * 1000))


def found(ends: KeyEnd) -> str | Warned:
    key = VenueSettings(
        rest="https://api.mexc.com", ws="wss://wbs-api.mexc.com/ws", api_key="mx0", secret_file="s", api_key_ends=ends
    )
    return check_key_end("[live]", key, NOW_MS)


def test_a_key_that_ends_in_20_hours_warns_with_hours_and_what_to_do() -> None:
    warned = found(NOW + timedelta(hours=20, minutes=30))
    assert isinstance(warned, Warned)
    assert warned.found == "it ends in 20 hours, on 2026-11-30 10:30 UTC, and then no order and no cancel passes"
    assert "Renew it on MEXC's page" in warned.fix
    assert "api_key_ends below [live]" in warned.fix


def test_a_key_whose_end_nobody_wrote_down_is_unknown() -> None:
    warned = found(None)
    assert isinstance(warned, Warned)
    assert warned.found.startswith("its end is unknown")
    assert 'api_key_ends = "never"' in warned.fix


def test_a_key_that_has_ended_fails() -> None:
    with pytest.raises(ConfigError, match="ended on 2026-11-29 13:00 UTC"):
        found(NOW - timedelta(hours=1))


def test_a_bound_key_and_one_with_time_left_pass() -> None:
    assert found("never") == "gatehouse.toml says that it is bound to an address and does not end"
    assert found(NOW + timedelta(days=5)) == "good for 5 days, until 2026-12-04 14:00 UTC"


def test_the_end_of_a_key_is_read_from_the_settings(run: Run, deployment: Path) -> None:
    path = deployment / "gatehouse.toml"
    assert keys_that_end(load_settings(deployment)) == {}
    ends = datetime.now(UTC) + timedelta(hours=20, minutes=30)
    path.write_text(path.read_text().replace("[live]\n", f"[live]\napi_key_ends = {ends:%Y-%m-%dT%H:%M:%SZ}\n"))
    rows = {row["check"]: row for row in printed(run("doctor", "--dir", deployment, "-o", "json"))}
    assert (rows["exchange key [live]"]["verdict"], "20 hours" in rows["exchange key [live]"]["found"]) == ("WARN", True)


def test_an_end_without_a_time_zone_is_refused(deployment: Path) -> None:
    path = deployment / "gatehouse.toml"
    path.write_text(path.read_text().replace("[live]\n", "[live]\napi_key_ends = 2027-01-31T00:00:00\n"))
    with pytest.raises(ConfigError, match="api_key_ends"):
        load_settings(deployment)


def test_in_production_both_exchange_keys_have_an_end_to_write_down(run: Run, tmp_path: Path) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("buy()")
    directory = tmp_path / "new"
    run("init", directory, "--profile", "solo", "--live-key", "mx0abc", "--watchdog-key", "mx0dog", "--bot", bot)
    assert set(keys_that_end(load_settings(directory))) == {"[live]", "[watchdog]"}
