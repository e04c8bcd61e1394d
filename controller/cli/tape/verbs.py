"""``gatehouse tape``: record, convert, inspect and compare market tapes. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.run.testnet_flags import MEXC_REST, MEXC_STREAM, EntryLatencyOption
from controller.cli.shared.output import Output, OutputOption

app = typer.Typer(help="Record, convert and inspect market tapes, and compare fill models on them.", no_args_is_help=True)

TapeArgument = Annotated[Path, typer.Argument(help="A tape made by record or convert.", metavar="TAPE")]
OutOption = Annotated[Path, typer.Option("--out", help="The tape to write. The file appears when it is complete.")]


@app.command()
def record(
    symbol: Annotated[str, typer.Argument(help="The symbol, for example BTCUSDT.")],
    out: OutOption,
    seconds: Annotated[int, typer.Option(min=1, help="How long to record.")] = 60,
    from_rest: Annotated[str, typer.Option(help="The REST address for snapshots.")] = MEXC_REST,
    from_ws: Annotated[str, typer.Option(help="The address of the stream.")] = MEXC_STREAM,
    licence: Annotated[str, typer.Option(help="The permitted use, for the tape's header.")] = "for own use",
    output: OutputOption = Output.TABLE,
) -> None:
    """Record a venue's public market, by default MEXC's; no key is needed. Ctrl-C ends it early and keeps the recorded part."""
    from controller.cli.shared.symbols import typed_symbol
    from controller.cli.tape import record as tape_record
    from controller.cli.tape import view as tape_view

    recording = tape_record.Recording(typed_symbol(symbol), from_rest, from_ws, out, seconds, licence)
    tape_record.run(recording)
    tape_view.show_summary(out, output)


@app.command()
def convert(
    files: Annotated[list[Path], typer.Argument(help="The files, oldest first; .gz files too.", metavar="FILE...")],
    out: OutOption,
    source: Annotated[str, typer.Option("--from", help="binance (captures of its spot streams) or bars (CSV of bars).")],
    symbol: Annotated[str, typer.Option(help="The symbol the tape is for.")] = "BTCUSDT",
    origin: Annotated[str, typer.Option(help="Where the files come from, for the tape's header; by default their names.")] = "",
    licence: Annotated[str, typer.Option(help="The licence of the data, for the tape's header.")] = "unknown",
    band: Annotated[str | None, typer.Option(help="binance: keep levels within this fraction of the first mid, as 0.06.")] = None,
    tick: Annotated[str, typer.Option(help="bars: the symbol's price step.")] = "0.01",
    step: Annotated[str, typer.Option(help="bars: the symbol's quantity step.")] = "0.000001",
    spread: Annotated[str, typer.Option(help="bars: the spread, in hundredths of a percent.")] = "1",
    levels: Annotated[int, typer.Option(min=1, max=1_000, help="bars: levels on each side.")] = 10,
    depth: Annotated[str, typer.Option(help="bars: the quantity of each side, as a fraction of the last bar's volume.")] = "0.1",
    prints: Annotated[int, typer.Option(min=4, max=1_000, help="bars: how many trades to make from each bar.")] = 12,
    minutes: Annotated[int, typer.Option(min=1, help="bars: minutes of one bar.")] = 1,
    quote_volume: Annotated[bool, typer.Option("--quote-volume", help="bars: volumes are in the quote asset.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a tape from other market data. A tape from bars is marked as reconstructed, and so is every metric from it."""
    from controller.cli.run.testnet_options import decimal
    from controller.cli.shared.symbols import typed_symbol
    from controller.cli.tape import convert as tape_convert
    from controller.cli.tape import view as tape_view
    from exchange.bars import BarMarket

    chosen, symbol = tape_convert.source(source), typed_symbol(symbol)
    header = tape_convert.header(chosen, symbol, files, origin, licence)
    if chosen is tape_convert.Source.BINANCE:
        tape_convert.from_binance(files, out, header, decimal(band, "--band") if band is not None else None)
    else:
        market = BarMarket(
            symbol,
            tick=decimal(tick, "--tick"),
            quantity_step=decimal(step, "--step"),
            spread_bps=decimal(spread, "--spread"),
            levels=levels,
            depth=decimal(depth, "--depth"),
            steps=prints,
            length_ms=minutes * 60_000,
        )
        tape_convert.from_bars(files, out, header, market, quote_volume=quote_volume)
    tape_view.show_summary(out, output)


@app.command()
def inspect(tape: TapeArgument, output: OutputOption = Output.TABLE) -> None:
    """Read and check every line of a tape, and show what it contains."""
    from controller.cli.tape import view as tape_view

    tape_view.show_summary(tape, output)


@app.command()
def compare(
    tape: TapeArgument,
    seed: Annotated[int, typer.Option(help="The seed of latency and ids.")] = 7,
    latency: EntryLatencyOption = "assumed",
    output: OutputOption = Output.TABLE,
) -> None:
    """Run the same scripted quotes on a tape with every fill model, and compare the results."""
    from controller.cli.tape import view as tape_view

    tape_view.show_comparison(tape, seed, latency, output)
