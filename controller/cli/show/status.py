"""Verbs that show a running controller: status, gates, orders, fills, balances. ``cli.app`` adds them."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many to show, newest first.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")]
IntervalOption = Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between refreshes with --watch.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (status, gates, orders, fills, balances):
        app.command()(verb)


def status(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    interval: IntervalOption = 1.0,
) -> None:
    """Show stage, exposure, coverage and the possible next steps."""
    from rich.live import Live

    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.status_view import status_panel

    with OperatorClient(directory) as client:
        if output is Output.JSON:
            print_json(client.status())
            while watch:
                time.sleep(interval)
                print_json(client.status())
            return
        console = stdout()
        if not watch or not console.is_terminal:
            console.print(status_panel(client.status(), directory))
            return
        with Live(status_panel(client.status(), directory), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                live.update(status_panel(client.status(), directory), refresh=True)


def gates(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    interval: IntervalOption = 2.0,
) -> None:
    """Show the gates of the next steps up, rule by rule: what is measured, what is missing, and by when at the present pace."""
    from rich.live import Live

    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.gates_view import gates_page

    with OperatorClient(directory) as client:
        if output is Output.JSON:
            print_json(client.gates())
            while watch:
                time.sleep(interval)
                print_json(client.gates())
            return
        console = stdout()
        if not watch or not console.is_terminal:
            console.print(gates_page(client.gates(), client.status()))
            return
        with Live(gates_page(client.gates(), client.status()), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                live.update(gates_page(client.gates(), client.status()), refresh=True)


def orders(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE, limit: LimitOption = 20) -> None:
    """List the latest orders."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import clock, print_json, stdout, table

    with OperatorClient(directory) as client:
        found = client.orders(limit)
    if output is Output.JSON:
        print_json(found)
        return
    rows = [
        (
            clock(o.at_ms),
            o.client_id,
            o.venue,
            o.side,
            o.type,
            o.price or "–",
            o.quantity or o.quote_quantity or "–",
            o.executed,
            o.status,
        )
        for o in found
    ]
    columns = ("at (UTC)", "client id", "venue", "side", "type", "price", "quantity", "executed", "status")
    stdout().print(table(columns, rows, right=("price", "quantity", "executed")))


def fills(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE, limit: LimitOption = 20) -> None:
    """List the latest fills."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import clock, print_json, stdout, table

    with OperatorClient(directory) as client:
        found = client.fills(limit)
    if output is Output.JSON:
        print_json(found)
        return
    rows = [
        (
            clock(f.at_ms),
            f.client_id,
            f.venue,
            f.side,
            f.price,
            f.quantity,
            f"{f.fee} {f.fee_asset}",
            "maker" if f.maker else "taker",
        )
        for f in found
    ]
    columns = ("at (UTC)", "client id", "venue", "side", "price", "quantity", "fee", "role")
    stdout().print(table(columns, rows, right=("price", "quantity", "fee")))


def balances(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """List the balances of every venue."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.shared.output import print_json, stdout, table

    with OperatorClient(directory) as client:
        found = client.balances()
    if output is Output.JSON:
        print_json(found)
        return
    stdout().print(table(("venue", "asset", "total"), [(b.venue, b.asset, b.total) for b in found], right=("total",)))
