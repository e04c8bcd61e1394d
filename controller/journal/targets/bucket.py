"""An S3-compatible bucket with object lock: one object per checkpoint, which no one can delete or replace until its lock expires.

``bootstrap`` creates it. Keys count down, so that the newest checkpoint is the first of a listing. Versions are listed instead of
objects: a lock prevents deleting a version, but not hiding it behind a deletion marker or a second version of the same key.
"""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from controller.journal.checkpoint import Checkpoint, decode_checkpoint
from controller.journal.note import NoteKey
from controller.journal.publishing import Offer, contradiction
from controller.journal.targets import https
from controller.journal.targets.sigv4 import Credentials, encoded, query_of, signed_headers
from exchange.errors import ConfigError, IntegrityError, Refused
from exchange.model import Millis

_TOP = 10**20 - 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and its options. ``prefix`` is empty or ends in a slash; ``retain_days`` is how long each object is locked."""

    endpoint: str
    name: str
    prefix: str
    retain_days: int
    credentials: Credentials


class BucketTarget:
    """Implements ``CheckpointTarget``. With a ``COMPLIANCE`` lock not even the account's owner can remove a checkpoint."""

    def __init__(
        self, name: str, bucket: Bucket, controller_id: str, key: NoteKey, *, now: Callable[[], Millis], loopback: bool
    ) -> None:
        self._name, self._bucket, self._key, self._now = name, bucket, key, now
        self._endpoint = https.checked_url(bucket.endpoint, loopback=loopback)
        parts = urlsplit(self._endpoint)
        if parts.path or parts.query:
            raise ConfigError(
                f"the endpoint of checkpoint target {name} is more than a host",
                code="checkpoint-address",
                remedy="Set the endpoint without a path, such as https://s3.example.com, and the bucket in `bucket`.",
            )
        self._host = https.host_of(self._endpoint)
        self._prefix = f"{bucket.prefix}gatehouse-{controller_id}/"
        self._ours = re.compile(rf"{re.escape(self._prefix)}[0-9]{{20}}-([0-9]+)\.checkpoint")

    @property
    def name(self) -> str:
        """The name from the settings."""
        return f"bucket {self._name}"

    async def read(self) -> Checkpoint | None:
        """See ``CheckpointTarget.read``. Two versions of the newest key must have the same content."""
        answer = await self._send("GET", "", {"versions": "", "prefix": self._prefix, "max-keys": "1000"})
        if answer.status != 200:
            raise https.refused(answer)
        listing = _parsed(answer.body)
        if listing is None or listing.tag.rpartition("}")[2] != "ListVersionsResult":
            raise _invalid(f"the answer of {self._bucket.name} is not a listing of versions")
        versions = [(found.findtext("{*}Key", ""), found.findtext("{*}VersionId", "")) for found in listing.findall("{*}Version")]
        newest = next((key for key, _ in versions if self._ours.fullmatch(key)), None)
        if newest is None:
            if listing.findtext("{*}IsTruncated") == "true":
                raise _invalid(f"{self._bucket.name}/{self._prefix} contains only objects that are no checkpoints")
            return None
        held = [await self._fetch(key, version) for key, version in versions if key == newest]
        if any(one.root != held[0].root for one in held):
            raise _invalid(f"{newest} was signed with two different contents: two histories exist")
        return held[0]

    async def publish(self, offer: Offer) -> None:
        """See ``CheckpointTarget.publish``. A checkpoint that the bucket did not lock counts as refused."""
        key = self._key_of(offer.checkpoint)
        body = offer.note.encode()
        until = datetime.fromtimestamp(offer.at_s, UTC) + timedelta(days=self._bucket.retain_days)
        headers = {
            "content-type": "text/plain; charset=utf-8",
            # S3 requires this checksum with a lock; it protects the transport, the signature protects the content.
            "content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
            "if-none-match": "*",
            "x-amz-object-lock-mode": "COMPLIANCE",
            "x-amz-object-lock-retain-until-date": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        answer = await self._send("PUT", key, {}, headers, body)
        if answer.status in {409, 412}:
            held = await self._fetch(key, "")
            if held.root != offer.checkpoint.root:
                raise contradiction(f"its {held.size} entries are not those of the journal")
            return
        if answer.status != 200:
            raise https.refused(answer)
        locked = await self._send("HEAD", key, {})
        if locked.status != 200 or locked.headers.get("x-amz-object-lock-mode") != "COMPLIANCE":
            raise Refused(
                "it accepted the checkpoint and did not lock it",
                code="target-refused",
                remedy="Create the bucket with object lock, and allow the access key s3:PutObjectRetention.",
            )

    def _key_of(self, checkpoint: Checkpoint) -> str:
        return f"{self._prefix}{_TOP - checkpoint.size:020d}-{checkpoint.size}.checkpoint"

    async def _fetch(self, key: str, version: str) -> Checkpoint:
        answer = await self._send("GET", key, {"versionId": version} if version and version != "null" else {})
        if answer.status != 200:
            raise https.refused(answer)
        found = decode_checkpoint(answer.body, self._key)
        if self._key_of(found) != key:
            raise _invalid(f"{key} holds the checkpoint of {found.size} entries")
        return found

    async def _send(
        self, method: str, key: str, parameters: Mapping[str, str], headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> https.Answer:
        path = f"/{encoded(self._bucket.name)}" + (f"/{encoded(key, safe='/')}" if key else "/")
        query = query_of(parameters)
        credentials = self._bucket.credentials
        signed = signed_headers(credentials, method, self._host, path, query, headers or {}, body, self._now() // 1000)
        url = f"{self._endpoint}{path}{'?' + query if query else ''}"
        return await https.send(method, url, headers=signed, body=body)


def _parsed(body: bytes) -> ET.Element | None:
    # A document type could define entities, which a parser expands while it reads; the answer's length is bounded.
    try:
        text = body.decode()
        return None if "<!DOCTYPE" in text else ET.fromstring(text)  # noqa: S314
    except (ET.ParseError, ValueError):
        return None


def _invalid(why: str) -> IntegrityError:
    return IntegrityError(why, code="checkpoint-malformed", remedy="Check the bucket's versions, and who can write to it.")
