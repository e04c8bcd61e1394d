"""``gatehouse flatten``: sell what gatehouse bought, with one signature. ``controller.cli.app`` adds it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb

if TYPE_CHECKING:
    from controller.console.flatten import FlattenView

LOOK_EVERY_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(flatten)


def flatten(
    key: KeysOption,
    reason: ReasonOption,
    symbol: Annotated[str | None, typer.Argument(metavar="[SYMBOL]", help="What to sell; by default every symbol.")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
) -> None:
    """Sell what gatehouse bought, at any stage, also while HALTED. What the account held before stays.

    Every order is cancelled first. Then it sells in small orders at market prices, as the policy's section \\[flatten] says, and
    ends by saying what is left and why. One signature is enough. `gatehouse halt` ends it.

    The exit code is 1 if something that could be sold is left. Ctrl-C ends only the display.
    """
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.shared.symbols import typed_symbol
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out
    from controller.core.decisions.flatten import ALL

    request = make_request(Verb.FLATTEN, reason=reason, subject=typed_symbol(symbol) if symbol else ALL)
    carry_out(request, key, directory, output, show_receipt=output is Output.TABLE or not watch)
    if not watch:
        return
    ended = _watch(directory)
    if output is Output.JSON:
        print_json(ended)
    else:
        stdout().print(ended.line)
    if not ended.complete:
        raise typer.Exit(1)


def _watch(directory: Path) -> FlattenView:
    """Wait until the flatten ends; the policy bounds how long that takes."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import stderr

    with OperatorClient(directory) as client, stderr().status("gatehouse sells what it bought") as progress:
        while True:
            view = client.status().flatten
            if view is not None and view.ended_at_ms is not None:
                return view
            if view is not None:
                progress.update(view.line)
            time.sleep(LOOK_EVERY_S)
