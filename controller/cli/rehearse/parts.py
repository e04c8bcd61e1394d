"""Makes the signer's service and the watchdog of a rehearsal as their own processes make them. ``rehearse.verb`` passes them on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from controller.cli.run.signer_run import open_service
from controller.cli.run.watchdog_run import Means, keys_of, open_watchdog
from controller.rehearsal.run import Processes
from controller.rehearsal.watchdog import Beside
from controller.settings.deployment import load_settings
from controller.watchdog.process import Watchdog


def processes() -> Processes:
    """What a deployment has in processes of their own."""
    return Processes(signer=open_service, watchdog=_watchdog)


def _watchdog(beside: Beside, tell: Callable[[str, str], None], stack: AsyncExitStack) -> Watchdog:
    settings = load_settings(beside.directory)
    means = Means(
        beside.directory / settings.data,
        keys_of(beside.directory, settings),
        "",
        beside.clock,
        beside.sites.network,
        beside.rng,
        beside.worker,
    )
    return open_watchdog(settings, means, tell, stack)
