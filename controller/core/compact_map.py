"""Immutable map stored as bytes, for entries that are kept for ever and seldom read.

``State`` keeps settled orders and trades in it.

A million settled orders as Python objects would take gigabytes, and seconds at every start. Here each entry is a line of JSON in
one of a fixed number of byte strings (buckets), chosen by a checksum of the key. A change copies one bucket and shares the
others. Equal histories give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from typing import Any
from zlib import crc32

from immutables import Map

BUCKETS = 1 << 16
"""With a million entries of 200 bytes a bucket has 3 kB, and a search of it takes microseconds."""

_PART = 1 << 10
_EMPTY: Map[int, bytes] = Map()
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class CompactMap:
    """Maps strings to JSON values. A bucket is a sequence of lines ``\\n"key":value``; JSON contains no raw line feed and no NUL.

    The buckets are kept in pieces of ``_PART``, so that reading them in order looks only at buckets that are filled.
    """

    size: int = 0
    pieces: Map[int, Map[int, bytes]] = field(default_factory=Map)

    @classmethod
    def of(cls, keys: Iterable[str]) -> CompactMap:
        """Return a map of these keys without values."""
        made = cls()
        for key in keys:
            made = made.put(key, None)
        return made

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self.size

    def __contains__(self, key: str) -> bool:
        """Return whether there is such a key."""
        number, start = _place(key)
        return start in self._bucket(number)

    def line(self, key: str) -> bytes | None:
        """Return the JSON of a key's value, or ``None`` when there is no such key."""
        number, start = _place(key)
        bucket = self._bucket(number)
        if (found := bucket.find(start)) < 0:
            return None
        end = bucket.find(b"\n", found + 1)
        return bucket[found + len(start) : end if end >= 0 else len(bucket)]

    def get(self, key: str) -> Any:
        """Return a key's value; ``None`` when it has none, or when there is no such key."""
        line = self.line(key)
        return None if line is None else json.loads(line)

    def put(self, key: str, value: Any) -> CompactMap:
        """Return the map with this value, which replaces an earlier value of the key."""
        number, start = _place(key)
        line = start + _encode(value).encode()
        bucket = self._bucket(number)
        rest = _without(bucket, start)
        return self._with(self.size + (rest is bucket), number, rest + line)

    def drop(self, key: str) -> CompactMap:
        """Return the map without this key."""
        number, start = _place(key)
        bucket = self._bucket(number)
        rest = _without(bucket, start)
        return self if rest is bucket else self._with(self.size - 1, number, rest)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over all keys and values, in no particular order."""
        for piece in self.pieces.values():
            for bucket in piece.values():
                yield from json.loads(b"{" + bucket[1:].replace(b"\n", b",") + b"}").items()

    def digest(self) -> str:
        """Return ``sha256:<hex>`` of all content."""
        digest = hashlib.sha256()
        for part in self.parts():
            digest.update(part)
        return f"sha256:{digest.hexdigest()}"

    def parts(self) -> Iterator[bytes]:
        """Iterate over all content as bytes, some hundred buckets at a time. ``of_parts`` reads them."""
        for _, piece in sorted(self.pieces.items()):
            yield b"".join([b"%d%b\0" % numbered for numbered in sorted(piece.items())])

    @classmethod
    def of_parts(cls, size: int, parts: Iterable[bytes]) -> CompactMap:
        """Return the map that ``parts`` wrote. Raises ``ValueError`` for bytes that ``parts`` cannot have written."""
        pieces: dict[int, dict[int, bytes]] = defaultdict(dict)
        for numbered in (one for part in parts for one in part.split(b"\0") if one):
            at = numbered.index(b"\n")
            number = int(numbered[:at])
            pieces[number // _PART][number] = numbered[at:]
        if sum(bucket.count(b"\n") for piece in pieces.values() for bucket in piece.values()) != size:
            raise ValueError("these are not the bytes of a compact map of this size")
        return cls(size, Map({place: Map(piece) for place, piece in pieces.items()}))

    def _bucket(self, number: int) -> bytes:
        return self.pieces.get(number // _PART, _EMPTY).get(number, b"")

    def _with(self, size: int, number: int, bucket: bytes) -> CompactMap:
        place = number // _PART
        piece = self.pieces.get(place, _EMPTY)
        piece = piece.set(number, bucket) if bucket else piece.delete(number)
        return CompactMap(size, self.pieces.set(place, piece) if piece else self.pieces.delete(place))


def _without(bucket: bytes, start: bytes) -> bytes:
    if (found := bucket.find(start)) < 0:
        return bucket
    end = bucket.find(b"\n", found + 1)
    return bucket[:found] + (bucket[end:] if end >= 0 else b"")


def _place(key: str) -> tuple[int, bytes]:
    start = f"\n{encode_basestring_ascii(key)}:".encode()
    return crc32(start) % BUCKETS, start
