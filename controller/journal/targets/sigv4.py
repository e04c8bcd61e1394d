"""AWS Signature Version 4 in a request's headers, over body and query, for S3. ``targets.bucket`` signs with it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key. ``region`` is part of the signed text."""

    access_key: str
    secret: str
    region: str


def encoded(text: str, *, safe: str = "") -> str:
    """URI encoding for SigV4: all characters except unreserved ones, in upper-case hexadecimal."""
    return quote(text, safe=f"-._~{safe}")


def query_of(parameters: Mapping[str, str]) -> str:
    """The canonical query string; it is also sent in this form."""
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in sorted(parameters.items()))


def signed_headers(
    credentials: Credentials, method: str, host: str, path: str, query: str, headers: Mapping[str, str], body: bytes, at_s: int
) -> dict[str, str]:
    """``headers`` plus the headers that sign the request. ``path`` is already encoded; ``at_s`` is now, in seconds."""
    stamp = datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    sent = {**headers, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    signed = {name.lower(): " ".join(value.split()) for name, value in {**sent, "host": host}.items()}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{stamp[:8]}/{credentials.region}/s3/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**sent, "authorization": f"{_ALGORITHM} {authorization}"}
