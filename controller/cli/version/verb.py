"""``gatehouse version``: print the version, and verify the installed files. ``cli.app`` adds it."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.shared.output import Output, OutputOption


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(version)


def version(
    verify: Annotated[bool, typer.Option("--verify", help="Compare every installed file with the signed manifest.")] = False,
    key: Annotated[str, typer.Option(metavar="TEXT", help="The release's public key; by default the test key.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the version, the Python it runs on, and where it is installed. With --verify: whether its files are as signed.

    The exit code is 1 when a file was changed, is missing or was added. Take the key from somewhere else than this machine
    (ops/docs/releases.md): who can change the files can also change what this command says.
    """
    import platform

    from controller.cli.shared.output import print_json, stdout
    from controller.version import SOURCE_ROOT, VERSION

    if not verify:
        if output is Output.JSON:
            print_json({"version": VERSION, "python": platform.python_version(), "installed": str(SOURCE_ROOT)})
        else:
            typer.echo(f"gatehouse {VERSION}, Python {platform.python_version()}, {SOURCE_ROOT}")
        return
    from controller.cli.version.manifest import TEST_KEY, check_installation
    from controller.journal.note import NoteKey

    found = check_installation(NoteKey.parse(key or TEST_KEY))
    test = not key or key == TEST_KEY
    if output is Output.JSON:
        print_json({
            "ok": not found.wrong, "version": found.version, "place": str(found.place), "files": found.files,
            "signer": found.signer, "test_key": test, "wrong": list(found.wrong),
        })  # fmt: skip
    else:
        for line in found.wrong:
            stdout().print(line)
        word = "as it was signed" if not found.wrong else f"NOT as it was signed: {len(found.wrong)} differences"
        who = "the TEST key, which everybody has: this shows damage, and not who built it" if test else found.signer
        stdout().print(f"gatehouse {found.version} in {found.place}: {found.files} files, {word}; signed with {who}")
    if found.wrong:
        raise typer.Exit(1)
