"""The processes that a controller keeps beside itself on this host: how each is started, and whether one runs (ADR 27, ADR 33).

``bootstrap`` keeps them running, and ``cli.run.beside_first`` starts them ahead.
"""

from __future__ import annotations

from pathlib import Path

from controller.settings.deployment import Settings

WATCHDOG_OUTPUT, TESTNET_OUTPUT = "watchdog.out", "testnet.out"
"""What each prints, in the data directory."""


def arguments_of_watchdog(directory: Path) -> tuple[str, ...]:
    """What ``gatehouse`` gets to run the watchdog of the deployment in ``directory``."""
    return ("watchdog", "--dir", str(directory.resolve()), "--attached")


def arguments_of_testnet(directory: Path, settings: Settings) -> tuple[str, ...]:
    """What ``gatehouse`` gets to run the testnet of ``[testnet.run]``, which is there."""
    run, folder = settings.testnet.run, directory.resolve()
    assert run is not None, "the caller asks for a testnet that the settings have"
    options = run.options(folder, (directory / settings.data).resolve(), settings.testnet.rest)
    token = folder / settings.drills.control_token_file
    if token.is_file():
        options += ("--control-token-file", str(token))
    return ("testnet", *options, "--attached")
