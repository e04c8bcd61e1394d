"""Traces for an OpenTelemetry collector (OTLP over HTTP), only with the standard ``OTEL_*`` variables. ``bootstrap`` creates them.

``spans`` exports the traces and ``meters`` the metrics. The SDK's own threads export from bounded queues; data that does not fit is
dropped, and nothing waits for a collector. Without configuration the SDK is not imported. Its providers are separate from the
process-wide ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from controller.telemetry.book import Book
from controller.telemetry.facade import OFF, Telemetry
from controller.telemetry.meters import Meters
from controller.telemetry.redact import Redactor
from exchange.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_METRICS = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")


def from_environment(*, controller_id: str, environment: str, version: str, redactor: Redactor) -> Telemetry:
    """Traces as the standard variables configure them; ``OFF`` when they name no endpoint.

    Raises:
        ConfigError: a protocol other than http/protobuf is configured.
    """
    if not _wanted(_TRACES, "OTEL_TRACES_EXPORTER"):
        return OFF
    _check_protocol(_PROTOCOLS[:2])
    from controller.telemetry.spans import Spans

    return Spans(resource(controller_id=controller_id, environment=environment, version=version), redactor)


def meters_from_environment(book: Book, *, controller_id: str, environment: str, version: str, redactor: Redactor) -> Meters:
    """The exports of metrics: always for Prometheus, and to a collector if the standard variables name one.

    Raises:
        ConfigError: a protocol other than http/protobuf is configured.
    """
    pushes = _wanted(_METRICS, "OTEL_METRICS_EXPORTER")
    if pushes:
        _check_protocol((_PROTOCOLS[0], _PROTOCOLS[2]))
    about = partial(resource, controller_id=controller_id, environment=environment, version=version)
    return Meters(book, redactor, about, otlp=pushes)


def _wanted(endpoint: str, exporter: str) -> bool:
    env = os.environ
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return bool(env.get(endpoint) or env.get(_BASE)) and env.get(exporter, "otlp") != "none"


def _check_protocol(names: Iterable[str]) -> None:
    for name in names:
        if (protocol := os.environ.get(name, "http/protobuf")) != "http/protobuf":
            raise ConfigError(
                f"{name}={protocol} is not supported", code="otel-protocol", remedy=f"Set {name}=http/protobuf, or remove it."
            )


def resource(*, controller_id: str, environment: str, version: str) -> Resource:
    """What every trace and metric is of: this controller. ``OTEL_SERVICE_NAME`` names it instead of ``gatehouse``."""
    from opentelemetry.sdk.resources import Resource

    attributes = {"service.version": version, "service.instance.id": controller_id, "deployment.environment.name": environment}
    return Resource.create(attributes if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "gatehouse", **attributes})
