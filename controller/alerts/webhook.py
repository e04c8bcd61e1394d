"""A signed webhook as a channel: one HTTPS POST of JSON, signed as in the Standard Webhooks specification.

The headers are ``webhook-id``, ``webhook-timestamp`` (seconds) and ``webhook-signature``: ``v1,`` and the base64 of the HMAC-SHA256
of ``id.timestamp.body`` under the bytes of the secret. Source: https://www.standardwebhooks.com. No redirect is followed, no proxy
of the environment is used, and the connection goes to the address that was judged (``addresses``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from controller.alerts.addresses import Resolve, pinned_address, resolve
from controller.alerts.notice import ChannelError, Notice
from exchange.errors import ConfigError

TIMEOUT_S = 8.0
MOST_BYTES = 64 * 1024


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


class Webhook:
    """Implements ``Channel``. ``private``: addresses and networks inside the own network that it may lead to."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        *,
        private: Sequence[str] = (),
        resolve_name: Resolve = resolve,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._name = name
        self._secret = secret
        self._private = tuple(private)
        self._resolve = resolve_name
        self._timeout_s = timeout_s
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
        body, timestamp = notice.body(identity), notice.at // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": "gatehouse",
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, identity, timestamp, body),
        }
        try:
            connection.request("POST", self._path, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
        except TimeoutError:
            raise _unreachable(f"no answer in {self._timeout_s:g} s") from None
        except ssl.SSLError as error:
            raise _unreachable(f"TLS failed: {error.reason or 'unknown reason'}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(getattr(error, "strerror", None) or type(error).__name__) from None
        finally:
            connection.close()
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


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever the name resolves to by now."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address
        self._tls = context

    def connect(self) -> None:
        """Connect to the address; a certificate has to be the name's."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self.host)


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
