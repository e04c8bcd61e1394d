"""Immutable map stored as bytes, for entries that are kept for ever and seldom read.

``State`` keeps settled orders and trades in it.

A million settled orders as Python objects would take gigabytes, and seconds at every start. Here each entry is a line of JSON in
one of a fixed number of byte strings (buckets), chosen by a checksum of the key. A long line is compressed with ``_USUAL``, the
text of usual orders, so that an order takes a third of its JSON (ADR 52). A change copies one bucket and shares the others. Equal
histories give equal lines in equal order.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any
from zlib import crc32

_PARTS, _PART = 1 << 7, 1 << 8
BUCKETS = _PARTS * _PART
"""With a million entries of 120 bytes a bucket has 4 kB, and a search of it takes some microseconds."""

_LONG = 128
"""A line with more bytes is compressed. Shorter ones are keys and ids, which hardly shrink."""

_HEAD = struct.Struct("!HI")
"""Of an entry: a part of its key's checksum, and the length of what follows with ``_COMPRESSED`` added where it is compressed."""

_COMPRESSED = 1 << 31
_EMPTY = ((b"",) * _PART,) * _PARTS
_encode = json.JSONEncoder(separators=(",", ":")).encode

_USUAL = (
    b'"testnet","TESTNET_VALIDATING","VALIDATED","mock","MOCK","ETHUSDT","MARKET","LIMIT_MAKER","REJECTED","PARTIALLY_CANCELED",'
    b'"0","60000","60000.00","SELL","LIMIT","0.00003",null,"60000.00",1800000000000,1800000000300,1,"","FILLED","C02__",'
    b'"0.00003","1.80","0.00003","1.80",0,null,"",false,null,"",0,"0.00003",[["60000.00","0.00003",1800000000000,"","","0.00000",'
    b'"USDT",true]],"60000.00","0.00003"],null,null]"gh-0000000000000000-0000000000":[10,"gh-0000000000000000-0000000000","bot",'
    b'"bot-","live","LIVE_\\u20ac10","BTCUSDT","BUY","LIMIT","0.0000",null,"6","live","RAMPING","BTCUSDT","BUY","LIMIT","0.0000",'
    b'null,"6",1800000000000,1800000000300,1,"","CANCELED","C02__","0","0","0","0",0,null,"",true,null,"",0,"0",[],null,null]'
)
_WINDOW, _MEMORY, _LEVEL = -10, 2, 9
_COMPRESS = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _USUAL)


