"""The documents of the verbs that make keys, sign commands and hand them in."""

from __future__ import annotations

from typing import Literal

from controller.authority.command import Command
from controller.authority.roster import Person, RosterKey
from controller.cli.schemas.document import Document
from controller.console.schema import ProposalView
from policies.stage import Mode


class Proposed(ProposalView):
    """A proposed command; ``file`` is the file to sign."""

    file: str


class SignatureState(Document):
    """One signature on a command; ``person`` is empty for a key that the roster does not name."""

    key: str
    person: str
    state: str


class SignedCommand(Document):
    """What a command file asks for, decoded from the bytes that are signed, and who signed it."""

    payload_digest: str
    word_code: str
    command: Command
    signatures: list[SignatureState]


class HaltedByLatch(Document):
    """A halt that went through the latch file, because the controller's socket did not answer: ``because`` is the error's code."""

    halted: Literal[True]
    through: Literal["latch file"]
    because: str


class KeyDocument(Document):
    """The public half of a key file."""

    file: str
    id: str
    type: Literal["ed25519"]
    public: str


class ImportedKey(RosterKey):
    """The roster's entry for an imported key; ``key`` is what to sign with."""

    key: str


class RosterDocument(Document):
    """Who may sign; ``mode`` is absent where the policy names it."""

    digest: str
    schema_version: Literal[1]
    version: int
    persons: list[Person]
    mode: Mode | None = None


class BotKeyDocument(Document):
    """A bot's new key: the file with its secret, and the document that issues it."""

    bot: str
    key: str
    secret_file: str
    document: str


class AccessGrant(Document):
    """A token for the console: whose, what for, when it was made and until when (UTC milliseconds). The token itself is nowhere."""

    id: str
    person: str
    role: str
    made_at: int
    ends_at: int


class AccessToken(AccessGrant):
    """A new token, shown this once."""

    token: str
