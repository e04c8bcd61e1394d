"""From ``gatehouse testnet``'s options to a ``TestnetConfig``. Accounts come from a 0600 file or, for one, from options."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exchange.errors import ConfigError, UsageError
from exchange.testnet.config import AccountConfig, TestnetConfig

DEFAULT_BALANCES: Mapping[str, Decimal] = {"USDT": Decimal(10000)}


class _Account(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    api_key: Annotated[str, Field(min_length=8)]
    secret: Annotated[str, Field(min_length=8)]
    balances: dict[str, Annotated[Decimal, Field(ge=0)]]


class _Accounts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    account: tuple[_Account, ...]


def build(
    *,
    host: str,
    port: int,
    tape: Path | None,
    speed: Decimal,
    loop: bool,
    seed: int,
    faults: Path | None,
    accounts_file: Path | None,
    one: AccountConfig | None,
    control_token_file: Path | None,
) -> TestnetConfig:
    """The venue the options describe.

    Raises:
        ConfigError: a file is missing, malformed or readable by others, or an option makes no sense.
        UsageError: there would be no account at all.
    """
    accounts = (*(read_accounts(accounts_file) if accounts_file is not None else ()), *((one,) if one is not None else ()))
    if not accounts:
        raise UsageError(
            "the venue would have no account",
            code="testnet-no-account",
            remedy="Pass --accounts FILE, or --key with --secret and --balance.",
        )
    token = _private_text(control_token_file).strip() if control_token_file is not None else ""
    return TestnetConfig(
        accounts=accounts, host=host, port=port, tape=tape, speed=speed, loop=loop, seed=seed, faults=faults, control_token=token
    )


def one_account(key: str | None, secret: str | None, balances: Sequence[str]) -> AccountConfig | None:
    """The account of ``--key``, ``--secret`` and ``--balance``; ``None`` without a key."""
    if key is None or secret is None:
        if key is not None or balances:
            raise UsageError(
                "an account needs both a key and a secret",
                code="testnet-account-incomplete",
                remedy="Pass --key and --secret, or GATEHOUSE_TESTNET_SECRET, or --accounts FILE.",
            )
        return None
    parsed = {asset: decimal(amount, "--balance") for asset, _, amount in (text.partition("=") for text in balances)}
    return AccountConfig(name="default", api_key=key, secret=secret, balances=parsed or DEFAULT_BALANCES)


def read_accounts(path: Path) -> tuple[AccountConfig, ...]:
    """The accounts of a file with ``[[account]]`` tables: name, api_key, secret and a table of balances as strings."""
    try:
        document = _Accounts.model_validate(tomllib.loads(_private_text(path), parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, f"it is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise _unusable(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return tuple(
        AccountConfig(name=entry.name, api_key=entry.api_key, secret=entry.secret, balances=entry.balances)
        for entry in document.account
    )


def decimal(text: str, option: str) -> Decimal:
    """A plain finite decimal. Raises ``UsageError`` naming the option."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise UsageError(
            f"{option}: {text!r} is not a number", code="not-a-number", remedy="Give a plain decimal, as in 0.5 or 10000."
        )
    return value


def _private_text(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} can be read by others", code="secret-exposed", remedy=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, str(error)) from None


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} cannot be used: {why}", code="file-unusable", remedy="Mend the file, or give another.")
