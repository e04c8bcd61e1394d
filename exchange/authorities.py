"""Whom a venue's certificate has to be from, and what is wrong with one that is refused. REST, streams and ``doctor`` use it."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """What every venue is judged by: the library's own list of authorities. No setting, variable or file of the host adds one."""
    # Reading the list is the slowest part of opening a connection.
    return httpx.create_ssl_context(verify=True, trust_env=False)


def refusal(error: BaseException | None) -> str:
    """Why the certificate was refused, where that ended the connection; else an empty text."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {error.verify_message.rstrip('.')}"
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return ""


REMEDY = (
    "Trade nothing until you know who answers. `openssl s_client -connect {host}:443 -servername {host}` shows the certificate. "
    "Look at /etc/hosts, DNS, a proxy that opens TLS, and this machine's date. gatehouse trusts the list of authorities that it is "
    "installed with: a newer gatehouse brings a newer list, and nothing on this host adds to it."
)
"""What to do about a certificate that is refused, with the ``host`` to fill in."""
