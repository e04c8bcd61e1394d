"""Error reports and check-ins to Sentry, on only with ``SENTRY_DSN``. ``bootstrap`` creates it.

A separate client without integrations, breadcrumbs, local variables, request bodies and host name. Every event passes ``scrubber``
last; an event that cannot be scrubbed is not sent. The SDK's thread sends from a bounded queue, so nothing here waits.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from controller.telemetry.check_ins import Monitor, Status
from controller.telemetry.redact import Redactor
from exchange.errors import ConfigError

if TYPE_CHECKING:
    from sentry_sdk import Client, Scope
    from sentry_sdk.types import Event, Hint

CLOSE_S = 3
_QUEUE = 100
_KEPT = frozenset(
    {
        "event_id",
        "timestamp",
        "level",
        "logger",
        "message",
        "logentry",
        "exception",
        "tags",
        "fingerprint",
        "extra",
        "release",
        "environment",
        "platform",
        "sdk",
        "type",
        "contexts",
        "monitor_slug",
        "check_in_id",
        "status",
        "duration",
        "monitor_config",
    }
)


class Reports(Protocol):
    """The receiver of error reports. Never blocks, never raises."""

    def event(self, title: str, detail: str, *, level: str, tags: Mapping[str, str]) -> None:
        """Report something an operator should know."""
        ...

    def error(self, error: BaseException, *, tags: Mapping[str, str] | None = None) -> None:
        """Report an unexpected error, with its stack (no local variables)."""
        ...

    def at_stage(self, stage: str) -> None:
        """Say from now on at which stage the deployment is: it is Sentry's environment of every event."""
        ...

    def check_in(self, monitor: Monitor, status: Status, *, check_in_id: str = "", duration_s: float | None = None) -> str:
        """Check in at a monitor; returns the check-in's id, with which a later one ends what is in progress."""
        ...

    async def aclose(self) -> None:
        """Send what is queued, for at most a few seconds."""
        ...


class _NoReports:
    def event(self, title: str, detail: str, *, level: str, tags: Mapping[str, str]) -> None:
        pass

    def error(self, error: BaseException, *, tags: Mapping[str, str] | None = None) -> None:
        pass

    def at_stage(self, stage: str) -> None:
        pass

    def check_in(self, monitor: Monitor, status: Status, *, check_in_id: str = "", duration_s: float | None = None) -> str:  # noqa: ARG002 - off
        return ""

    async def aclose(self) -> None:
        pass


NO_REPORTS: Reports = _NoReports()
"""Reports that are switched off."""


def scrubber(redactor: Redactor) -> Callable[[Event, Hint], Event | None]:
    """A ``before_send`` that keeps only the listed parts of an event, without secrets."""

    def before_send(event: Event, _hint: Hint) -> Event | None:
        parts = cast("dict[str, Any]", event)
        kept = {name: part for name, part in parts.items() if name in _KEPT}
        for exception in (kept.get("exception") or {}).get("values", ()):
            for frame in (exception.get("stacktrace") or {}).get("frames", ()):
                for name in ("vars", "pre_context", "context_line", "post_context"):
                    frame.pop(name, None)
        return cast("Event", redactor.scrub(kept))

    return before_send


def from_environment(*, controller_id: str, environment: str, version: str, redactor: Redactor) -> Reports:
    """Reports to the project of ``SENTRY_DSN``; ``NO_REPORTS`` without it. ``SENTRY_RELEASE`` and ``SENTRY_ENVIRONMENT`` override.

    Raises:
        ConfigError: the DSN is malformed.
    """
    dsn = os.environ.get("SENTRY_DSN", "")
    if not dsn:
        return NO_REPORTS
    from sentry_sdk import Client, Scope
    from sentry_sdk.utils import BadDsn

    try:
        client = Client(
            dsn=dsn,
            release=os.environ.get("SENTRY_RELEASE") or f"gatehouse@{version}",
            environment=os.environ.get("SENTRY_ENVIRONMENT") or environment,
            before_send=scrubber(redactor),
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            include_local_variables=False,
            include_source_context=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            transport_queue_size=_QUEUE,
            shutdown_timeout=CLOSE_S,
            server_name="",
        )
    except BadDsn:
        raise ConfigError("SENTRY_DSN is malformed", code="bad-dsn", remedy="Copy it from the project's settings again.") from None
    scope = Scope()
    scope.set_client(client)
    return _SentryReports(client, scope, controller_id, environment)


class _SentryReports:
    def __init__(self, client: Client, scope: Scope, controller_id: str, environment: str) -> None:
        self._client = client
        self._scope = scope
        self._controller_id = controller_id
        self._tags = {"controller_id": controller_id, "environment": environment}
        self._stage = ""

    def at_stage(self, stage: str) -> None:
        self._stage = stage

    def _here(self) -> dict[str, str]:
        """Sentry's environment of an event: the stage, unless an operator has named another."""
        return {"environment": self._stage} if self._stage and not os.environ.get("SENTRY_ENVIRONMENT") else {}

    def event(self, title: str, detail: str, *, level: str, tags: Mapping[str, str]) -> None:
        event = {
            "message": title,
            "level": level,
            "logger": "gatehouse",
            "tags": {**self._tags, **tags},
            **self._here(),
            "extra": {"detail": detail},
            "fingerprint": ["gatehouse", tags.get("kind", ""), title],
        }
        self._client.capture_event(cast("Event", event), scope=self._scope)

    def error(self, error: BaseException, *, tags: Mapping[str, str] | None = None) -> None:
        from sentry_sdk.utils import event_from_exception

        event, hint = event_from_exception(error, client_options=self._client.options)
        event["tags"] = {**self._tags, **(tags or {})}
        event.update(cast("Any", self._here()))
        self._client.capture_event(event, hint=hint, scope=self._scope)

    def check_in(self, monitor: Monitor, status: Status, *, check_in_id: str = "", duration_s: float | None = None) -> str:
        # Not at the stage: a monitor waits for check-ins in each environment, and one of a stage that was left would be missing.
        check_in_id = check_in_id or uuid.uuid4().hex
        event = {
            "type": "check_in",
            "monitor_slug": monitor.slug(self._controller_id),
            "monitor_config": monitor.config,
            "check_in_id": check_in_id,
            "status": status.value,
            "duration": duration_s,
        }
        self._client.capture_event(cast("Event", event), scope=self._scope)
        return check_in_id

    async def aclose(self) -> None:
        await asyncio.to_thread(self._client.close, CLOSE_S)
