"""The events about who may use the gateway, what waits for a human, and practised halts. Part of ``controller.events``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from controller.event import Event
from exchange.ports import VenueName
from policies.stage import Stage


class AdoptedKey(BaseModel):
    """One bot's gateway key as it was read from the settings; of its secret the journal holds a digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bot: str
    key: str
    secret_digest: str


class BotKeysAdopted(Event):
    """The gateway keys found in the settings by a journal that had never heard of any; from here on keys need a signature."""

    keys: tuple[AdoptedKey, ...]


class BotKeyIssued(Event):
    """A bot may use the gateway with this key and the secret of this digest, in place of any secret the key had before."""

    bot: str
    key: str
    secret_digest: str
    command_id: str


class BotKeyRevoked(Event):
    """A gateway key is dead for ever."""

    bot: str
    key: str
    command_id: str


class AlertRaised(Event):
    """Something a human must answer for that no other entry says. ``about`` is an ``AlertKind``."""

    about: str
    title: str
    detail: str


class AlertAcknowledged(Event):
    """A human has seen an alert and answers for it. Nothing else changes."""

    alert: str
    persons: tuple[str, ...]
    command_id: str


class DrillStarted(Event):
    """A halt is practised: no permit, every order of the venue cancelled, until it is verified empty or ``deadline`` is over."""

    command_id: str
    venue: VenueName
    stage: Stage
    deadline: int


class DrillFinished(Event):
    """The venue is verified empty: how long that took, in microseconds on the monotonic clock, and how many orders were denied."""

    command_id: str
    venue: VenueName
    breach_to_latch_us: int
    latch_to_cancelled_us: int
    cancelled: int
    denied: int
    verified_empty: bool
