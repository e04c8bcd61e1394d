"""``gatehouse update check``: what a change to this version does to a deployment, before it is made. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.shared.output import HERE, Output, OutputOption

if TYPE_CHECKING:
    from controller.cli.update.checks import UpdateReport

app = typer.Typer(help="Prepare a change of version.")


@app.callback()
def update() -> None:
    """Prepare a change of version."""


@app.command()
def check(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", envvar="GATEHOUSE_DIR", help="The deployment's directory, where gatehouse.toml is.")
    ] = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what this version of gatehouse does to a deployment that another version runs. It changes nothing.

    Install the new version beside the old one and run its `gatehouse update check DIR`; the old controller may run meanwhile. It
    reads and folds every entry of the journal, judges settings and policy by the new version's rules, and decides the first start.

    The exit code is 1 when this version cannot take the deployment over or something could not be checked, else 0. WARN rows name
    what is lost: a change of version voids the evidence of the present run.
    """
    from controller.cli.shared.output import print_json, stdout, styled, table
    from controller.cli.update.checks import look

    report = look(directory)
    if output is Output.JSON:
        print_json(document(report))
    else:
        rows = [(one.name, styled(one.verdict), one.found, one.fix) for one in report.rows]
        stdout().print(table(("check", "verdict", "found", "what to do"), rows))
        stdout().print(_next(report))
    if not report.ok:
        raise typer.Exit(1)


def document(report: UpdateReport) -> dict[str, Any]:
    """What was found, as JSON values. Durations are milliseconds; what could not be decided is ``null``."""
    from controller.version import VERSION

    start, folded, verified = report.start, report.folded, report.verified
    return {
        "ok": report.ok,
        "installed": VERSION,
        "written_by": folded.reached.gatehouse_version if folded is not None else None,
        "versions": folded.versions if folded is not None else None,
        "checks": [{"check": one.name, "verdict": one.verdict, "found": one.found, "fix": one.fix} for one in report.rows],
        "looser": [{"path": one.path, "measured": one.measured, "bound": one.bound, "why": one.why} for one in report.looser],
        "entries": verified.entries if verified is not None else None,
        "head": verified.head.hash if verified is not None else None,
        "start": None
        if start is None
        else {
            "stage": start.before,
            "becomes": start.after,
            "kept": start.kept and not start.again_ms,
            "lost_ms": start.lost_ms,
            "again_ms": start.again_ms,
            "cancels": start.cancels,
            "held": {asset: f"{amount:f}" for asset, amount in start.held.items()},
            "events": list(start.lines),
        },
        "next": _next(report),
    }


def _next(report: UpdateReport) -> str:
    if not report.ok:
        return "Do not change the version yet: a row says FAIL. The deployment was not changed."
    return (
        "Next: keep a backup of the deployment's folder, stop the controller, start this version, and look at `gatehouse status`. "
        "A step back to the old version works until this one has written something that the old one does not know "
        "(ops/docs/updating.md)."
    )
