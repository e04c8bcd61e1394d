"""The witness over HTTP: ``POST /add-checkpoint`` as in C2SP tlog-witness, the newest cosigned checkpoint, and claims of accounts.

``gatehouse witness run`` builds and serves it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.journal.cosignature import cosign
from controller.journal.note import NoteKey, open_note
from controller.serving import listen, serve
from controller.serving.acceptor import Acceptors
from controller.serving.bounds import Bounds
from controller.witness.claims import MOST_BYTES as MOST_CLAIM_BYTES
from controller.witness.claims import ClaimBook
from controller.witness.judge import MOST_BYTES, TEXT_TYPE, CheckpointRefused, judge
from controller.witness.store import Store
from exchange.errors import ConfigError
from exchange.ports import Clock

BOUNDS = Bounds(connections=64, per_address=16)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its key: PEM files."""

    certificate: Path
    key: Path


class Witness:
    """Cosigns checkpoints that extend the stored one. It handles one request at a time: checking and storing are one step."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey, logs: Mapping[str, NoteKey], store: Store, clock: Clock) -> None:
        self._name, self._private_key, self._logs, self._store, self._clock = name, private_key, logs, store, clock
        self._lock = asyncio.Lock()
        self._claims = ClaimBook(logs, clock.monotonic_ns())

    def claim(self, body: bytes) -> Response:
        """Answer one claim of an account (ADR 50)."""
        answer = self._claims.ask(body, now_ns=self._clock.monotonic_ns(), now_s=self._clock.now() // 1000)
        return _plain(answer.status, f"{answer.line}\n")

    async def add(self, body: bytes) -> Response:
        """Answer one ``add-checkpoint``. A request whose sender disconnects is finished before the next one starts."""
        return await asyncio.shield(self._add(body))

    async def _add(self, body: bytes) -> Response:
        async with self._lock:
            verdict = judge(body, self._logs, self._store.newest)
            if isinstance(verdict, CheckpointRefused):
                if verdict.suspicious:
                    _log.critical("a log did not prove that it extends what it signed before: %s", verdict.body.strip())
                    with suppress(OSError):
                        await asyncio.to_thread(self._store.keep_evidence, verdict.suspicious, body)
                return _plain(verdict.status, verdict.body, verdict.content_type)
            try:
                await asyncio.to_thread(self._store.save, verdict.note, verdict.checkpoint)
            except OSError as error:
                _log.exception("nothing was cosigned, because the checkpoint could not be stored")
                return _plain(503, f"the witness cannot store the checkpoint: {error.strerror}\n")
            return _plain(200, self._cosigned(verdict.text))

    async def newest(self, digest: str) -> Response:
        """The newest checkpoint of one log with a new cosignature; 404 before there is one."""
        async with self._lock:
            note = self._store.note(digest)
        if note is None:
            return _plain(404, "no checkpoint of this log is stored\n")
        origin = note.partition("\n")[0]
        return _plain(200, note + self._cosigned(open_note(note, self._logs[origin])))

    def _cosigned(self, text: str) -> str:
        return cosign(text, self._name, self._private_key, self._clock.now() // 1000)


def create_app(witness: Witness) -> Starlette:
    """The ASGI application of a witness."""

    async def add(request: Request) -> Response:
        body = await _body(request, MOST_BYTES)
        return await witness.add(body) if body is not None else _too_long()

    async def claim(request: Request) -> Response:
        body = await _body(request, MOST_CLAIM_BYTES)
        return witness.claim(body) if body is not None else _too_long()

    async def newest(request: Request) -> Response:
        return await witness.newest(request.path_params["digest"])

    async def livez(_: Request) -> Response:
        return _plain(200, "ok\n")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add, methods=["POST"]),
            Route("/claim", claim, methods=["POST"]),
            Route("/checkpoint/{digest}", newest, methods=["GET"]),
            Route("/livez", livez, methods=["GET"]),
        ]
    )


async def _body(request: Request, most: int) -> bytes | None:
    """The whole body; ``None`` when it is longer than ``most``."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


def _too_long() -> Response:
    return _plain(413, "the request is too long\n")


@asynccontextmanager
async def serving(app: Starlette, host: str, port: int, tls: Tls | None = None) -> AsyncIterator[int]:
    """Serve on TCP; yields the port. Raises ``ConfigError`` (``cannot-listen``, ``witness-tls``)."""
    context = _tls_context(tls) if tls is not None else None
    listener = listen(host, port, "witness")
    async with serve(app, listener, Acceptors().add("witness", BOUNDS), tls=context):
        yield int(listener.getsockname()[1])


def _tls_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise ConfigError(
            f"the certificate or its key cannot be used: {error}",
            code="witness-tls",
            remedy="Pass the certificate with its chain as --tls-cert and its key as --tls-key, both as PEM files.",
        ) from error
    return context


def _plain(status: int, body: str, content_type: str = TEXT_TYPE) -> Response:
    return Response(body, status, headers={"content-type": content_type})
