"""A report's document with a digest for each of its parts, so that one changed byte is found and its part is named.

``cli.show.report`` writes it, ``cli.show.verify`` reads it. ``digest`` names the whole; the page shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies import canonical

MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Sealed:
    """A document, the digest of each part, and the digest of these digests."""

    document: Mapping[str, Any]
    parts: Mapping[str, str]
    digest: str

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return canonical.encode({**self.document, "seal": {"digest": self.digest, "parts": dict(self.parts)}})


def seal(document: Mapping[str, Any]) -> Sealed:
    """Seal a document, with the order of its fields as every reader of the file sees them."""
    document = canonical.decode(canonical.encode(document), limit=MOST_BYTES)
    parts = {name: canonical.digest(canonical.encode(value)) for name, value in document.items()}
    return Sealed(document, parts, digest_of(parts))


def digest_of(parts: Mapping[str, str]) -> str:
    """The digest of all parts."""
    return canonical.digest(canonical.encode(dict(parts)))
