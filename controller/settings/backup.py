"""``[backup]`` in ``gatehouse.toml``: who can open the copies, and where they go (ops/docs/backup.md). Part of ``Settings``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

EVIDENCE = ("reports", "exports", "evidence")
"""The folders of a deployment that a copy takes along if they exist, besides the checkpoints that are kept in the deployment."""


class BackupSettings(BaseModel):
    """How copies are made.

    ``recipients``: public age keys; each of their owners can open every copy. ``directory``: where copies are put, relative to the
    deployment's. ``identity_file``: an age identity on this machine, for the verification after each copy and for the restore
    drill; empty when copies are only opened elsewhere. ``evidence``: folders that are copied too. ``alert_after_hours``: how long
    ago the last verified copy may end before an alert is raised; with ``recipients`` only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipients: tuple[Annotated[str, Field(pattern=r"^age1[a-z0-9]{20,2000}$")], ...] = ()
    directory: str = ""
    identity_file: str = ""
    alert_after_hours: Annotated[int, Field(ge=1, le=8_760)] = 26
    evidence: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = EVIDENCE
