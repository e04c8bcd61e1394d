"""``gatehouse alerts list|show|test``. ``controller.cli.app`` adds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

if TYPE_CHECKING:
    from controller.cli.alerts.view import Tried

app = typer.Typer(help="See what is alerted, what an alert means, and whether the channels deliver.", no_args_is_help=True)


@app.command("list")
def list_alerts(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """List the alerts that nobody acknowledged: since when, whether the condition goes on, and which channels took them over."""
    from controller.cli.alerts.view import open_alerts
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import print_json, stdout

    with OperatorClient(directory) as client:
        found = client.status().oversight.alerts
    if output is Output.JSON:
        print_json(found)
        return
    stdout().print(open_alerts(found))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="KIND|ID", help="A kind, as in `halted`, or the id of an open alert.")],
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what an alert means, what to do, and the page to read. A kind needs no running controller."""
    from controller.cli.alerts.view import explained, kind_of
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import print_json, stdout
    from exchange.errors import UsageError

    kind, found = kind_of(name), None
    if kind is None:
        with OperatorClient(directory) as client:
            found = next((one for one in client.status().oversight.alerts if one.id == name), None)
        if found is None:
            raise UsageError(
                f"{name[:40]!r} is no kind of alert, and no open alert has this id",
                code="no-such-alert",
                remedy="Use an id of `gatehouse alerts list`, or a kind of ops/docs/alerts.md.",
            )
    shown = explained(found.kind if found is not None else name, found)
    if output is Output.JSON:
        print_json({label.replace(" ", "_"): value for label, value in shown.items()})
        return
    stdout().print("\n".join(f"{label}: {value}" for label, value in shown.items()))


@app.command("test")
def try_all(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Send a labelled test through every channel, and say for each whether it was handed over, and why not.

    It reads the channels of gatehouse.toml by itself, so run it as the user that runs gatehouse. No controller has to run.
    """
    from controller.cli.alerts.trying import try_channels
    from controller.cli.alerts.view import tried_table
    from controller.cli.shared.output import print_json, stdout

    tried: list[Tried] = try_channels(directory)
    if output is Output.JSON:
        print_json([one.as_json() for one in tried])
    else:
        stdout().print(tried_table(tried))
    if any(not one.handed_over for one in tried):
        raise typer.Exit(6)
