"""``gatehouse journal``: verify, read, replay, export and anchor the journal. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

_EXITS = {"taken": 0, "contradicts": 1, "refused": 3, "unreachable": 6}

Unwitnessed = Annotated[bool, typer.Option("--allow-unwitnessed", help="In a rehearsal: accept that no checkpoint was compared.")]

app = typer.Typer(help="Verify, read, replay, export, archive and anchor the journal.")


@app.command()
def verify(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint from a witness, to compare with; may be repeated.")
    ] = None,
    checkpoint_key: Annotated[str | None, typer.Option(help="The public key the checkpoints are signed with, as text.")] = None,
    allow_unwitnessed: Unwitnessed = False,
    archive: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verify this archive alone, on any machine, instead of the journal.")
    ] = None,
) -> None:
    """Check every entry, the chain, the epochs, the file, the archives and every checkpoint. Report the first error.

    Exit code 3 when no checkpoint was compared, because a journal whose end was cut off looks good, and when an archive that the
    journal names is not there.
    """
    from controller.cli.journal.verify import (
        print_verified,
        require_complete,
        require_witnessed,
        verified_document,
        verify_deployment,
    )
    from controller.cli.shared.output import print_json

    if archive is not None:
        _verify_archive(archive, checkpoint or [], checkpoint_key, directory, output)
        return
    found = verify_deployment(directory, checkpoint or [], checkpoint_key)
    if output is Output.JSON:
        print_json(verified_document(found))
    else:
        print_verified(found)
    require_complete(found)
    require_witnessed(found, directory, allowed=allow_unwitnessed)


def _verify_archive(archive: Path, checkpoints: list[Path], key_text: str | None, directory: Path, output: Output) -> None:
    from controller.cli.journal.archive_view import archive_document, print_archive, verified_archive
    from controller.cli.shared.output import print_json

    found = verified_archive(archive, checkpoints, key_text, directory)
    if output is Output.JSON:
        print_json(archive_document(found))
    else:
        print_archive(found, archive)


@app.command("archive")
def archive_(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    allow_unwitnessed: Unwitnessed = False,
) -> None:
    """Move old entries into an archive. Stop the controller first; `gatehouse archive` is the signature for it.

    The archive is verified, and a checkpoint target outside the folder has to know the journal, before an entry is removed.
    A run that was interrupted is finished by the next one.
    """
    from controller.cli.journal.archive import archive_journal
    from controller.cli.journal.archive_view import archived_document, print_archived
    from controller.cli.shared.output import print_json

    found = archive_journal(directory, allow_unwitnessed=allow_unwitnessed)
    if output is Output.JSON:
        print_json(archived_document(found))
        return
    print_archived(found)


@app.command()
def tail(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many entries to show.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new entries until Ctrl-C.")] = False,
    kind: Annotated[list[str] | None, typer.Option(help="Only entries of this kind; may be repeated.")] = None,
) -> None:
    """Show the last entries."""
    from controller.cli.journal.files import follow_entries, last_entries
    from controller.cli.journal.view import print_entries, print_entry

    kinds = frozenset(kind or ())
    print_entries(last_entries(directory, limit, kinds), output)
    if follow:
        for entry in follow_entries(directory, kinds):
            print_entry(entry, output)


@app.command()
def export(
    to: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")],
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write all entries as JSON Lines with a manifest. The export can be verified without the database."""
    from dataclasses import asdict

    from controller.cli.journal.files import opened
    from controller.cli.shared.output import print_json, stderr, stdout
    from controller.journal.export import export_journal

    with opened(directory) as reader, stderr().status("exporting"):
        manifest = export_journal(reader, to)
    if output is Output.JSON:
        print_json({"directory": str(to), **asdict(manifest)})
        return
    stdout().print(f"{manifest.entries} entries in {to}, head {manifest.head}")


@app.command()
def replay(
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
    upto: Annotated[int | None, typer.Option(min=1, metavar="SEQ", help="Stop after this entry.")] = None,
    from_export: Annotated[Path | None, typer.Option("--export", metavar="DIR", help="Replay this export instead.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every decision to this new file, one JSON object per line.")
    ] = None,
) -> None:
    """Replay the journal from its entries. Print state, balances, open orders, results and decisions."""
    from controller.cli.journal.replay import print_replay, replay_document, replayed
    from controller.cli.shared.output import print_json

    found = replayed(directory, from_export, upto, decisions)
    if output is Output.JSON:
        print_json(replay_document(found))
        return
    print_replay(found, decisions)


@app.command()
def key(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Print the public key of the deployment's checkpoints, for witnesses and auditors. Make the key if it is missing."""
    from controller.cli.journal.checkpoints import made_public_key
    from controller.cli.shared.output import print_json

    text = made_public_key(directory).text
    if output is Output.JSON:
        print_json({"key": text})
        return
    typer.echo(text)


@app.command()
def checkpoint(
    key: Annotated[Path | None, typer.Option("--key", "-k", help="Sign with this key file, not the deployment's own.")] = None,
    to: Annotated[list[Path] | None, typer.Option(help="One more directory to publish to; may be repeated.")] = None,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Sign a checkpoint of the journal (its length and its hash) and publish it to every target of the deployment."""
    from controller.cli.journal.checkpoints import publish_now
    from controller.cli.shared.output import print_json, stdout

    note, public, publications = publish_now(directory, key, to or [])
    if output is Output.JSON:
        published = [{"target": one.target, "outcome": one.outcome, "problem": one.problem} for one in publications]
        print_json({"checkpoint": note, "public_key": public, "published": published})
    else:
        console = stdout()
        console.print(note, markup=False)
        console.print(f"public key {public}", markup=False)
        for one in publications:
            console.print(f"{one.target}: {one.problem or 'published'}", markup=False)
    if code := max((_EXITS[one.outcome.value] for one in publications), default=0):
        raise typer.Exit(1 if any(one.outcome.value == "contradicts" for one in publications) else code)
