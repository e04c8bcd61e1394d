"""``gatehouse doctor``: prints one row per check, each with its fix. ``cli.app`` adds it."""

from __future__ import annotations

import time

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(doctor)


def doctor(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Check settings, policy, roster, secrets, disk, journal, ports, venues and accounts. It places no order.

    A warning leaves the exit code at 0.
    """
    from controller.cli.doctor.checks import run_checks
    from controller.cli.doctor.roster import run_roster_checks
    from controller.cli.doctor.testnet import check_testnet_key
    from controller.cli.doctor.venues import run_venue_checks
    from controller.cli.doctor.watchdog import check_watchdog
    from controller.cli.shared.output import print_json, stdout, styled, table
    from controller.settings.deployment import load_settings
    from exchange.model import Millis

    results = run_checks(directory)
    if all(one.ok for one in results if one.name in {"settings", "policy"}):
        results += run_roster_checks(directory, load_settings(directory), Millis(time.time_ns() // 1_000_000))
        results += run_venue_checks(directory)
        results += check_testnet_key(directory)
    if results[0].ok:
        results.append(check_watchdog(load_settings(directory)))
    if output is Output.JSON:
        print_json(
            [{"check": one.name, "ok": one.ok, "verdict": one.verdict, "found": one.found, "fix": one.fix} for one in results]
        )
    else:
        rows = [(one.name, styled(one.verdict), one.found, one.fix) for one in results]
        stdout().print(table(("check", "verdict", "found", "fix"), rows))
    if not all(one.ok for one in results):
        raise typer.Exit(1)
