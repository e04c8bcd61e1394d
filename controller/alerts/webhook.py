"""A signed webhook as a channel: one HTTPS POST of JSON, signed as in the Standard Webhooks specification.

The headers are ``webhook-id``, ``webhook-timestamp`` (seconds, of the attempt) and ``webhook-signature``: ``v1,`` and the base64 of
the HMAC-SHA256 of ``id.timestamp.body`` under the bytes of the secret, or under what follows ``whsec_`` in it, which is base64.
Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md. A receiver refuses a timestamp that is
older than some minutes, so that of the alert would make every late delivery fail. No redirect is followed, no proxy of the
environment is used, and the connection goes to the address that was judged (``addresses``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Timer
from urllib.parse import urlsplit

from controller.alerts.addresses import Resolve, pinned_address, resolve
from controller.alerts.notice import ChannelError, Notice
from exchange.errors import ConfigError

TIMEOUT_S = 8.0
MOST_BYTES = 64 * 1024
WRITTEN_AS_BASE64 = "whsec_"


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(signing_key(secret), signed, hashlib.sha256).digest()).decode()


def signing_key(secret: str) -> bytes:
    """The bytes that a secret stands for. Raises ``ValueError`` for a ``whsec_`` that no base64 follows."""
    encoded = secret.removeprefix(WRITTEN_AS_BASE64)
    return secret.encode() if encoded == secret else base64.b64decode(encoded, validate=True)


class Webhook:
    """Implements ``Channel``. ``private``: addresses and networks inside the own network that it may lead to.

    ``now_s`` is the time of an attempt, in seconds since 1970. An attempt ends after ``timeout_s``, also when the receiver sends a
    byte now and then.
    """

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        *,
        private: Sequence[str] = (),
        resolve_name: Resolve = resolve,
        timeout_s: float = TIMEOUT_S,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._now_s = now_s
        self._secret = secret
        self._private = tuple(private)
        self._resolve = resolve_name
        self._timeout_s = timeout_s
        try:
            signing_key(secret)
        except ValueError:
            raise ConfigError(
                f"the secret of the alert channel {name} begins with {WRITTEN_AS_BASE64} and is not base64 after it",
                code="channel-secret",
                remedy="Copy the whole secret from the receiver into secret_file.",
            ) from None
        try:
            parts = urlsplit(url)
            self._host, self._secure = parts.hostname or "", parts.scheme == "https"
            self._port = parts.port or (443 if self._secure else 80)
        except ValueError:
            raise _malformed(name) from None
        sound = self._host and not parts.username and not parts.password and not parts.fragment
        # Plain http shows the alert to everybody in between, so only addresses that are named, and so inside the network, have it.
        if not sound or not (self._secure or (parts.scheme == "http" and self._private)):
            raise _malformed(name)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._context = ssl.create_default_context() if self._secure else None

    @property
    def name(self) -> str:
        """See ``Channel``."""
        return self._name

    def send(self, notice: Notice) -> None:
        """See ``Channel``. Any 2xx answer means taken over."""
        address = pinned_address(self._host, self._port, self._private, self._resolve)
        connection = _Pinned(self._host, self._port, address, self._context, self._timeout_s)
        identity = _identity(notice)
        body, timestamp = notice.body(identity), int(self._now_s())
        headers = {
            "content-type": "application/json",
            "user-agent": "gatehouse",
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, identity, timestamp, body),
        }
        late = Timer(self._timeout_s, connection.cut)
        late.daemon = True
        late.start()
        try:
            connection.request("POST", self._path, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(self._why(connection, error)) from None
        finally:
            late.cancel()
            connection.close()
        if connection.is_cut:
            raise _unreachable(f"no whole answer in {self._timeout_s:g} s")
        if 300 <= answer.status < 400:
            raise ChannelError(
                f"HTTP {answer.status}: it redirects, and an alert is sent only to the configured address",
                code="channel-refused",
                remedy="Write the address that it redirects to into the channel's file, if that one is right.",
            )
        if not 200 <= answer.status < 300:
            raise ChannelError(
                f"HTTP {answer.status}", code="channel-refused", remedy="Correct the channel's address, its secret or its receiver."
            )

    def _why(self, connection: _Pinned, error: Exception) -> str:
        if connection.is_cut or isinstance(error, TimeoutError):
            return f"no answer in {self._timeout_s:g} s"
        if isinstance(error, ssl.SSLError):
            return f"TLS failed: {error.reason or 'unknown reason'}"
        return getattr(error, "strerror", None) or type(error).__name__


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever the name resolves to by now."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address
        self._tls = context
        self._plain: socket.socket | None = None
        self.is_cut = False

    def cut(self) -> None:
        """End it at once, from another thread: what waits for the receiver fails."""
        self.is_cut = True
        if self._plain is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._plain, socket.SHUT_RDWR)

    def connect(self) -> None:
        """Connect to the address; a certificate has to be the name's."""
        plain = self._plain = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls is not None:
            plain = self._plain = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
            plain.do_handshake()
        self.sock = plain


def _identity(notice: Notice) -> str:
    values = f"{notice.source.controller_id}\0{notice.kind}\0{notice.title}\0{notice.at}\0{notice.step}"
    return hashlib.sha256(values.encode()).hexdigest()[:32]


def _malformed(name: str) -> ConfigError:
    return ConfigError(
        f"the address of the alert channel {name} is not allowed",
        code="channel-address",
        remedy="Use https:// without a user name; plain http is allowed only to addresses that `private` names.",
    )


def _unreachable(why: str) -> ChannelError:
    return ChannelError(why, code="channel-unreachable", remedy="Start the receiver, or correct the channel's address.")
