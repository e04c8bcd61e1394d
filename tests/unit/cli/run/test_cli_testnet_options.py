"""The sources of the testnet's accounts, and the refusal of contradicting options."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from controller.cli.run.testnet_options import build, listed_symbols, one_account, read_accounts, state_directory
from exchange.errors import ConfigError, UsageError
from exchange.testnet.access.auth import Permission
from exchange.testnet.config import TestnetConfig
from exchange.wire.profile import KycLevel
from tests.support.cli_kit import Run, printed

GOOD = '[[account]]\nname = "bot"\napi_key = "mx0abcdefgh"\nsecret = "0123456789"\nbalances = { USDT = "10000.5", BTC = "1" }\n'


def private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


def test_accounts_come_from_a_private_file_with_exact_balances(tmp_path: Path) -> None:
    (account,) = read_accounts(private(tmp_path / "a.toml", GOOD))
    assert account.balances == {"USDT": Decimal("10000.5"), "BTC": Decimal(1)}


def test_an_accounts_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / "a.toml", GOOD)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        read_accounts(path)


@pytest.mark.parametrize("text", ["[[", "", GOOD.replace("10000.5", "NaN"), GOOD.replace("10000.5", "-1"), GOOD + "colour = 1\n"])
def test_a_malformed_accounts_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read_accounts(private(tmp_path / "a.toml", text))


def test_a_refusal_never_shows_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_accounts(private(tmp_path / "a.toml", GOOD.replace('"bot"', "7").replace("0123456789", "hush-hush-hush")))
    assert "hush-hush" not in refusal.value.message


def test_one_account_can_be_given_by_options() -> None:
    account = one_account("mx0abcdefgh", "0123456789", ["USDT=10000", "BTC=1"])
    assert account is not None
    assert account.balances == {"USDT": Decimal(10000), "BTC": Decimal(1)}


@pytest.mark.parametrize("balance", ["USDT", "USDT=", "USDT=much", "USDT=Infinity"])
def test_a_balance_that_is_no_number_is_a_usage_error(balance: str) -> None:
    with pytest.raises(UsageError):
        one_account("mx0abcdefgh", "0123456789", [balance])


def test_a_key_without_a_secret_is_a_usage_error(run: Run) -> None:
    result = run("testnet", "--key", "mx0abcdefgh", "-o", "json")
    assert result.exit_code == 2
    assert printed(result, error=True)["error"]["code"] == "testnet-account-incomplete"


def test_a_venue_without_accounts_is_a_usage_error(run: Run) -> None:
    assert run("testnet").exit_code == 2


def test_a_venue_never_listens_where_others_could_reach_it(run: Run, tmp_path: Path) -> None:
    result = run("testnet", "--host", "0.0.0.0", "--accounts", private(tmp_path / "a.toml", GOOD))
    assert result.exit_code == 2
    assert "127.0.0.1" in result.stderr


def test_an_account_s_table_says_what_its_key_may_do_and_whose_it_is(tmp_path: Path) -> None:
    more = 'permissions = ["SPOT_DEAL_READ"]\nmaster = "bot"\nuid = "42"\nkyc = "4"\n'
    more += 'symbols = ["BTCUSDT"]\naddresses = ["127.0.0.1"]\n'
    sub = GOOD.replace('"bot"', '"sub"').replace("mx0abcdefgh", "mx0abcdefgi") + more
    _, account = read_accounts(private(tmp_path / "a.toml", GOOD + sub))
    assert account.permissions == {Permission.SPOT_DEAL_READ}
    assert (account.master, account.uid, account.symbols, account.addresses) == ("bot", "42", {"BTCUSDT"}, {"127.0.0.1"})
    assert account.kyc is KycLevel.INSTITUTIONAL


def test_a_snapshot_that_is_not_there_is_told_before_anything_is_served(run: Run, tmp_path: Path) -> None:
    result = run(
        "testnet",
        "--key",
        "mx0abcdefgh",
        "--secret",
        "0123456789",
        "--restore",
        str(tmp_path / "no.json"),
        "--port",
        "0",
        "-o",
        "json",
    )
    assert (result.exit_code, printed(result, error=True)["error"]["code"]) == (1, "snapshot-damaged")


def test_further_symbols_are_listed_with_a_generated_market(tmp_path: Path) -> None:
    listed = listed_symbols(["ETHUSDT=3000", "MXEUR=2"])
    config = options(tmp_path, listed=listed)
    assert [one.symbol for one in config.symbols] == ["BTCUSDT", "ETHUSDT", "MXEUR"]
    assert (config.symbols[2].base, config.symbols[2].quote) == ("MX", "EUR")
    assert config.start_prices == {"ETHUSDT": Decimal(3000), "MXEUR": Decimal(2)}


@pytest.mark.parametrize("text", ["ETHUSDT", "ETHUSDT=0", "ETHUSDT=-1", "ETHUSDT=much"])
def test_a_listed_symbol_needs_a_price_above_zero(text: str) -> None:
    with pytest.raises(UsageError):
        listed_symbols([text])


def test_a_listed_symbol_whose_assets_cannot_be_told_apart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        options(tmp_path, listed={"ETHXYZ": Decimal(1)})


def test_a_generated_market_is_not_played_beside_a_tape(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        options(tmp_path, listed={"ETHUSDT": Decimal(1)}, tapes=[tmp_path / "any.tape.gz"])


def test_each_port_has_a_state_directory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory(None, 8710, ephemeral=False) == tmp_path / "gatehouse" / "testnet-8710"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory(None, 8711, ephemeral=False) == tmp_path / ".local/state/gatehouse/testnet-8711"
    assert state_directory(tmp_path / "mine", 8710, ephemeral=False) == tmp_path / "mine"


def test_a_user_without_a_home_has_to_name_the_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="no home directory"):
        state_directory(None, 8710, ephemeral=False)


def test_a_free_port_and_an_ephemeral_venue_keep_nothing(tmp_path: Path) -> None:
    assert state_directory(None, 0, ephemeral=False) is None
    assert state_directory(tmp_path, 0, ephemeral=False) == tmp_path
    assert state_directory(None, 8710, ephemeral=True) is None
    with pytest.raises(UsageError, match="--ephemeral"):
        state_directory(tmp_path, 8710, ephemeral=True)


def options(tmp_path: Path, **changes: Any) -> TestnetConfig:
    chosen: dict[str, Any] = {"tapes": [], "listed": {}, **changes}
    accounts = private(tmp_path / "a.toml", GOOD)
    return build(
        host="127.0.0.1",
        port=0,
        speed=Decimal(1),
        loop=False,
        seed=1,
        faults=None,
        accounts_file=accounts,
        one=None,
        control_token_file=None,
        **chosen,
    )
