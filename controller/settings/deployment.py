"""The settings of one deployment: ``gatehouse.toml`` in its directory, overridden by ``GATEHOUSE_*`` (architecture.md §10).

``bootstrap`` and ``cli`` load it. The file contains no secrets: it names the path of each, a systemd credential or a 0600 file.
Limits are not here but in the policy, which is digested and journalled.
"""

from __future__ import annotations

import os
import stat
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from controller.settings.alerts import AlertSettings
from controller.settings.backup import BackupSettings
from controller.settings.checkpoints import CheckpointSettings
from controller.settings.console import ConsoleSettings
from controller.settings.listen import Listen
from controller.settings.testnet import TestnetSettings, VenueSettings
from controller.settings.watchdog import WatchdogSettings
from exchange.ecb import ADDRESS
from exchange.errors import ConfigError
from exchange.ports import VenueName
from policies.stage import Environment

if TYPE_CHECKING:
    from controller.journal.location import JournalLocation

FILE_NAME = "gatehouse.toml"

_WRITE_IT = "Write the secret, and nothing else, into {path}, and run `chmod 600 {path}` as the user that runs gatehouse."


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GatewaySettings(Listen):
    """The gateway's address. ``strict_content_type``: a bot's write must say ``application/json``, even without a body."""

    strict_content_type: bool = False


class BotSettings(_Section):
    """One bot's gateway key. The bot never holds an exchange key."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{8,64}$")]
    secret_file: str


class SignerSettings(_Section):
    """The signer process, which holds the exchange secrets (ops/docs/signer.md); without this table they are in the controller.

    ``socket``: the path of a signer that runs as another user; without it ``gatehouse run`` starts one as its own.
    ``buys_per_day``: the buys it signs with real money in a day add up to at most this many times the cap. ``orders_per_second``:
    the rate of new orders for each account. ``answer_within_ms``: how long the controller waits for a signature.
    """

    socket: str = ""
    buys_per_day: Annotated[int, Field(ge=1, le=100_000)] = 500
    orders_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 15
    answer_within_ms: Annotated[int, Field(ge=20, le=2_000)] = 250


class DrillSettings(_Section):
    """What drills need beside the deployment. ``control_token_file`` opens the testnet's control endpoint (ops/docs/drills.md)."""

    control_token_file: str = "secrets/control.token"  # noqa: S105 - a file name


class RateSettings(_Section):
    """Where the EUR rate is read from, if the policy follows a source. ``ecb``: the address of the ECB's daily reference rates."""

    ecb: str = ADDRESS


class ReleaseSettings(_Section):
    """The bot's identity: a validation is valid for this release only.

    ``path``: the bot's file or directory, whose digest has to be ``artifact``; empty: nothing is compared (ops/docs/release.md).
    ``replay``: the command that decides again from the recorded market, in a copy of ``path``; empty: the bot offers none.
    ``replay_reads``: folders that it needs besides those of the system, such as a virtual environment (ops/docs/replay.md).
    """

    name: str
    version: str
    artifact: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    path: str = ""
    replay: tuple[str, ...] = ()
    replay_reads: tuple[Annotated[str, Field(pattern=r"^/[^:\n]+$")], ...] = ()


