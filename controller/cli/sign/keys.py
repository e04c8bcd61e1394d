"""``gatehouse keys`` and ``gatehouse roster``: make, import and show signing keys, and list who may sign. ``cli.app`` adds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

app = typer.Typer(help="Make, import and show signing keys.")
roster = typer.Typer(help="Show who may sign.")


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="Where to write the private key; an existing file is never overwritten.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Make an Ed25519 key file (mode 0600) and print its roster line."""
    from controller.authority.keys import generate_key, save_key

    private = generate_key()
    save_key(private, path)
    _print(path, output)


@app.command()
def show(path: Annotated[Path, typer.Argument(help="A private key file.")], output: OutputOption = Output.TABLE) -> None:
    """Show a key's id, public half and roster line; the private half is never printed."""
    _print(path, output)


@app.command("import")
def import_key(
    source: Annotated[
        str, typer.Argument(metavar="KEY", help="The URI of a key in a token or a vault, or a public key file of ssh-keygen.")
    ],
    pin: Annotated[bool, typer.Option("--require-pin", help="Require the security key's PIN with every signature.")] = False,
    attestation: Annotated[Path | None, typer.Option(help="What ssh-keygen -O write-attestation wrote.")] = None,
    challenge: Annotated[Path | None, typer.Option(help="The file that ssh-keygen -O challenge read.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the roster lines of a key in a PKCS#11 token, in a vault, or made by OpenSSH.

    With the files of ssh-keygen -O challenge=… -O write-attestation=… the line proves that a security key made it.

    Name it as hsm:2?label=TOKEN (PYKCS11LIB names the module), hv:NAME, or a file such as id_ed25519_sk.pub.
    """
    from controller.cli.shared.output import print_json
    from controller.cli.sign.key_lines import attestation_files, enrolment

    found = enrolment(source, pin_required=pin, attested_by=attestation_files(attestation, challenge))
    if output is Output.JSON:
        print_json({"key": found.source, **found.entry.model_dump(mode="json", exclude_none=True)})
        return
    typer.echo(found.lines, nl=False)


@roster.command("show")
def roster_show(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """List the persons of the roster file, their roles and their keys.

    A touch is attested if a maker named by the policy proves that the key is in a security key; otherwise it is claimed.
    """
    from controller.authority.attestation import touch_of
    from controller.authority.roster import load_roster
    from controller.cli.shared.output import print_json, short, stdout, table
    from controller.cli.sign.command_files import roots_in
    from controller.settings.deployment import load_settings

    found, roots = load_roster(directory / load_settings(directory).roster), roots_in(directory)
    if output is Output.JSON:
        print_json({"digest": found.digest, **found.model_dump(mode="json", exclude_none=True)})
        return
    rows = [
        (person.name, person.role, key.type, key.status, "yes" if key.pin_required else "no", touch_of(key, roots), short(key.id))
        for person in found.persons
        for key in person.keys
    ]
    stdout().print(
        table(
            ("person", "role", "key type", "status", "needs PIN", "touch", "key id"),
            rows,
            title=f"roster {found.version}  {found.digest}",
        )
    )


def _print(path: Path, output: Output) -> None:
    from controller.authority.keys import load_key, public_key
    from controller.authority.roster import KeyType, roster_key
    from controller.cli.shared.output import print_json, stdout, table
    from controller.cli.sign.key_lines import Enrolment

    public = public_key(load_key(path))
    if output is Output.JSON:
        print_json({"file": str(path), "id": public.fingerprint, "type": "ed25519", "public": public.line})
        return
    stdout().print(table(("file", "id", "public"), [(path, public.fingerprint, public.line)]))
    typer.echo(Enrolment(str(path), roster_key(public.line, KeyType.FILE)).lines, nl=False)
