"""``gatehouse run`` and ``gatehouse testnet``: run the controller or a testnet venue. ``cli.app`` adds them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from controller.cli.run.testnet_flags import (
    MEXC_REST,
    MEXC_STREAM,
    AttachedOption,
    EntryLatencyOption,
    EphemeralOption,
    ExportOption,
    FeedOption,
    FillModelOption,
    IdentityOption,
    ListOption,
    PrintOption,
    ResponseLatencyOption,
    RestOption,
    RestoreOption,
    SecretOption,
    SnapshotsOption,
    StateOption,
    StreamOption,
    StrictOption,
    SymbolOption,
    TapeOption,
)
from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(run)
    app.command("testnet")(run_testnet)


def run(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Run the controller of a deployment until SIGTERM or Ctrl-C.

    If a controller on another host leads the same journal in a database, this one is the standby and takes over when it stops.
    """
    import asyncio

    from controller.cli.loading import loaded
    from controller.cli.run.beside_first import start_beside
    from controller.cli.run.signer_first import hide_secrets, start_signer
    from controller.cli.run.waiting import show_waiting
    from controller.cli.shared.output import print_json, say
    from controller.notifying.service_manager import from_environment
    from controller.serving.descriptors import raise_limit
    from controller.settings.deployment import load_settings

    settings = load_settings(directory)
    hide_secrets(directory, settings)
    manager = from_environment()

    def announce() -> None:
        gateway = f"http://{settings.gateway.host}:{settings.gateway.port}"
        console = f"http://{settings.console.host}:{settings.console.port}"
        if output is Output.JSON:
            print_json({"event": "ready", "gateway": gateway, "console": console})
        else:
            say(f"{settings.controller_id} runs: gateway for bots {gateway}, console {console}")

    def stand_by() -> None:
        console = f"http://{settings.console.host}:{settings.console.port}"
        if output is Output.JSON:
            print_json({"event": "standby", "console": console})
        else:
            say(f"{settings.controller_id} is the standby of the leading controller; console {console}")

    signer = start_signer(directory, settings)
    raise_limit()
    with start_beside(directory, settings) as ahead:
        # It takes a second or more, and the others load meanwhile (ADR 59, ADR 79).
        from controller.bootstrap import run as run_controller

        loaded()
        asyncio.run(
            run_controller(
                directory,
                on_ready=announce,
                on_standby=stand_by,
                on_waiting=partial(show_waiting, output, manager),
                signer=signer,
                ahead=ahead,
                manager=manager,
            )
        )


def run_testnet(
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8710,
    tape: TapeOption = None,
    list_: ListOption = None,
    speed: Annotated[str, typer.Option(help="How many tape seconds pass in one second.")] = "1",
    loop: Annotated[bool, typer.Option("--loop", help="Start the tape again when it ends.")] = False,
    seed: Annotated[int, typer.Option(help="Seeds latency, faults and a generated market; it makes a run repeatable.")] = 1,
    faults: Annotated[Path | None, typer.Option(help=r"TOML with \[\[fault]] tables.")] = None,
    accounts: Annotated[Path | None, typer.Option(help=r"TOML with \[\[account]] tables, mode 0600.")] = None,
    key: Annotated[str | None, typer.Option(help="API key of one more account.")] = None,
    secret: SecretOption = None,
    balance: Annotated[list[str] | None, typer.Option(help="An opening balance of --key, as USDT=10000; once per asset.")] = None,
    control_token_file: Annotated[
        Path | None, typer.Option(help="File (mode 0600) with the token for /__control; without it /__control is off.")
    ] = None,
    fill_model: FillModelOption = "pessimistic",
    entry_latency: EntryLatencyOption = "assumed",
    response_latency: ResponseLatencyOption = "0",
    feed: FeedOption = None,
    symbol: SymbolOption = "BTCUSDT",
    from_rest: RestOption = MEXC_REST,
    from_ws: StreamOption = MEXC_STREAM,
    export_fills: ExportOption = None,
    print_fills: PrintOption = False,
    snapshots: SnapshotsOption = None,
    restore: RestoreOption = None,
    state: StateOption = None,
    ephemeral: EphemeralOption = False,
    strict: StrictOption = False,
    attached: AttachedOption = False,
    identity: IdentityOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run a venue that speaks MEXC's protocol, on a recorded, generated or live market. It goes on where it was stopped."""
    from controller.cli.loading import loaded_ahead
    from controller.cli.run import testnet_options
    from controller.cli.run.testnet_run import announcement, serve
    from controller.cli.run.waiting import show_waiting
    from controller.cli.shared.signals import run_until_stopped
    from controller.notifying.service_manager import from_environment

    loaded_ahead()
    config = testnet_options.build(
        host=host,
        port=port,
        tapes=tape or [],
        listed=testnet_options.listed_symbols(list_ or []),
        speed=testnet_options.decimal(speed, "--speed"),
        loop=loop,
        seed=seed,
        faults=faults,
        accounts_file=accounts,
        one=testnet_options.one_account(key, secret, balance or []),
        control_token_file=control_token_file,
        fill_model=fill_model,
        entry_latency=entry_latency,
        response_latency=response_latency,
        snapshots=snapshots,
        restore=restore,
        state=testnet_options.state_directory(state, port, ephemeral=ephemeral or restore is not None),
        attached=attached,
        strict=strict,
        identity=identity,
    )
    live = (symbol, from_rest, from_ws) if testnet_options.feed(feed, config.tape, config.speed) == "mexc-live" else None
    started, manager = Event(), from_environment()
    announce = announcement(config, symbol if live else "", output, started)
    serving = serve(config, announce, live, export_fills, partial(show_waiting, output, manager), tell=print_fills, manager=manager)
    run_until_stopped(serving, started)
