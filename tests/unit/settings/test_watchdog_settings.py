"""The ``[watchdog]`` table: its floors, its addresses, its keys."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.settings.watchdog import LEASE_FLOOR_S, SOCKET_FILE, WatchdogSettings

OWN = {"api_key": "mx0dog", "secret_file": "dog.secret"}


def table(**values: Any) -> WatchdogSettings:
    return WatchdogSettings(**({"enabled": True} | values))


def test_without_the_table_there_is_none() -> None:
    assert not WatchdogSettings().enabled


@pytest.mark.parametrize(("lease_s", "fits"), [(LEASE_FLOOR_S, True), (LEASE_FLOOR_S - 1, False)])
def test_a_lease_with_real_money_has_a_floor_of_ten_seconds(lease_s: int, fits: bool) -> None:
    problem = table(lease_s=lease_s, **OWN).problem(production=True, live_key="mx0abc", shared=False)
    assert (problem == "") is fits


def test_a_simulated_venue_allows_a_shorter_lease() -> None:
    assert table(lease_s=1).problem(production=False, live_key="mx0abc", shared=False) == ""
    with pytest.raises(ValidationError):
        table(lease_s=0)


@pytest.mark.parametrize("own", [{}, {"api_key": "mx0abc", "secret_file": "dog.secret"}], ids=["none", "the controller's"])
def test_with_real_money_the_key_is_its_own(own: dict[str, str]) -> None:
    assert "live.api_key" in table(**own).problem(production=True, live_key="mx0abc", shared=False)
    assert table(**own).problem(production=False, live_key="mx0abc", shared=False) == ""


def test_a_key_needs_its_secret() -> None:
    assert "belong together" in table(api_key="mx0dog").problem(production=False, live_key="mx0abc", shared=False)


@pytest.mark.parametrize(
    "address", ["8.8.8.8:8730", "0.0.0.0:8730", "example.com:8730", "10.0.0.2", "10.0.0.2:0", "10.0.0.2:70000"]
)
def test_only_private_addresses_are_listened_on(address: str) -> None:
    with pytest.raises(ValidationError):
        table(address=address)


def test_another_host_needs_a_shared_token() -> None:
    assert "token_file" in table(address="10.0.0.2:8730").problem(production=False, live_key="", shared=False)
    assert table(address="10.0.0.2:8730", token_file="t").problem(production=False, live_key="", shared=False) == ""


def test_two_hosts_on_one_journal_share_a_watchdog() -> None:
    assert "both need the same watchdog" in table().problem(production=False, live_key="", shared=True)
    assert table(address="10.0.0.2:8730", token_file="t").problem(production=False, live_key="", shared=True) == ""


def test_it_listens_on_a_socket_in_the_data_directory_by_default() -> None:
    assert table().where(Path("var")) == Path("var") / SOCKET_FILE
    assert table(address="[::1]:8730").where(Path("var")) == ("::1", 8730)


def test_real_money_requires_a_watchdog_that_answers() -> None:
    assert table().is_required(production=True)
    assert not table().is_required(production=False)
    assert not table(required=False).is_required(production=True)
