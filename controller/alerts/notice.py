"""A notice: one alert as a channel sends it. ``delivery`` makes notices, channels send them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from controller.core.alert_catalogue import ALERTS, Severity, severity_of
from controller.core.effects import Alert, AlertKind
from exchange.errors import GatehouseError
from exchange.model import Millis

REPOSITORY_PAGES = "ops/docs/"


class ChannelError(GatehouseError):
    """A channel did not take a notice over. The message never contains an address or a token."""

    exit_code = 6


class Channel(Protocol):
    """A way to a person. ``name`` is the name in the settings; the address is a secret."""

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        ...

    def send(self, notice: Notice) -> None:
        """Hand a notice over. It may block; ``delivery`` gives it a thread of its own.

        Raises:
            ChannelError: it was not taken over, and why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Which deployment speaks."""

    controller_id: str
    environment: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert on its way. ``dropped``: how many notices this channel dropped before it. ``test``: nothing happened."""

    source: Source
    kind: AlertKind
    title: str
    detail: str
    at: Millis
    step: int = 0
    dropped: int = 0
    test: bool = False

    @property
    def severity(self) -> Severity:
        """How much it hurries."""
        return severity_of(self.kind)

    @property
    def subject(self) -> str:
        """One line for a list of messages."""
        label = "TEST" if self.test else self.severity.value.upper()
        again = f" (escalated {self.step}×)" if self.step else ""
        return f"[{label}] {self.source.controller_id}: {self.title}{again}"[:200]

    @property
    def text(self) -> str:
        """The whole message for a person: what, why, what to do."""
        spec = ALERTS[self.kind]
        when = f"{datetime.fromtimestamp(self.at / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
        lines = [
            self.detail,
            "",
            f"Alert {self.kind.value}, {self.severity.value}, of {self.source.controller_id} ({self.source.environment}), {when}.",
        ]
        if self.test:
            lines.append("This is a test: nothing happened, and nothing is to be done.")
        else:
            lines += [spec.meaning, f"What to do: {spec.action}", f"Page: {REPOSITORY_PAGES}{spec.page}"]
            if self.severity is not Severity.INFO:
                lines.append("It waits for an acknowledgement: see `gatehouse alerts list`, then `gatehouse ack-alert`.")
        if self.dropped:
            lines.append(f"{self.dropped} alerts before this one were dropped: the channel did not take them over in time.")
        return "\n".join(lines)

    def body(self, identity: str) -> bytes:
        """The notice as canonical JSON, for a program. ``identity`` is the same for every attempt."""
        spec = ALERTS[self.kind]
        values = {
            "id": identity,
            "controller_id": self.source.controller_id,
            "environment": self.source.environment,
            "kind": self.kind.value,
            "severity": self.severity.value,
            "title": self.title,
            "detail": self.detail,
            "meaning": spec.meaning,
            "action": spec.action,
            "page": f"{REPOSITORY_PAGES}{spec.page}",
            "at_ms": self.at,
            "step": self.step,
            "dropped": self.dropped,
            "test": self.test,
        }
        return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def notice_of(alert: Alert, source: Source, at: Millis) -> Notice:
    """The notice of an alert."""
    return Notice(source, alert.kind, alert.title, alert.detail, at, alert.step)
