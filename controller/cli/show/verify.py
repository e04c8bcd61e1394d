"""``gatehouse verify`` checks an export, a report or an evidence bundle offline, from the files alone (ops/docs/report.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(verify)


def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A directory with an export, or a JSON file of `gatehouse report`.")],
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compute a report again from this export, and compare every field.")
    ] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint from a witness, to compare an export with; may be repeated.")
    ] = None,
    checkpoint_key: Annotated[str | None, typer.Option(help="The public key the checkpoints are signed with, as text.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Verify an export, a report or an evidence bundle offline. The first wrong byte is named by entry and field."""
    from controller.cli.shared.output import print_json

    if path.is_dir():
        found = _export(path, checkpoint or [], checkpoint_key)
    else:
        found = _file(path, export, checkpoint or [], checkpoint_key)
    if output is Output.JSON:
        print_json({"ok": True, **found})
        return
    _print(found)


def _export(path: Path, checkpoints: list[Path], key: str | None) -> dict[str, Any]:
    from dataclasses import asdict

    from controller.cli.journal.files import progressing
    from controller.cli.journal.verify import checkpoints_in
    from controller.journal.export import read_manifest
    from controller.report.offline.export import check_export

    anchors = checkpoints_in(checkpoints, key)
    with progressing("verifying", _entries_in(path, read_manifest)) as step:
        checked = check_export(path, anchors, step)
    return {
        "what": "export",
        "entries": checked.manifest.entries,
        "head": checked.manifest.head,
        "merkle_root": checked.manifest.merkle_root,
        "controller_id": checked.manifest.controller_id,
        "stage": str(checked.replay.state.position),
        "fingerprint": checked.replay.state.fingerprint(),
        "audit": asdict(checked.audit),
        "rejudged": checked.replay.rejudged,
        "recomputed": checked.replay.recomputed,
        "compared": checked.compared,
    }


def _entries_in(path: Path, read: Any) -> int:
    """For the progress bar alone; a damaged manifest is reported by the check."""
    from exchange.errors import GatehouseError

    try:
        return int(read(path).entries)
    except GatehouseError:
        return 0


def _file(path: Path, export: Path | None, checkpoints: list[Path], key: str | None) -> dict[str, Any]:
    from controller.report.offline.bundle import FORMAT, check_bundle
    from exchange.errors import ConfigError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", code="file-unreadable", remedy="Pass a file that `gatehouse report` wrote."
        ) from None
    if f'"{FORMAT}"'.encode() in data or path.name.endswith(".bundle.json"):
        bundle = check_bundle(data)
        return {"what": "bundle", "entry": bundle.seq, "persons": list(bundle.persons), "result": bundle.result}
    return _report(path, data, export, checkpoints, key)


def _report(path: Path, data: bytes, export: Path | None, checkpoints: list[Path], key: str | None) -> dict[str, Any]:
    from controller.report.offline.document import compare, open_report
    from controller.report.offline.page import check_page
    from controller.report.reading import report_of

    opened = open_report(data)
    about = opened.about
    found: dict[str, Any] = {
        "what": "report",
        "digest": opened.sealed.digest,
        "entries": about["entries"],
        "head": about["head"],
        "verdict": opened.sealed.document["verdict"],
        "page": check_page(path.with_suffix(".html"), opened.sealed),
        "export": None,
    }
    if export is not None:
        from controller.journal.export import read_export

        found["export"] = _export(export, checkpoints, key)
        scope = {"command_id": about["command_id"]} if about["command_id"] else {"upto": about["entries"]}
        computed, _ = report_of(read_export(export), about["controller_id"], **scope)
        compare(opened.sealed, computed)
    return found


def _print(found: dict[str, Any]) -> None:
    from controller.cli.shared.gates import result_table
    from controller.cli.shared.output import outcome, stdout

    console = stdout()
    match found["what"]:
        case "bundle":
            console.print(result_table(found["result"]))
            persons = ", ".join(found["persons"])
            console.print(outcome(f"entry {found['entry']}, signed by {persons}, the gate's verdict is the same"))
        case "export":
            _print_export(found)
        case _:
            verdict = found["verdict"]
            console.print(outcome(f"the report of entry {found['entries']} is as it was written, {found['digest']}"))
            console.print(f"{verdict['word']}  {verdict['sentence']}", markup=False)
            console.print(found["page"], markup=False)
            if found["export"] is None:
                console.print("not compared with the entries: add --export DIR to compute it again from an export")
            else:
                _print_export(found["export"])
                console.print(outcome("every field of the report is what the entries give"))


def _print_export(found: dict[str, Any]) -> None:
    from controller.cli.shared.output import outcome, stdout

    console, audit = stdout(), found["audit"]
    console.print(outcome(f"{found['entries']} entries of {found['controller_id']}, head {found['head']}"))
    console.print(
        f"commands: {audit['accepted']} applied and {audit['waited']} that waited, each with valid signatures and quorum; "
        f"{audit['refused']} refused for the recorded reason; {audit['unchecked']} that the entries alone cannot prove"
    )
    console.print(
        f"evidence: {audit['sealed']} bundles with the right digest, {audit['rejudged']} verdicts judged again with the same result"
    )
    console.print(f"statistics: {found['recomputed']} computed again from the entries with the same figures")
    console.print(f"folded to {found['stage']}, state {found['fingerprint']}")
    if not found["compared"]:
        console.print("no checkpoint was compared: entries cut off at the end, with a manifest to match, would not be found")
    else:
        console.print(f"a checkpoint agrees at {found['compared']} entries")
