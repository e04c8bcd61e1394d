"""Making a deployment's directory."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.output import Output, OutputOption


class Profile(StrEnum):
    """What kind of deployment to make."""

    SOLO = "solo"
    TEAM = "team"
    DEMO = "demo"


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it does not exist; must be empty.")],
    profile: Annotated[Profile, typer.Option(help="demo: two persons, two local venues, a sample bot.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a new deployment: settings, policy, roster and fresh keys. Every secret is its owner's alone (mode 0600)."""
    from controller.cli.demo.deployment import DEFAULT_PORTS, write_deployment
    from controller.cli.output import print_json, stdout, table
    from exchange.errors import UsageError

    if profile is not Profile.DEMO:
        raise UsageError(
            f"the profile {profile} is not covered by this version: it would reach the real exchange",
            code="profile-not-covered",
            remedy="Use --profile demo, which reaches nothing but this machine.",
        )
    written = write_deployment(directory, DEFAULT_PORTS)
    if output is Output.JSON:
        print_json({"directory": str(directory), "files": [{"file": str(path), "purpose": purpose} for path, purpose in written]})
        return
    console = stdout()
    console.print(table(("file", "what it is"), written))
    console.print(f"Next: `gatehouse doctor --dir {directory}`, then `gatehouse run --dir {directory}` once its venues are up.")