@dataclass(frozen=True, slots=True)
class CompactMap:
    """Maps strings to JSON values. A bucket is a sequence of entries, each a ``_HEAD`` and a line ``"key":value``.

    The buckets are in ``_PARTS`` pieces of ``_PART``, so that a change copies two short tuples and one bucket.
    """

    size: int = 0
    pieces: tuple[tuple[bytes, ...], ...] = _EMPTY

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
        return self.line(key) is not None

    def line(self, key: str) -> bytes | None:
        """Return the JSON of a key's value, or ``None`` when there is no such key."""
        number, tag, start = _place(key)
        found = _find(self._bucket(number), tag, start)
        return None if found is None else found[2][len(start) :]

    def get(self, key: str) -> Any:
        """Return a key's value; ``None`` when it has none, or when there is no such key."""
        line = self.line(key)
        return None if line is None else json.loads(line.decode())

    def put(self, key: str, value: Any) -> CompactMap:
        """Return the map with this value, which replaces an earlier value of the key."""
        number, tag, start = _place(key)
        bucket = self._bucket(number)
        rest = _without(bucket, tag, start)
        # Most values are numbers of orders, which take no encoder.
        text = str(value) if type(value) is int else _encode(value)
        return self._with(self.size + (rest is bucket), number, rest + _entry(tag, start + text.encode()))

    def drop(self, key: str) -> CompactMap:
        """Return the map without this key."""
        number, tag, start = _place(key)
        bucket = self._bucket(number)
        rest = _without(bucket, tag, start)
        return self if rest is bucket else self._with(self.size - 1, number, rest)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over all keys and values, in no particular order."""
        for piece in self.pieces:
            for bucket in filter(None, piece):
                yield from json.loads(b"{" + b",".join(_lines(bucket)) + b"}").items()

    def digest(self) -> str:
        """Return ``sha256:<hex>`` of all content. It does not depend on how the lines are compressed."""
        digest = hashlib.sha256()
        for at, piece in enumerate(self.pieces):
            for within, bucket in enumerate(piece if any(piece) else ()):
                if bucket:
                    digest.update(b"%d\n%b\0" % (at * _PART + within, b"\n".join(_lines(bucket))))
        return f"sha256:{digest.hexdigest()}"

    def parts(self) -> Iterator[bytes]:
        """Iterate over all content as bytes, some hundred buckets at a time. ``of_parts`` reads them."""
        for at, piece in enumerate(self.pieces):
            if any(piece):
                yield b"%d\n%b%b" % (at, struct.pack(f"!{_PART}I", *map(len, piece)), b"".join(piece))

    @classmethod
    def of_parts(cls, size: int, parts: Iterable[bytes]) -> CompactMap:
        """Return the map that ``parts`` wrote. Raises ``ValueError`` for bytes that ``parts`` cannot have written."""
        pieces, found = list(_EMPTY), 0
        for part in parts:
            head = part.index(b"\n")
            at, begin = int(part[:head]), head + 1 + 4 * _PART
            if not 0 <= at < _PARTS or len(part) < begin:
                raise ValueError(_OTHER_BYTES)
            piece = list[bytes]()
            for length in struct.unpack_from(f"!{_PART}I", part, head + 1):
                piece.append(part[begin : begin + length])
                begin += length
            if begin != len(part):
                raise ValueError(_OTHER_BYTES)
            pieces[at] = tuple(piece)
            found += sum(1 for bucket in piece for _ in _entries(bucket))
        if found != size:
            raise ValueError(_OTHER_BYTES)
        return cls(size, tuple(pieces))

    def _bucket(self, number: int) -> bytes:
        return self.pieces[number // _PART][number % _PART]

    def _with(self, size: int, number: int, bucket: bytes) -> CompactMap:
        at, within = divmod(number, _PART)
        pieces, piece = list(self.pieces), list(self.pieces[at])
        piece[within] = bucket
        pieces[at] = tuple(piece)
        return CompactMap(size, tuple(pieces))


_OTHER_BYTES = "these are not the bytes of a compact map of this size"


def _entry(tag: int, line: bytes) -> bytes:
    if len(line) <= _LONG:
        return _HEAD.pack(tag, len(line)) + line
    compress = _COMPRESS.copy()
    small = compress.compress(line) + compress.flush()
    return _HEAD.pack(tag, len(small) + _COMPRESSED) + small


def _entries(bucket: bytes) -> Iterator[tuple[int, int, int, bool]]:
    """Where each entry begins, its tag, where it ends, and whether it is compressed."""
    at = 0
    while at < len(bucket):
        try:
            tag, length = _HEAD.unpack_from(bucket, at)
        except struct.error as error:
            raise ValueError(_OTHER_BYTES) from error
        end = at + _HEAD.size + (length & ~_COMPRESSED)
        if end > len(bucket):
            raise ValueError(_OTHER_BYTES)
        yield at, tag, end, bool(length & _COMPRESSED)
        at = end


def _line(bucket: bytes, at: int, end: int, *, compressed: bool) -> bytes:
    stored = bucket[at + _HEAD.size : end]
    return zlib.decompressobj(_WINDOW, _USUAL).decompress(stored) if compressed else stored


def _lines(bucket: bytes) -> list[bytes]:
    return [_line(bucket, at, end, compressed=compressed) for at, _, end, compressed in _entries(bucket)]


def _find(bucket: bytes, tag: int, start: bytes) -> tuple[int, int, bytes] | None:
    """Where the entry of a key begins and ends, and its line."""
    for at, other, end, compressed in _entries(bucket):
        if other == tag and (line := _line(bucket, at, end, compressed=compressed)).startswith(start):
            return at, end, line
    return None


def _without(bucket: bytes, tag: int, start: bytes) -> bytes:
    if (found := _find(bucket, tag, start)) is None:
        return bucket
    return bucket[: found[0]] + bucket[found[1] :]


def _place(key: str) -> tuple[int, int, bytes]:
    """The bucket of a key, the tag of its entry, and what its line begins with."""
    start = f"{encode_basestring_ascii(key)}:".encode()
    checksum = crc32(start)
    return checksum % BUCKETS, checksum >> 16, start
