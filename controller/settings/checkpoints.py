"""``[[checkpoints]]`` in ``gatehouse.toml``: the targets of signed checkpoints (architecture.md §7). Part of ``Settings``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Text = Annotated[str, Field(min_length=1, max_length=1000)]


class _Target(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class DirectorySettings(_Target):
    """A directory, relative to the deployment's."""

    to: Literal["directory"]
    path: _Text


class GitSettings(_Target):
    """A branch of a git remote. ``secret_file`` is an https token; ``ssh_key`` and ``known_hosts`` are files, for ssh."""

    to: Literal["git"]
    remote: _Text
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = "gatehouse"
    secret_file: str = ""
    ssh_key: str = ""
    known_hosts: str = ""


class WebhookSettings(_Target):
    """An https address that accepts a POST. ``secret_file`` contains a bearer token."""

    to: Literal["webhook"]
    url: _Text
    secret_file: str = ""


class BucketSettings(_Target):
    """A bucket with object lock. ``secret_file`` contains the secret of ``access_key``."""

    to: Literal["bucket"]
    endpoint: _Text
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")] = "us-east-1"
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*$")] = ""
    access_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,128}$")]
    secret_file: _Text
    retain_days: Annotated[int, Field(ge=1, le=3650)] = 400


class WitnessSettings(_Target):
    """A C2SP witness. ``key`` is its public key as text."""

    to: Literal["witness"]
    url: _Text
    key: _Text


CheckpointSettings = Annotated[
    DirectorySettings | GitSettings | WebhookSettings | BucketSettings | WitnessSettings, Field(discriminator="to")
]
