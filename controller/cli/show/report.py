"""``gatehouse report`` writes what a run did and proved; ``gatehouse verify`` checks it offline (ops/docs/report.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

if TYPE_CHECKING:
    from controller.report.collect import Signed
    from controller.report.sealed import Sealed


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(report)


def report(
    command: Annotated[
        str | None, typer.Option("--command", help="Report the run that this applied command was judged by, with its evidence.")
    ] = None,
    upto: Annotated[int | None, typer.Option(min=1, metavar="SEQ", help="Report the journal as it was at this entry.")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write a report of the present run as one HTML page and one JSON document. It needs no running controller."""
    from controller.cli.shared.output import print_json
    from exchange.errors import UsageError

    if command is not None and upto is not None:
        raise UsageError("a command names its entry itself", code="usage", remedy="Pass --command or --upto, not both.")
    sealed, written = write_report(directory, command, upto)
    if output is Output.JSON:
        verdict = sealed.document["verdict"]
        print_json(
            {
                **{name: str(path) for name, path in written.items()},
                "digest": sealed.digest,
                "verdict": verdict,
                "command_id": command or "",
            }
        )
        return
    show_report(sealed, written)


def write_report(directory: Path, command: str | None, upto: int | None) -> tuple[Sealed, dict[str, Path]]:
    """Write a report, and return it with its files. ``gatehouse rehearse`` ends with it. Raises ``GatehouseError``."""
    from controller.cli.journal.files import opened, progressing
    from controller.report.reading import report_of
    from controller.settings.deployment import load_settings

    with opened(directory) as reader, progressing("reading the journal", upto or reader.head.seq) as step:
        sealed, signed = report_of(map(step, reader.read()), reader.controller_id, command_id=command or "", upto=upto)
    return sealed, _write(directory / load_settings(directory).data / "reports", sealed, signed)


def show_report(sealed: Sealed, written: dict[str, Path]) -> None:
    """Print a report's verdict and where it is."""
    from controller.cli.shared.output import stdout

    console, verdict = stdout(), sealed.document["verdict"]
    console.print(f"{verdict['word']}  {verdict['sentence']}", markup=False)
    for name, path in written.items():
        console.print(f"{name:<8}{path}", markup=False)
    console.print(f"digest  {sealed.digest}")


def _write(folder: Path, sealed: Sealed, signed: Signed | None) -> dict[str, Path]:
    """Write the page, the document and, for a command, the evidence bundle. Raises ``UsageError`` (``report-not-written``)."""
    from controller.journal.files import make_directory, write_atomically
    from controller.report.offline.bundle import bundle_of
    from controller.report.page import render
    from exchange.errors import UsageError

    stem = sealed.document["about"]["name"]
    files = {"page": (folder / f"{stem}.html", render(sealed).encode()), "report": (folder / f"{stem}.json", sealed.data)}
    if signed is not None:
        files["bundle"] = folder / f"{stem}.bundle.json", bundle_of(sealed.document["command"])
    try:
        make_directory(folder)
        for path, data in files.values():
            write_atomically(path, data)
    except OSError as error:
        raise UsageError(
            f"the report cannot be written to {folder}: {error.strerror}",
            code="report-not-written",
            remedy="Free space on the disk, or make the folder writable for this user.",
        ) from error
    return {name: path for name, (path, _) in files.items()}
