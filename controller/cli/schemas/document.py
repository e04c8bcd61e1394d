"""The base of the documents that verbs build themselves; the operator API's answers are views of ``controller.console``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

JsonObject = dict[str, Any]
"""An object whose fields another format defines: the body of an entry, a policy, a gate's recorded result."""


class Document(BaseModel):
    """One JSON object. It has the fields named here and no other; ``at_ms`` and the like are UTC milliseconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EntryDocument(Document):
    """One entry of the journal; ``body`` has the fields of its kind."""

    seq: int
    at_ms: int
    epoch: int
    kind: str
    prev: str
    hash: str
    body: JsonObject


class ErrorBody(Document):
    """What went wrong, why, and what to do."""

    code: str
    message: str
    remedy: str
    exit_code: int


class ErrorDocument(Document):
    """What a verb writes to standard error, with ``-o json``, before it ends with ``exit_code``."""

    error: ErrorBody
    gate: JsonObject | None = None


class AuditCounts(Document):
    """How many entries of each kind were checked and are correct; ``unchecked`` cannot be proved by the entries alone."""

    accepted: int
    waited: int
    refused: int
    sealed: int
    rejudged: int
    unchecked: int
