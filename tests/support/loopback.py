"""HTTP clients for this machine. They read none of its certificates: that takes 50 ms for each client, and nothing here is TLS."""

from __future__ import annotations

from pathlib import Path

import httpx


def http_at(base_url: str = "", *, timeout: float = 20) -> httpx.AsyncClient:
    """A client of a server on loopback."""
    return httpx.AsyncClient(base_url=base_url, timeout=timeout, trust_env=False, verify=False)


def http_over(socket: Path, *, timeout: float = 20) -> httpx.AsyncClient:
    """A client of a server on a unix socket."""
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket), verify=False), base_url="http://local", timeout=timeout
    )
