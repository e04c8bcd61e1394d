"""``gatehouse doctor``: prints one row per check, each with its fix. ``cli.app`` adds it."""

from __future__ import annotations

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(doctor)


def doctor(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Check settings, policy, keys and their ends, disk, journal, checkpoints, ports, venues, clock, accounts. It places no order.

    FAIL has to be fixed and WARN should be. SKIP was not checked because of another row, so one cause has one FAIL. The exit code
    is 1 with a FAIL, else 0. In JSON "ok" is true for PASS and WARN, false for FAIL, and null for SKIP.
    """
    from controller.cli.doctor.checks import run_checks
    from controller.cli.shared.output import print_json, stdout, styled, table

    results = run_checks(directory)
    if output is Output.JSON:
        print_json(
            [
                {
                    "check": one.name,
                    "ok": None if one.skipped else one.ok,
                    "verdict": one.verdict,
                    "found": one.found,
                    "fix": one.fix,
                }
                for one in results
            ]
        )
    else:
        rows = [(one.name, styled(one.verdict), one.found, one.fix) for one in results]
        stdout().print(table(("check", "verdict", "found", "fix"), rows))
    if not all(one.ok for one in results):
        raise typer.Exit(1)
