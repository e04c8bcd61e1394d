"""Verbs that change no stage by themselves: veto, revoke, set-roster, set-policy, set-release, set-rate. ``cli.app`` adds them."""

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
    for verb in (veto, revoke, set_roster, set_policy, set_release, set_rate):
        app.command()(verb)


def veto(
    key: KeysOption,
    reason: ReasonOption,
    command: Annotated[str, typer.Argument(help="The id of the waiting command; by default the one that waits now.")] = "",
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop a command that waits for the end of its cooling-off period. One signature by any key is enough."""
    _ask(Verb.VETO, command, key, reason, directory, output)


def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `gatehouse roster show -o json` lists it.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Revoke a signing key for ever, at once. One operator can sign it. If too few keys remain, the deployment halts."""
    _ask(Verb.REVOKE, key_id, key, reason, directory, output)


def set_roster(
    file: FileArgument,
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change who may sign. Needs the quorum of the present and of the new roster. The new version is one higher."""
    from controller.cli.sign.command_files import subject_of

    _ask(Verb.SET_ROSTER, subject_of(Verb.SET_ROSTER, str(file), directory), key, reason, directory, output)


def set_policy(
    file: FileArgument,
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change the policy. All evidence becomes void and the deployment goes back to MOCK."""
    from controller.cli.sign.command_files import subject_of

    _ask(Verb.SET_POLICY, subject_of(Verb.SET_POLICY, str(file), directory), key, reason, directory, output)


def set_release(
    name: Annotated[str, typer.Option("--name", help="The bot's name.")],
    version: Annotated[str, typer.Option("--version", help="Its version.")],
    artifact: Annotated[str, typer.Option("--artifact", help="The bot's file or directory, or its digest as sha256:….")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change the bot or its version. All evidence becomes void and the deployment goes back to MOCK."""
    from controller.core.decisions.governance import release_document
    from controller.settings.artifact import artifact_digest

    digest = artifact if artifact.startswith("sha256:") else artifact_digest(Path(artifact))
    _ask(Verb.SET_RELEASE, release_document(name, version, digest), key, reason, directory, output)


def set_rate(
    rate: Annotated[str, typer.Argument(help="The quote asset for one EUR, for example 1.16.")],
    key: KeysOption,
    reason: ReasonOption,
    directory: DirectoryOption = HERE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change the EUR rate that the band of the policy is around, at any stage. Stage and evidence stay.

    It is needed when the rate has left the band; within it the rate renews itself.
    """
    from controller.cli.sign.command_files import subject_of

    _ask(Verb.SET_RATE, subject_of(Verb.SET_RATE, rate, directory), key, reason, directory, output)


def _ask(verb: Verb, subject: str | None, keys: Sequence[str], reason: str, directory: Path, output: Output) -> None:
    from controller.cli.sign.command_files import make_request
    from controller.cli.sign.moves import carry_out

    carry_out(make_request(verb, reason=reason, subject=subject or None), keys, directory, output)
