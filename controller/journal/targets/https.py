"""One bounded HTTPS request to a checkpoint target: verified certificates, no redirects, no proxies of the environment.

The bucket, webhook and witness targets send with it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import httpx

from exchange.errors import ConfigError, Refused, Unreachable

TIMEOUT_S = 10
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer of at most ``MOST_BYTES``. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def checked_url(url: str, *, loopback: bool) -> str:
    """The checked address, without a slash at its end. ``loopback`` also allows plain http to this machine.

    Raises:
        ConfigError: ``checkpoint-address``.
    """
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and not parts.username and not parts.password and not parts.fragment
    except ValueError:
        raise _address(url) from None
    if not sound or not (parts.scheme == "https" or (parts.scheme == "http" and loopback and _is_loopback(parts.hostname or ""))):
        raise _address(url)
    tls_context()
    return url.rstrip("/")


def host_of(url: str) -> str:
    """The ``host`` header of an address: in lower case, without the scheme's default port."""
    return httpx.URL(url).netloc.decode("ascii")


async def send(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """Send one request and read its answer.

    Raises:
        Unreachable: no answer in time, an answer that is too long, or status 429 or 5xx.
        Refused: a redirect.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S), _client() as client:
            request = client.build_request(method, url, headers=headers, content=body or None)
            response = await client.send(request, stream=True)
            try:
                content = await _bounded(response)
            finally:
                await response.aclose()
    except TimeoutError:
        raise _unreachable(f"no answer in {TIMEOUT_S} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise _unreachable(f"{type(error).__name__} {error}".strip()) from error
    answer = Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, content)
    if answer.status == 429 or answer.status >= 500:
        raise _unreachable(f"HTTP {answer.status}")
    if 300 <= answer.status < 400:
        raise Refused(
            f"HTTP {answer.status}: it redirects, and a checkpoint is sent only to the configured address",
            code="target-refused",
            remedy="Set the address it redirects to, if that one is right.",
        )
    return answer


def bearer(token: str) -> str:
    """The ``authorization`` header. Raises ``ConfigError`` (``checkpoint-secret``) for a token that no header can contain."""
    if not (token.isascii() and token.isprintable()):
        raise ConfigError(
            "the target's token is more than one line of printable ASCII",
            code="checkpoint-secret",
            remedy="Write only the token to the file that `secret_file` names.",
        )
    return f"Bearer {token}"


def refused(answer: Answer, *, quoted: bool = True) -> Refused:
    """The error for an answer without success. Not ``quoted`` if the address is secret, because servers often repeat it."""
    quote = " ".join(answer.body[:200].decode(errors="replace").split()) if quoted else ""
    return Refused(
        f"HTTP {answer.status}{': ' + quote if quote else ''}",
        code="target-refused",
        remedy="Correct the target's address, credentials or rights.",
    )


async def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > MOST_BYTES:
            raise _unreachable(f"the answer is longer than {MOST_BYTES} bytes")
    return bytes(content)


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=tls_context(), timeout=TIMEOUT_S, trust_env=False, follow_redirects=False)


@cache
def tls_context() -> ssl.SSLContext:
    """What every target's server is judged by: the authorities of this machine, beside those of the library."""
    # Created once at the start: reading the certificates between two orders would delay them. A deployment's own
    # certificate authority must be one that this machine trusts.
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(url: str) -> ConfigError:
    # Only the host: the rest may contain a password or a token.
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return ConfigError(
        f"the address {f'of {host!r} ' if host else ''}is not allowed for checkpoints",
        code="checkpoint-address",
        remedy="Use https:// without a user name; plain http is allowed only to this machine, in a rehearsal.",
    )


def _unreachable(why: str) -> Unreachable:
    return Unreachable(why, code="target-unreachable", remedy="Start it, or correct its address; it is retried automatically.")
