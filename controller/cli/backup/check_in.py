"""Tells Sentry's monitor whether a copy was made, where ``SENTRY_DSN`` is set. ``gatehouse backup create`` calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.settings.deployment import load_settings
from controller.telemetry import sentry
from controller.telemetry.check_ins import BACKUP, Status
from controller.telemetry.redact import Redactor
from controller.version import VERSION


@contextmanager
def checked_in(directory: Path) -> Iterator[None]:
    """Check in when the copy begins, and with its outcome. Waits a few seconds at most until Sentry has it."""
    settings = load_settings(directory)
    reports = sentry.from_environment(
        controller_id=settings.controller_id, environment=settings.environment.value, version=VERSION, redactor=Redactor()
    )
    began, check_in_id = time.monotonic(), reports.check_in(BACKUP, Status.IN_PROGRESS)
    status = Status.ERROR
    try:
        yield
        status = Status.OK
    finally:
        reports.check_in(BACKUP, status, check_in_id=check_in_id, duration_s=time.monotonic() - began)
        asyncio.run(reports.aclose())
