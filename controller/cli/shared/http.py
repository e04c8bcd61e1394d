"""JSON calls over HTTP whose failures are gatehouse's own errors. The operator client, ``doctor`` and the demo use it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from exchange import authorities
from exchange.errors import DeadlineExceeded, Unreachable

_TIMEOUT = httpx.Timeout(15, connect=3)
_OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: status and parsed JSON body."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return self.status == _OK


class JsonClient:
    """A server that speaks JSON, behind a unix socket or a loopback address. It ignores proxies and ``~/.netrc``."""

    def __init__(
        self,
        name: str,
        *,
        base: str,
        remedy: str,
        socket: Path | None = None,
        headers: Mapping[str, str] | None = None,
        answer_within_s: float | None = None,
        remedy_if_silent: str = "",
        remedy_if_refused: str = "",
    ):
        """``remedy`` is for a server that is not there, ``remedy_if_silent`` for one that took the request and did not answer.

        ``remedy_if_refused`` is for one whose certificate is refused.
        """
        self._name = name
        self._remedy = remedy
        self._remedy_if_silent = remedy_if_silent or remedy
        self._remedy_if_refused = remedy_if_refused or remedy
        timeout = _TIMEOUT if answer_within_s is None else httpx.Timeout(answer_within_s)
        self._within_s = timeout.read or 0
        transport = _over(socket) if socket is not None else httpx.HTTPTransport()
        self._http = httpx.Client(transport=transport, base_url=base, trust_env=False, timeout=timeout, headers=dict(headers or {}))

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """GET, once."""
        return self._call("GET", path, params=dict(params or {}))

    def post(self, path: str, body: Any) -> Answer:
        """POST a JSON value, once."""
        return self._call("POST", path, json=body)

    def post_text(self, path: str, text: str) -> Answer:
        """POST JSON that must arrive byte for byte as it is."""
        return self._call("POST", path, content=text.encode(), headers={"content-type": "application/json"})

    def close(self) -> None:
        """Release connections."""
        self._http.close()

    def _call(self, method: str, path: str, **arguments: Any) -> Answer:
        try:
            response = self._http.request(method, path, **arguments)
            return Answer(response.status_code, response.json())
        except httpx.ReadTimeout:
            raise DeadlineExceeded(
                f"{self._name} took the question {path} and gave no answer within {self._within_s:g} s",
                code="no-answer",
                remedy=self._remedy_if_silent,
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if refused := authorities.refusal(error):
                raise Unreachable(
                    f"{self._name} cannot be reached: {refused}", code="certificate-refused", remedy=self._remedy_if_refused
                ) from None
            why = str(error) or type(error).__name__
            raise Unreachable(f"{self._name} cannot be reached: {why}", code="unreachable", remedy=self._remedy) from None
        except ValueError:
            raise Unreachable(
                f"{self._name} answered {path} with something that is not JSON", code="not-json", remedy=self._remedy
            ) from None


def _over(socket: Path) -> httpx.HTTPTransport:
    # A unix socket needs no TLS. Without this, loading the system's certificates takes 50 ms.
    return httpx.HTTPTransport(uds=str(socket), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
