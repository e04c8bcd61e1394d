"""The verbs that are not moves: stop a command that waits, take a key away, change who signs, under which policy, and which bot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption
from controller.cli.sign.signing import KeysOption, ReasonOption
from policies.authority import Verb

FileArgument = Annotated[Path, typer.Argument(help="The new document, as a file.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    for verb in (veto, revoke, set_roster, set_policy, set_release):
        app.command()(verb)


def veto(
    key: KeysOption,
    reason: ReasonOption,
    command: Annotated[str, typer.Argument(help="The id of the command that waits; by default whichever waits.")] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop a command that waits for its cooling-off to end. Any one key can."""
    _ask(Verb.VETO, command, key, reason, directory, output)


def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `gatehouse roster show -o json` lists it.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take a key away for ever, at once. One operator can; with too few keys left the deployment halts."""
    _ask(Verb.REVOKE, key_id, key, reason, directory, output)


def set_roster(
    file: FileArgument,
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change who may sign. Needs the quorum of the roster in force and that of the new one, whose version is one higher."""
    from controller.cli.sign.command_files import subject_of

    _ask(Verb.SET_ROSTER, subject_of(Verb.SET_ROSTER, str(file)), key, reason, directory, output)


def set_policy(
    file: FileArgument,
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Put a policy in force. Everything proven so far is void, and the deployment goes back to MOCK."""
    from controller.cli.sign.command_files import subject_of

    _ask(Verb.SET_POLICY, subject_of(Verb.SET_POLICY, str(file)), key, reason, directory, output)


def set_release(
    name: Annotated[str, typer.Option("--name", help="The bot's name.")],
    version: Annotated[str, typer.Option("--version", help="Its version.")],
    artifact: Annotated[str, typer.Option("--artifact", help="A file to take the digest of, or sha256:… itself.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say which bot trades from now on. Everything proven so far is void, and the deployment goes back to MOCK."""
    from controller.cli.sign.command_files import read_bytes
    from controller.core.decisions.governance import release_document
    from policies import canonical

    digest = artifact if artifact.startswith("sha256:") else canonical.digest(read_bytes(Path(artifact)))
    _ask(Verb.SET_RELEASE, release_document(name, version, digest), key, reason, directory, output)


def _ask(verb: Verb, subject: str | None, keys: Sequence[str], reason: str, directory: Path, output: Output) -> None:
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    carry_out(make_request(verb, reason=reason, subject=subject or None), keys, directory, output)
