"""``[alerts]`` in ``gatehouse.toml``: the channels, and when they are quiet (ADR 68, ops/docs/alerts.md). Part of ``Settings``."""

from __future__ import annotations

from datetime import time, tzinfo
from ipaddress import ip_network
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ChannelSettings(_Section):
    """``url_file`` names the file that holds the address, which is a secret.

    ``severity``: the least severe alert that the channel gets. ``step``: 0 gets an alert at once; 1 to 3 get a critical one that
    nobody acknowledged, after 15, 30 and 60 minutes.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    url_file: Annotated[str, Field(min_length=1, max_length=1000)]
    severity: Literal["info", "warning", "critical"] = "info"
    step: Annotated[int, Field(ge=0, le=3)] = 0


class AppriseSettings(_ChannelSettings):
    """A service that Apprise knows, by its URL."""

    to: Literal["apprise"]


class WebhookAlertSettings(_ChannelSettings):
    """A POST of JSON that is signed with the secret in ``secret_file``.

    ``private``: the addresses and networks inside your network that it may lead to.
    """

    to: Literal["webhook"]
    secret_file: Annotated[str, Field(min_length=1, max_length=1000)]
    private: tuple[str, ...] = ()

    @field_validator("private")
    @classmethod
    def _networks(cls, private: tuple[str, ...]) -> tuple[str, ...]:
        for one in private:
            ip_network(one, strict=False)
        return private


ChannelSettings = Annotated[AppriseSettings | WebhookAlertSettings, Field(discriminator="to")]


class AlertSettings(_Section):
    """The table. ``quiet_from`` and ``quiet_to`` are times of day in ``quiet_zone``, between which alerts that only inform wait."""

    channels: tuple[ChannelSettings, ...] = ()
    quiet_from: time = time(0)
    quiet_to: time = time(0)
    quiet_zone: str = "UTC"

    @field_validator("quiet_zone")
    @classmethod
    def _known_zone(cls, quiet_zone: str) -> str:
        try:
            ZoneInfo(quiet_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{quiet_zone!r} is not a time zone, as in Europe/Berlin") from None
        return quiet_zone

    @model_validator(mode="after")
    def _names_differ(self) -> AlertSettings:
        names = [one.name for one in self.channels]
        if len(set(names)) < len(names):
            raise ValueError("two channels have the same name")
        if self.channels and all(one.step for one in self.channels):
            raise ValueError("one channel at least needs step = 0, to get alerts at once")
        return self

    @property
    def zone(self) -> tzinfo:
        """The zone of the quiet hours."""
        return ZoneInfo(self.quiet_zone)
