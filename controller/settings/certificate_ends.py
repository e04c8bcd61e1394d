"""When a certificate ends, and when that is soon: the same for ``doctor`` and for the alert of a controller that runs."""

from __future__ import annotations

from cryptography import x509

from exchange.model import Millis

_SOON_MS = 10 * 24 * 3_600_000
"""A certificate that is renewed by itself is renewed well before: one of 90 days commonly 30 days before its end."""


def begins_at(certificate: x509.Certificate) -> Millis:
    """The first instant at which it counts."""
    return Millis(int(certificate.not_valid_before_utc.timestamp() * 1000))


def ends_at(certificate: x509.Certificate) -> Millis:
    """The first instant at which it does not count."""
    return Millis(int(certificate.not_valid_after_utc.timestamp() * 1000) + 1000)


def ends_soon(certificate: x509.Certificate, now: Millis) -> bool:
    """Whether it ends within 10 days, or is in the last quarter of a life shorter than 40 days."""
    ends = ends_at(certificate)
    return ends - now < min(_SOON_MS, (ends - begins_at(certificate)) // 4)
