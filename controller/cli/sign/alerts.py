"""``gatehouse ack-alert``: acknowledge an alert with a signed command. ``controller.cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(ack_alert)


def ack_alert(
    alert: Annotated[str, typer.Argument(metavar="ID", help="The alert's id, as `gatehouse status` lists it.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Acknowledge an alert: you have read it and handle it. One signature by any key is enough. It lifts no halt."""
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    carry_out(make_request(Verb.ACK_ALERT, reason=reason, subject=alert), key, directory, output)
