"""Makes a ``TestnetConfig`` from ``gatehouse testnet``'s options. Accounts come from a 0600 file, or one from options."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.settings.state_directory import state_directory as of_this_user
from exchange.errors import ConfigError, UsageError
from exchange.matching.resting import FillModel
from exchange.matching.symbols import DEFAULT_RULES, rules_for, rules_like
from exchange.model import Millis, SymbolRules
from exchange.private_files import can_be_read_by_others
from exchange.tape import read, read_header
from exchange.testnet.access.auth import DEFAULT_PERMISSIONS, Permission
from exchange.testnet.conditions.latency import quantiles_of
from exchange.testnet.conditions.listings import SymbolName
from exchange.testnet.config import AccountConfig, TestnetConfig
from exchange.wire.profile import KycLevel


class Feed(StrEnum):
    """Where a testnet's market comes from."""

    TAPE = "tape"
    SYNTHETIC = "synthetic"
    MEXC_LIVE = "mexc-live"


DEFAULT_BALANCES: Mapping[str, Decimal] = {"USDT": Decimal(10000)}


class _Account(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    api_key: Annotated[str, Field(min_length=8)]
    secret: Annotated[str, Field(min_length=8)]
    balances: dict[str, Annotated[Decimal, Field(ge=0)]]
    permissions: frozenset[Permission] = DEFAULT_PERMISSIONS
    uid: str = ""
    master: str = ""
    kyc: KycLevel = KycLevel.PRIMARY
    mx_deduction: bool = False
    symbols: frozenset[SymbolName] | None = None
    addresses: frozenset[str] = frozenset()
    expires_at: Millis | None = None


class _Accounts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    account: tuple[_Account, ...]


def build(
    *,
    host: str,
    port: int,
    tapes: Sequence[Path],
    listed: Mapping[str, Decimal],
    speed: Decimal,
    loop: bool,
    seed: int,
    faults: Path | None,
    accounts_file: Path | None,
    one: AccountConfig | None,
    control_token_file: Path | None,
    fill_model: str = FillModel.PESSIMISTIC.value,
    entry_latency: str = "0",
    response_latency: str = "0",
    snapshots: Path | None = None,
    restore: Path | None = None,
    state: Path | None = None,
    attached: bool = False,
    strict: bool = False,
    identity: Path | None = None,
) -> TestnetConfig:
    """The venue the options describe. ``listed`` are further symbols with a generated market, and where each begins.

    Raises:
        ConfigError: a file is missing, malformed or readable by others, or an option makes no sense.
        UsageError: there is no account.
    """
    accounts = (*(read_accounts(accounts_file) if accounts_file is not None else ()), *((one,) if one is not None else ()))
    if not accounts:
        raise UsageError(
            "the venue has no account",
            code="testnet-no-account",
            remedy="Pass --accounts FILE, or --key with --secret and --balance.",
        )
    token = _private_text(control_token_file).strip() if control_token_file is not None else ""
    return TestnetConfig(
        accounts=accounts,
        host=host,
        port=port,
        tape=tapes[0] if tapes else None,
        more_tapes=tuple(tapes[1:]),
        start_prices=listed,
        speed=speed,
        loop=loop,
        seed=seed,
        faults=faults,
        control_token=token,
        fill_model=model(fill_model),
        entry_latency=latency(entry_latency, "--entry-latency"),
        response_latency=latency(response_latency, "--response-latency"),
        symbols=_symbols(tapes, listed),
        snapshots=snapshots,
        restore=restore,
        state=state,
        attached=attached,
        strict_signatures=strict,
        strict_content_type=strict,
        ids=secrets.token_hex(16),
        key_file=identity,
    )


def state_directory(chosen: Path | None, port: int, *, ephemeral: bool) -> Path | None:
    """Where the venue keeps its state, or ``None``: without ``--state`` one directory for each port, and none for a free port."""
    if ephemeral or (chosen is None and not port):
        if chosen is not None:
            raise UsageError(
                "--ephemeral keeps nothing, and --state says where to keep it",
                code="testnet-state-contradiction",
                remedy="Use one of the two.",
            )
        return None
    if chosen is not None:
        return chosen
    of_user = of_this_user()
    if of_user is None:
        raise UsageError(
            "this user has no home directory to keep the testnet's state in",
            code="testnet-state-homeless",
            remedy="Name a directory with --state DIR, or start it with --ephemeral.",
        )
    return of_user / f"testnet-{port}"


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
    """The accounts of a file with ``[[account]]`` tables: name, api_key, secret and a table of balances as strings.

    A table may also have what ``AccountConfig`` has: permissions, uid, master, kyc, mx_deduction, symbols, addresses, expires_at.
    """
    try:
        document = _Accounts.model_validate(tomllib.loads(_private_text(path), parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        raise _unusable(path, f"it is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise _unusable(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return tuple(AccountConfig(**dict(entry)) for entry in document.account)


def listed_symbols(texts: Sequence[str]) -> Mapping[str, Decimal]:
    """The symbols of ``--list`` and the price at which each begins. Raises ``UsageError`` for a price that is not positive."""
    listed = {symbol: decimal(price, "--list") for symbol, _, price in (text.partition("=") for text in texts)}
    if any(price <= 0 for price in listed.values()):
        raise UsageError("--list: a price must be above 0", code="not-a-number", remedy="Use --list ETHUSDT=3000.")
    return listed


def _symbols(tapes: Sequence[Path], listed: Mapping[str, Decimal]) -> tuple[SymbolRules, ...]:
    if tapes and listed:
        raise UsageError(
            "a generated market cannot be played beside a tape",
            code="feed-contradiction",
            remedy="Use --tape once for every symbol, or --list without --tape.",
        )
    if listed:
        return (*DEFAULT_RULES.values(), *(rules_like(symbol) for symbol in listed if symbol not in DEFAULT_RULES))
    return tuple(rules for tape in tapes for rules in tape_symbols(tape))


def tape_symbols(tape: Path) -> tuple[SymbolRules, ...]:
    """The rules of a tape's symbol where the testnet has none of its own for it. Raises as ``symbols.rules_for``."""
    symbol = read_header(tape).symbol
    return () if symbol in DEFAULT_RULES else (rules_for(read(tape))[symbol],)


def model(text: str) -> FillModel:
    """The fill model of that name."""
    try:
        return FillModel(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a fill model", code="fill-model-unknown", remedy=f"Choose one of {', '.join(FillModel)}."
        ) from None


def latency(text: str, option: str) -> tuple[int, ...]:
    """Quantiles in ms, as ``quantiles_of`` reads them. Raises ``UsageError`` naming the option."""
    try:
        return quantiles_of(text)
    except ConfigError as error:
        raise UsageError(f"{option}: {error.message}", code=error.code, remedy=error.remedy) from None


def feed(name: str | None, tape: Path | None, speed: Decimal) -> Feed:
    """Which market to play. Raises ``UsageError`` for options that contradict each other."""
    try:
        chosen = Feed(name) if name is not None else (Feed.SYNTHETIC if tape is None else Feed.TAPE)
    except ValueError:
        raise UsageError(f"{name!r} is not a feed", code="feed-unknown", remedy=f"Choose one of {', '.join(Feed)}.") from None
    if (chosen is Feed.TAPE) != (tape is not None):
        raise UsageError(
            "the feed 'tape' needs a tape, and the other feeds take none",
            code="feed-contradiction",
            remedy="Use --feed tape and --tape together, or neither.",
        )
    if chosen is Feed.MEXC_LIVE and speed != 1:
        raise UsageError("a live market has its own speed", code="feed-contradiction", remedy="Remove --speed, or play a tape.")
    return chosen


def decimal(text: str, option: str) -> Decimal:
    """A plain finite decimal. Raises ``UsageError`` naming the option."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise UsageError(
            f"{option}: {text!r} is not a number", code="not-a-number", remedy="Use a plain decimal number, as in 0.5 or 10000."
        )
    return value


def _private_text(path: Path) -> str:
    try:
        if can_be_read_by_others(path, path.stat()):
            raise ConfigError(f"{path} can be read by others", code="secret-exposed", remedy=f"Run `chmod 600 {path}`.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, str(error)) from None


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(f"{path} cannot be used: {why}", code="file-unusable", remedy="Correct the file, or pass another one.")
