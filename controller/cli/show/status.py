"""Verbs that show a running controller: status, gates, orders, fills, balances. ``cli.app`` adds them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

if TYPE_CHECKING:
    from rich.console import RenderableType

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many to show, newest first.")]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")]
WaitOption = Annotated[
    str, typer.Option("--wait-for", metavar="STAGE", help="Wait until the deployment is at this stage, then show it.")
]
WithinOption = Annotated[
    float | None, typer.Option(min=0, help="With --wait-for: give up after so many seconds, with exit code 7.")
]
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
    wait_for: WaitOption = "",
    within: WithinOption = None,
) -> None:
    """Show stage, exposure, coverage and the possible next steps."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.show.status_view import status_panel

    if wait_for:
        _wait(directory, wait_for, interval, within)
    with OperatorClient(directory) as client:

        def page() -> RenderableType:
            return status_panel(client.status(), directory)

        _show(client.status, page, page, output, every_s=interval if watch else None)


def _wait(directory: Path, stage: str, every_s: float, within_s: float | None) -> None:
    """Wait for a stage; what is waited for goes to standard error."""
    from controller.cli.shared.output import say
    from controller.cli.show.wait import Pace, wait_for_stage, wanted_stage

    wait_for_stage(directory, wanted_stage(stage), Pace(every_s, within_s, time.monotonic, time.sleep), say)


def gates(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    watch: WatchOption = False,
    interval: IntervalOption = 2.0,
) -> None:
    """Show the gates of the next steps up, rule by rule: what is measured, what is missing, and by when at the present pace."""
    from controller.cli.shared.client import OperatorClient
    from controller.cli.show.gates_view import gates_page

    with OperatorClient(directory) as client:

        def page(*, brief: bool = False) -> RenderableType:
            return gates_page(client.gates(), client.status(), brief=brief)

        _show(client.gates, page, partial(page, brief=True), output, every_s=interval if watch else None)


def _show(
    read: Callable[[], object],
    page: Callable[[], RenderableType],
    watched: Callable[[], RenderableType],
    output: Output,
    *,
    every_s: float | None,
) -> None:
    """Show what is read, once or every so many seconds: as JSON, or as a page, which a terminal shows in place while watched."""
    from rich.live import Live

    from controller.cli.shared.output import print_json, stdout

    if output is Output.JSON:
        print_json(read())
        while every_s is not None:
            time.sleep(every_s)
            print_json(read())
        return
    console = stdout()
    if every_s is None or not console.is_terminal:
        console.print(page())
        return
    with Live(watched(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            live.update(watched(), refresh=True)


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
