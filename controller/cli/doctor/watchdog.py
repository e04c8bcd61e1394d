"""The check of ``gatehouse doctor`` that a dead man's switch is there. ``doctor.verb`` calls it."""

from __future__ import annotations

from controller.cli.doctor.result import CheckResult
from controller.settings.deployment import Settings


def check_watchdog(settings: Settings) -> CheckResult:
    """A warning without one: nothing cancels the open orders of a controller that dies."""
    watchdog = settings.watchdog
    if not watchdog.enabled:
        return CheckResult(
            "watchdog",
            ok=True,
            found="none: when the controller dies or freezes, its open orders stay open",
            fix="Add the two lines [watchdog] and enabled = true at the end of gatehouse.toml, then restart the controller. "
            "With real money it needs a second exchange key (ops/docs/watchdog.md).",
            warns=True,
        )
    where = f"at {watchdog.address}" if watchdog.address else "on this host"
    return CheckResult("watchdog", ok=True, found=f"{where}, lease {watchdog.lease_s} s")
