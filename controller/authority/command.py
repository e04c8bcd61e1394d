"""The command payload that an operator signs (architecture.md §5). Pure data; ``verify`` reads it, and decisions check its fields.

The payload is RFC 8785 JSON of strings and integers only, so that every machine hashes and signs the same bytes. ``journal_seq``
and ``journal_head`` name the journal entry that the proposer saw. A command is refused if that entry is not in this journal, or
if the deployment changed after it. ``target_step`` is 0 except for RAMPING.

Version 1 is a move. Version 2 has one more field, ``subject``: what a verb that is not a move is about, in full, so that every
signer sees it. It is a command id (veto), a key id (revoke), or the canonical JSON of a roster, a policy or a release. Each verb
has exactly one version, and no payload can be written in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from exchange.model import SYMBOL
from policies.authority import WITH_SUBJECT, Role, Verb
from policies.stage import Environment, Stage

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
CommandId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Reason = Annotated[str, Field(min_length=1, max_length=500)]

PAYLOAD_TYPE = "application/vnd.gatehouse.command.v1+json"
"""The DSSE payload type. It includes the version, and it is signed."""

SSH_NAMESPACE = "gatehouse-command@v1"
"""The namespace of an OpenSSH signature over the DSSE pre-authentication bytes."""

MAX_SUBJECT = 12_000
"""In characters, so that a person can still read the payload."""

MAX_LIFETIME_MS = 24 * 3600 * 1000
"""No command may be valid for longer than a day."""


class Command(BaseModel):
    """One command of an operator. Its fields are exactly what is signed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1, 2]
    command_id: CommandId
    controller_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    environment: Environment
    account_fingerprint: Digest
    verb: Verb
    expected_stage: Stage
    expected_step: Annotated[int, Field(ge=0, le=64)]
    target_stage: Stage
    target_step: Annotated[int, Field(ge=0, le=64)]
    cap_eur: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,8})?$")]
    symbols: tuple[Annotated[str, Field(pattern=f"^{SYMBOL}$")], ...]
    journal_seq: Annotated[int, Field(ge=1)]
    journal_head: Digest
    release_digest: Digest
    policy_digest: Digest
    roster_digest: Digest
    evidence_digest: Digest | Literal[""]
    postmortem_digest: Digest | Literal[""]
    not_before_ms: Annotated[int, Field(ge=0)]
    expires_ms: Annotated[int, Field(ge=0)]
    reason: Reason
    subject: Annotated[str, Field(max_length=MAX_SUBJECT)] = ""

    @model_validator(mode="after")
    def _subject_fits_verb(self) -> Self:
        wanted = self.verb in WITH_SUBJECT
        if wanted != bool(self.subject) or self.version != (2 if wanted else 1):
            raise ValueError(f"{self.verb} needs {'version 2 and a' if wanted else 'version 1 and no'} subject")
        return self

    @model_serializer(mode="wrap")
    def _omit_empty_subject(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        if not self.subject:
            del document["subject"]
        return document


@dataclass(frozen=True, slots=True)
class Signatory:
    """One valid signature, with its person and its key. ``fingerprint`` is that of the raw public key.

    ``touched``: the signature proves that a person touched a security key.
    """

    person: str
    role: Role
    key_id: str
    fingerprint: str
    touched: bool = False


@dataclass(frozen=True, slots=True)
class VerifiedCommand:
    """A command whose signatures were checked against the roster in force. Only ``controller.authority.verify`` makes one.

    ``envelope`` is the text as received; the journal stores it verbatim. ``incoming``: the same signatures as the new roster of a
    ``set-roster`` counts them; empty for every other verb. ``roster_digest``: the roster that the signatures were verified against.
    """

    command: Command
    payload_digest: str
    signatories: tuple[Signatory, ...]
    envelope: str
    incoming: tuple[Signatory, ...] = ()
    roster_digest: str = ""
