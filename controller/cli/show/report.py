"""``gatehouse report`` writes the evidence of a step up; ``gatehouse verify`` checks it offline (architecture.md §6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(report)
    app.command()(verify)


def report(
    command: Annotated[
        str | None, typer.Option("--command", help="An applied command's id; by default the last one that passed a gate.")
    ] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write the evidence of an applied command as one HTML page and one canonical JSON bundle."""
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.evidence_bundle import canonical_bundle, collect
    from controller.cli.show.evidence_page import render
    from controller.settings.deployment import load_settings

    case = collect(directory, command)
    folder = directory / load_settings(directory).data / "reports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = f"{case.entry.seq:06d}-{case.verb}"
    page, bundle = folder / f"{stem}.html", folder / f"{stem}.json"
    bundle.write_bytes(canonical_bundle(case))
    page.write_text(render(case), encoding="utf-8")
    if output is Output.JSON:
        print_json({"page": str(page), "bundle": str(bundle), "command_id": case.command_id})
        return
    console = stdout()
    console.print(f"report  {page}")
    console.print(f"bundle  {bundle}  (check it on any machine with `gatehouse verify {bundle}`)")


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `report` wrote.")], output: OutputOption = Output.TABLE
) -> None:
    """Verify a bundle offline: the entry's hash, the signatures and the gate's verdict."""
    from controller.cli.shared.gates import result_table
    from controller.cli.shared.output import print_json, stdout
    from controller.cli.show.evidence_bundle import verify_bundle

    found = verify_bundle(bundle)
    if output is Output.JSON:
        print_json({"ok": True, "entry": found.seq, "persons": list(found.persons), "result": found.result})
        return
    console = stdout()
    console.print(result_table(found.result))
    console.print(
        f"[bold green]verified[/] entry {found.seq}, signed by {', '.join(found.persons)}, the gate's verdict is the same"
    )
