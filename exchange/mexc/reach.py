"""Which hosts a process may reach (architecture.md §11.12): loopback in rehearsal, MEXC's two hosts in production."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from exchange.errors import Refused

MEXC_REST_HOST = "api.mexc.com"
MEXC_STREAM_HOST = "wbs-api.mexc.com"


class Reach(StrEnum):
    """LOOPBACK: this machine only, with or without TLS. MEXC: the two production hosts, with TLS only."""

    LOOPBACK = "loopback"
    MEXC = "mexc"

    def check(self, url: str) -> None:
        """Refuse a URL outside the reach.

        Raises:
            Refused: ``host-not-allowed``. Nothing has been sent or resolved.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if self is Reach.LOOPBACK:
            allowed = _is_loopback(host) and parts.scheme in {"http", "https", "ws", "wss"}
        else:
            expected = {"https": MEXC_REST_HOST, "wss": MEXC_STREAM_HOST}.get(parts.scheme)
            allowed = expected is not None and host == expected and port in {None, 443}
        if not allowed or parts.username is not None or parts.password is not None:
            raise Refused(
                f"{parts.scheme or 'no scheme'}://{host or 'no host'} is outside what this process may reach ({self.value})",
                code="host-not-allowed",
                remedy="Set the venue's URL to a loopback address in rehearsal, or to MEXC's own hosts in production.",
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
