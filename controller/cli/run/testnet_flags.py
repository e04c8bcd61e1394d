"""Types of ``gatehouse testnet``'s options that control its market and fills. ``testnet_options`` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TapeOption = Annotated[
    list[Path] | None,
    typer.Option(help="A recorded market to play, once per symbol; without it the market is generated from the seed."),
]
ListOption = Annotated[
    list[str] | None, typer.Option("--list", help="One more symbol with a generated market, and its first price: ETHUSDT=3000.")
]
FillModelOption = Annotated[str, typer.Option(help="How resting orders fill: pessimistic (gates use it), base or optimistic.")]
EntryLatencyOption = Annotated[
    str,
    typer.Option(
        envvar="GATEHOUSE_TESTNET_LATENCY",
        help="Delay of requests in ms: 'assumed', one number, or quantiles from 0 to 100 % as in 8,14,22,45,180.",
    ),
]
ResponseLatencyOption = Annotated[str, typer.Option(help="Delay of replies in ms, in the same form.")]
FeedOption = Annotated[
    str | None,
    typer.Option(
        help="tape, synthetic or mexc-live (MEXC's public streams; needs internet). Default: tape with --tape, else synthetic."
    ),
]
SymbolOption = Annotated[str, typer.Option(help="The symbol of a live feed.")]
RestOption = Annotated[str, typer.Option(help="The REST address of a live feed's snapshots.")]
StreamOption = Annotated[str, typer.Option(help="The address of a live feed's stream.")]
ExportOption = Annotated[
    Path | None, typer.Option(help="Write every fill with its evidence to this file as JSON Lines when the venue ends.")
]
PrintOption = Annotated[bool, typer.Option("--print-fills", help="Print each fill with its evidence at once, as JSON Lines.")]
MEXC_REST = "https://api.mexc.com"
MEXC_STREAM = "wss://wbs-api.mexc.com/ws"

SnapshotsOption = Annotated[Path | None, typer.Option(help="The directory POST /__control/snapshot writes to.")]
RestoreOption = Annotated[Path | None, typer.Option(help="Start from this snapshot. Use the options it was made with.")]
StateOption = Annotated[
    Path | None,
    typer.Option(
        help="The directory that keeps accounts, orders, trades and ids across restarts. "
        "Default: one for the port below $XDG_STATE_HOME/gatehouse, or ~/.local/state/gatehouse."
    ),
]
EphemeralOption = Annotated[bool, typer.Option("--ephemeral", help="Keep nothing: the next start is another, new testnet.")]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse a write without a Content-Type, and a signature of other bytes than those sent.")
]
AttachedOption = Annotated[bool, typer.Option("--attached", hidden=True, help="`gatehouse run` starts it so, and may end it.")]
SecretOption = Annotated[
    str | None,
    typer.Option(
        envvar="GATEHOUSE_TESTNET_SECRET",
        help="The secret of --key. On a shared machine use --accounts: others can see arguments.",
    ),
]
IdentityOption = Annotated[
    Path | None,
    typer.Option(help="The file with the key that signs its statements; made if missing. Default: testnet.key in --state."),
]
