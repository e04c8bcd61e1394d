"""``gatehouse rebaseline``: accept the balances that a venue shows, by signature. ``controller.cli.app`` adds it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb


class Account(StrEnum):
    """The accounts that can get a new baseline."""

    LIVE = "live"
    TESTNET = "testnet"


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(rebaseline)


def rebaseline(
    venue: Annotated[Account, typer.Option(help="Whose balances to accept.")],
    key: KeysOption,
    reason: ReasonOption,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Sign without being asked, for scripts; the difference is shown.")
    ] = False,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Accept the balances that a venue shows, as neither gain nor loss: the owner took money out, or a testnet began anew.

    Shows the difference of every asset, asks, and signs exactly that. Only while nothing is open at the venue, at any stage, also
    while HALTED. It lifts no halt: leave that with `gatehouse resume` or `gatehouse reset` as always.
    """
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    def ask(subject: str) -> None:
        _show(subject)
        if not yes:
            typer.confirm("Are these balances right?", abort=True, err=True)

    request = make_request(Verb.REBASELINE, reason=reason, subject=venue.value)
    carry_out(request, key, directory, output, before_signing=ask)


def _show(subject: str) -> None:
    from rich.table import Table

    from controller.cli.shared.output import stderr
    from policies import canonical

    document = canonical.decode(subject.encode())
    shown = Table("asset", "our books", f"{document['venue']} shows", "difference", title="What would be accepted")
    for asset, one in document["differences"].items():
        shown.add_row(asset, one["books"], one["venue"], one["by"])
    stderr().print(shown)
    if orders := document.get("orders"):
        stderr().print(f"Ends {len(orders)} orders of ours that {document['venue']} does not know any more: {', '.join(orders)}")