class Settings(BaseSettings):
    """All settings of ``gatehouse run`` that are not policy."""

    model_config = SettingsConfigDict(env_prefix="GATEHOUSE_", env_nested_delimiter="__", frozen=True, extra="forbid")

    controller_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    environment: Environment
    data: str = "var"
    policy: str = "policy.toml"
    roster: str = "roster.toml"
    release: ReleaseSettings
    gateway: GatewaySettings = GatewaySettings(port=8700)
    console: ConsoleSettings = ConsoleSettings()
    testnet: TestnetSettings
    live: VenueSettings
    signer: SignerSettings | None = None
    bots: tuple[BotSettings, ...]
    mock_balances: dict[str, Decimal]
    witnesses: tuple[str, ...] = ()
    checkpoints: tuple[CheckpointSettings, ...] = ()
    watchdog: WatchdogSettings = WatchdogSettings()
    drills: DrillSettings = DrillSettings()
    rates: RateSettings = RateSettings()
    alerts: AlertSettings = AlertSettings()
    backup: BackupSettings = BackupSettings()
    journal: Annotated[str, Field(pattern=r"^(postgres(ql)?://.+)?$")] = ""
    journal_secret_file: str = ""
    journal_synchronous: bool = False

    @model_validator(mode="after")
    def _watchdog_fits(self) -> Settings:
        production = self.environment is Environment.PRODUCTION
        if problem := self.watchdog.problem(production=production, live_key=self.live.api_key, shared=bool(self.journal)):
            raise ValueError(problem)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file."""
        return env_settings, init_settings


def _elsewhere(directory: Path) -> str:
    """What to do where there is no deployment; a folder beside or above that is one is named."""
    near = sorted(path.parent for path in directory.glob(f"*/{FILE_NAME}")) + [
        folder for folder in directory.resolve().parents if (folder / FILE_NAME).is_file()
    ]
    if near:
        others = f" Also near: {', '.join(map(str, near[1:4]))}." if near[1:] else ""
        return f"{near[0]} is a deployment: add --dir {near[0]} to the command, or set GATEHOUSE_DIR={near[0]}.{others}"
    return (
        "Go to the deployment's folder, or add --dir with that folder to the command. "
        "`gatehouse init DIR --profile demo` makes a new one."
    )


def _correction(where: str, path: Path) -> str:
    """What to write for a value that ``gatehouse init`` leaves empty; else only where to correct it."""
    known = {
        "release.artifact": "Run `gatehouse release digest BOT` with the bot's file or folder, and write what it prints as "
        "artifact "
        f"below [release] in {path}.",
        "live.api_key": f"Write the public half of the MEXC API key as api_key below [live] in {path}, and its secret into "
        f"the file "
        "that secret_file names there.",
    }
    return known.get(where, f"Correct {where} in {path}.")


def load_settings(directory: Path) -> Settings:
    """Read ``gatehouse.toml`` in ``directory``.

    Raises:
        ConfigError: the file is missing, is not TOML, or a value is missing or malformed.
    """
    path = directory / FILE_NAME
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", code="no-settings", remedy=_elsewhere(directory)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", code="bad-settings", remedy="Correct the named line.") from None
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the tables together"
        raise ConfigError(f"{path}: {where}: {first['msg']}", code="bad-settings", remedy=_correction(where, path)) from None


def journal_location(directory: Path, settings: Settings) -> JournalLocation:
    """Where the deployment's journal is: ``journal.db`` in its data directory, or the database that ``journal`` names.

    Raises:
        ConfigError: the database's password is missing or can be read by others.
    """
    # The signer and the watchdog read settings too, and open no journal.
    from controller.journal.location import location_of

    password = read_secret(directory, settings.journal_secret_file) if settings.journal_secret_file else None
    return location_of(directory / settings.data, settings.journal, password, synchronous=settings.journal_synchronous)


def require_signer(settings: Settings) -> None:
    """Raises ``ConfigError`` (``signer-missing``) for production settings without a signer process. Start and doctor call it."""
    if settings.environment is Environment.PRODUCTION and settings.signer is None:
        raise ConfigError(
            "in production the exchange secret must be in a process of its own",
            code="signer-missing",
            remedy="Add a line [signer] to gatehouse.toml; ops/docs/signer.md says what it does.",
        )


def secret_variable(venue: VenueName) -> str:
    """The environment variable that may hold a venue's secret instead of a file."""
    return f"GATEHOUSE_{venue.name}_SECRET"


def read_exchange_secret(directory: Path, settings: Settings, venue: VenueName) -> str:
    """A venue's secret: from its environment variable if that is set, else as ``read_secret``. The signer process calls it.

    Raises:
        ConfigError: as ``read_secret``.
    """
    account = settings.testnet if venue is VenueName.TESTNET else settings.live
    return os.environ.get(secret_variable(venue), "") or read_secret(directory, account.secret_file)


def read_secret(directory: Path, name: str) -> str:
    """A secret by name: a systemd credential that is named as the file is, or a 0600 file below the deployment's directory.

    Raises:
        ConfigError: it is missing, empty, or readable by others.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(credentials or "/nonexistent") / Path(name).name
    path = credential if credential.is_file() else directory / name
    try:
        if path != credential and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(
                f"{path} can be read by others",
                code="secret-exposed",
                remedy=f"Run `chmod 600 {path}`; if others use this machine, replace the secret too.",
            )
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the secret {path} cannot be read: {error}", code="no-secret", remedy=_WRITE_IT.format(path=path)
        ) from None
    if not secret:
        raise ConfigError(f"{path} is empty", code="no-secret", remedy=_WRITE_IT.format(path=path))
    return secret
