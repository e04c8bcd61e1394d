"""Reads, signs and writes command files. Each is one DSSE envelope and is replaced as a whole. The signing verbs call this."""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from controller.authority.envelope import MAX_ENVELOPE_BYTES, Envelope, parse_envelope
from controller.authority.keys import load_key, public_key
from controller.authority.roster import Roster, load_roster
from controller.authority.signing import attach_ssh_signature, sign_with_file_key, sign_with_ssh_key
from controller.authority.tokens import find_key, is_token_uri, sign_with_token
from controller.cli.sign.pins import pin_source
from controller.console.schema import ProposeRequest
from controller.settings.deployment import FILE_NAME, load_settings
from controller.settings.policy_file import read_policy
from exchange.errors import ConfigError, UsageError
from policies import canonical
from policies.authority import Verb
from policies.document import canonical_bytes
from policies.numbers import parse
from policies.stage import Stage


def make_request(
    verb: Verb,
    *,
    reason: str,
    to: str | None = None,
    step: int | None = None,
    postmortem: Path | None = None,
    subject: str | None = None,
) -> ProposeRequest:
    """The request to the controller. Raises ``UsageError`` for no such stage, an empty reason, a resume without its text."""
    from pydantic import ValidationError

    if verb is Verb.HALT:
        raise UsageError("a halt needs no command file", code="usage", remedy="Run `gatehouse halt --reason …`.")
    try:
        target = Stage.parse(to.upper()) if to is not None else None
    except ValueError:
        stages = ", ".join(stage.value for stage in Stage)
        raise UsageError(f"{to!r} is not a stage", code="no-such-stage", remedy=f"Use one of {stages}, or LIVE_EUR10.") from None
    if verb is Verb.RESUME and postmortem is None:
        raise UsageError(
            "a resume needs a post-mortem, whose digest is signed",
            code="no-postmortem",
            remedy="Write what happened and what was done about it into a file, and name it with --postmortem FILE.",
        )
    digest = canonical.digest(read_bytes(postmortem)) if postmortem is not None else None
    try:
        return ProposeRequest(verb=verb, target=target, step=step, reason=reason, postmortem=digest, subject=subject)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise UsageError(
            f"{first['loc'][0]}: {first['msg']}", code="usage", remedy="Give a reason of 1 to 500 characters."
        ) from None


def file_at(path: Path, directory: Path) -> Path:
    """The file that a person means by ``path``: seen from here, else from the deployment's directory, as its documents write it."""
    if path.exists() or not (directory / path).exists():
        return path
    return directory / path


def subject_of(verb: Verb, argument: str | None, directory: Path) -> str | None:
    """The subject of a command: a document's text if the argument names a file, else the id. Raises ``ConfigError``."""
    file = file_at(Path(argument or ""), directory)
    match verb:
        case Verb.SET_ROSTER if argument:
            return load_roster(file).canonical_bytes.decode()
        case Verb.SET_POLICY if argument:
            return canonical_bytes(read_policy(file)).decode()
        case Verb.SET_RELEASE | Verb.ISSUE_BOT_KEY if argument:
            return read_bytes(file).decode("utf-8", "replace").strip()
        case Verb.SET_RATE if argument:
            # It brings all decisions with it, and no other verb needs them (ADR 79).
            from controller.core.decisions.rates import rate_document

            return rate_document(_rate(argument))
        case Verb.DRILL if argument:
            return canonical.encode({"drill": argument}).decode()
        case _:
            return argument


def _rate(typed: str) -> Decimal:
    try:
        return parse(typed)
    except ValueError:
        raise UsageError(f"{typed!r} is not a rate", code="usage", remedy="Give a plain number, for example 1.16.") from None


def read_envelope(path: Path) -> Envelope:
    """A command file. Raises ``UsageError`` when it cannot be read and ``Unauthorised`` when it is not an envelope."""
    data = read_bytes(path)
    try:
        return parse_envelope(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is not a command file", code="not-a-command", remedy="Pass a file that `gatehouse propose` wrote."
        ) from None


def write_envelope(envelope: Envelope, path: Path) -> None:
    """Replace the file in one step, so that a crash leaves no half file."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(envelope.text, encoding="utf-8")
    half.replace(path)


def write_message(envelope: Envelope, path: Path) -> None:
    """Write the bytes that ``ssh-keygen -Y sign`` signs."""
    path.write_bytes(envelope.pae)


def sign_with(envelope: Envelope, keys: Iterable[str], directory: Path) -> Envelope:
    """Add one signature per key (a file's path or a token's URI), in the form in which the roster lists the key.

    Without a roster, a key file makes a raw Ed25519 signature.
    """
    roster = roster_of(directory)
    for key in keys:
        if is_token_uri(key):
            envelope = _sign_with_token(envelope, key, roster)
        else:
            envelope = _sign_with_file(envelope, file_at(Path(key), directory), roster)
    return envelope


def _sign_with_file(envelope: Envelope, path: Path, roster: Roster | None) -> Envelope:
    private = load_key(path)
    found = roster.find(public_key(private).fingerprint) if roster is not None else None
    as_ssh = found is not None and not found[1].type.plain
    return sign_with_ssh_key(envelope, private) if as_ssh else sign_with_file_key(envelope, private)


def _sign_with_token(envelope: Envelope, uri: str, roster: Roster | None) -> Envelope:
    ask = pin_source(uri)
    key = find_key(uri, ask)
    found = roster.find(key.public.fingerprint) if roster is not None else None
    if found is not None and found[1].type is not key.type:
        raise UsageError(
            f"{found[0].name}'s key {key.public.fingerprint[:19]}… is listed as {found[1].type}, but {uri} signs as {key.type}",
            code="other-key-type",
            remedy=f"Sign with ssh-keygen (--message, --attach), or list the key as {key.type} in the roster.",
        )
    return sign_with_token(envelope, key, ask)


def attach_signatures(envelope: Envelope, paths: Iterable[Path]) -> Envelope:
    """Add one signature per file made by ssh-keygen."""
    for path in paths:
        envelope = attach_ssh_signature(envelope, read_bytes(path).decode("ascii", "replace"))
    return envelope


def roster_of(directory: Path) -> Roster | None:
    """The roster file of a deployment; ``None`` without a deployment."""
    return load_roster(directory / load_settings(directory).roster) if (directory / FILE_NAME).is_file() else None


def roots_in(directory: Path) -> tuple[str, ...]:
    """The makers of security keys that the policy file of a deployment names; none without a deployment."""
    if not (directory / FILE_NAME).is_file():
        return ()
    return read_policy(directory / load_settings(directory).policy).authority.attestation_roots


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises ``ConfigError`` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_ENVELOPE_BYTES * 16)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", code="file-unreadable", remedy="Check the path and its permissions."
        ) from None
