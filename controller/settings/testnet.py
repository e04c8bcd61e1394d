"""``[testnet]`` in ``gatehouse.toml``: its account, and in ``[testnet.run]`` the testnet that ``gatehouse run`` keeps (ADR 33)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from policies import canonical

STATE_DIRECTORY = "testnet"

KeyEnd = AwareDatetime | Literal["never"] | None
"""When an exchange key ends, as its owner writes it down: ``never`` for one that is bound to an address, ``None`` if not said."""


class VenueSettings(BaseModel):
    """One venue account. ``secret_file`` is relative to the deployment's directory, or the name of a systemd credential.

    ``api_key_ends``: when the key ends, which only the venue's page tells. ``gatehouse doctor`` warns before it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rest: str
    ws: str
    api_key: Annotated[str, Field(min_length=1)]
    api_key_ends: KeyEnd = None
    secret_file: str

    @property
    def fingerprint(self) -> str:
        """A digest of the venue's address and the public key; commands are signed for it."""
        return canonical.digest(canonical.encode({"rest": self.rest, "api_key": self.api_key}))


class OwnTestnetSettings(BaseModel):
    """``[testnet.run]``: with this table ``gatehouse run`` starts the testnet, starts it again when it ends, and ends it.

    Files are relative to the deployment's directory. ``state`` is where the testnet keeps its accounts, orders and ids; empty means
    ``testnet`` in the data directory. The other fields are the options of ``gatehouse testnet``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: str = "secrets/testnet-accounts.toml"
    state: str = ""
    feed: Literal["mexc-live", "tape", "synthetic"] = "mexc-live"
    symbol: str = "BTCUSDT"
    tapes: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    speed: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")] = "1"
    seed: int = 1
    fill_model: Literal["pessimistic", "base", "optimistic"] = "pessimistic"
    entry_latency: str = "assumed"
    response_latency: str = "0"

    def directory(self, deployment: Path, data: Path) -> Path:
        """The state directory."""
        return deployment / self.state if self.state else data / STATE_DIRECTORY

    def options(self, deployment: Path, data: Path, rest: str) -> tuple[str, ...]:
        """The options of ``gatehouse testnet`` for this testnet, which listens at the address ``rest``."""
        address = urlsplit(rest)
        market: tuple[str, ...] = ("--feed", self.feed, "--speed", self.speed, "--seed", str(self.seed))
        for tape in self.tapes:
            market += ("--tape", str(deployment / tape))
        for listed in self.listed:
            market += ("--list", listed)
        return (
            *("--host", address.hostname or "", "--port", str(address.port)),
            *("--accounts", str(deployment / self.accounts), "--state", str(self.directory(deployment, data))),
            *market,
            *("--loop", "--symbol", self.symbol, "--fill-model", self.fill_model),
            *("--entry-latency", self.entry_latency, "--response-latency", self.response_latency),
        )


class TestnetSettings(VenueSettings):
    """The testnet's account; ``run`` is the testnet that this host keeps, ``None`` when somebody else runs it."""

    __test__: ClassVar[bool] = False

    run: OwnTestnetSettings | None = None

    @model_validator(mode="after")
    def _is_here(self) -> TestnetSettings:
        address = urlsplit(self.rest)
        if self.run is not None and (address.scheme != "http" or not address.port or self.ws != f"ws://{address.netloc}/ws"):
            raise ValueError('[testnet.run] needs rest = "http://127.0.0.1:PORT" and ws = "ws://127.0.0.1:PORT/ws"')
        return self
