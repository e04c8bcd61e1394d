"""An S3-compatible bucket with object lock on loopback, for tests: it checks every signature and keeps locked versions."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.serving import listen, serve
from controller.serving.acceptor import Acceptors
from controller.serving.bounds import Bounds

ACCESS_KEY, SECRET, REGION, BUCKET = "AKIATEST", "bucket-secret-of-the-test", "eu-test-1", "checkpoints"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass
class Version:
    """One version of a key; ``body`` is ``None`` for a deletion marker."""

    id: str
    body: bytes | None
    lock: str = ""
    until: str = ""


@dataclass
class BucketServer:
    """The bucket's versions and the requests it got.

    ``locks`` off: it takes objects and ignores their locks; ``down``: it answers 503; ``listing``: what it says
    instead of a listing.
    """

    url: str = ""
    versions: dict[str, list[Version]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    locks: bool = True
    down: bool = False
    listing: str | None = None

    def put(self, key: str, body: bytes) -> None:
        """Add a version, as any client with write permission can."""
        self.versions.setdefault(key, []).insert(0, Version(f"v{sum(map(len, self.versions.values()))}", body))

    def hide(self, key: str) -> None:
        """Add a deletion marker, which the lock allows."""
        self.versions.setdefault(key, []).insert(0, Version(f"v{sum(map(len, self.versions.values()))}", None))

    def delete(self, key: str, version: str) -> bool:
        """Delete one version permanently; a lock forbids it."""
        found = next(one for one in self.versions[key] if one.id == version)
        if found.lock == "COMPLIANCE" and datetime.fromisoformat(found.until) > datetime.now(UTC):
            return False
        self.versions[key].remove(found)
        return True

    @property
    def keys(self) -> list[str]:
        return sorted(self.versions)

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.asked.append(request.method)
        if self.down:
            return Response(status_code=503)
        if (problem := _unsigned(request, body)) is not None:
            return _error(403, problem)
        key = request.path_params["key"]
        match request.method:
            case "PUT":
                return self._put(request, key, body)
            case "GET" if not key:
                return self._list(request)
            case _:
                return self._get(request, key)

    def _put(self, request: Request, key: str, body: bytes) -> Response:
        headers = request.headers
        current = self.versions.get(key, [Version("", None)])[0]
        if headers.get("if-none-match") == "*" and current.body is not None:
            return _error(412, "PreconditionFailed")
        mode, until = headers.get("x-amz-object-lock-mode", ""), headers.get("x-amz-object-lock-retain-until-date", "")
        if mode and headers.get("content-md5") != base64.b64encode(hashlib.md5(body).digest()).decode():
            return _error(400, "InvalidRequest")
        if bool(mode) != bool(until) or (until and datetime.fromisoformat(until) <= datetime.now(UTC)):
            return _error(400, "InvalidArgument")
        self.put(key, body)
        if self.locks:
            self.versions[key][0].lock, self.versions[key][0].until = mode, until
        return Response(status_code=200)

    def _get(self, request: Request, key: str) -> Response:
        wanted = request.query_params.get("versionId")
        held = self.versions.get(key, [])
        found = next((one for one in held if one.id == wanted), None) if wanted else next(iter(held), None)
        if found is None or found.body is None:
            return _error(404, "NoSuchKey")
        headers = {"x-amz-version-id": found.id}
        if found.lock:
            headers |= {"x-amz-object-lock-mode": found.lock, "x-amz-object-lock-retain-until-date": found.until}
        return Response(found.body, headers=headers)

    def _list(self, request: Request) -> Response:
        assert "versions" in request.query_params
        prefix, most = request.query_params["prefix"], int(request.query_params["max-keys"])
        rows = [(key, one) for key in self.keys if key.startswith(prefix) for one in self.versions[key]]
        found = "".join(
            f"<{tag}><Key>{escape(key)}</Key><VersionId>{one.id}</VersionId></{tag}>"
            for key, one in rows[:most]
            for tag in ("DeleteMarker" if one.body is None else "Version",)
        )
        truncated = str(len(rows) > most).lower()
        listing = f"<IsTruncated>{truncated}</IsTruncated>{found}"
        listed = f'<?xml version="1.0" encoding="UTF-8"?>\n<ListVersionsResult xmlns="{NAMESPACE}">{listing}</ListVersionsResult>'
        return Response(listed if self.listing is None else self.listing, media_type="application/xml")


def _unsigned(request: Request, body: bytes) -> str | None:
    """What is wrong with the request's signature, worked out from AWS's description and not from our signer."""
    authorization = request.headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        return "AccessDenied"
    parts = dict(item.split("=", 1) for item in authorization.removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    stamp, digest = request.headers["x-amz-date"], request.headers["x-amz-content-sha256"]
    if digest != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    skew = datetime.now(UTC) - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(skew.total_seconds()) > 900:
        return "RequestTimeTooSkewed"
    names = parts["SignedHeaders"].split(";")
    if names != sorted(names) or not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names):
        return "AccessDenied"
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in names]
    if unsigned:
        return "AccessDenied"
    pairs = sorted(parse_qsl(request.url.query, keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='-._~')}={quote(value, safe='-._~')}" for name, value in pairs)
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    raw_path = request.scope["raw_path"].decode()
    canonical = f"{request.method}\n{raw_path}\n{query}\n{headers}\n{';'.join(names)}\n{digest}"
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    if parts["Credential"] != f"{ACCESS_KEY}/{scope}":
        return "InvalidAccessKeyId"
    key = ("AWS4" + SECRET).encode()
    for part in (stamp[:8], REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signed = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    expected = hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(expected, parts["Signature"]) else "SignatureDoesNotMatch"


def _error(status: int, code: str) -> Response:
    return Response(f"<Error><Code>{code}</Code></Error>", status, media_type="application/xml")


@asynccontextmanager
async def running_bucket() -> AsyncIterator[BucketServer]:
    """A bucket on a free port."""
    server = BucketServer()
    route = f"/{BUCKET}/{{key:path}}"
    app = Starlette(routes=[Route(route, server.answer, methods=["GET", "HEAD", "PUT"])])
    listener = listen("127.0.0.1", 0, "bucket")
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serve(app, listener, Acceptors().add("bucket", Bounds())):
        yield server
