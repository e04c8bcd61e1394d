"""Names the field of an entry that changed, and what it has to be, from its hash and its neighbours. ``export`` calls it.

An entry's hash covers every field, and the next entry repeats it. So a changed field can often be found by trying: the value that
gives the hash is the one that was written. Nothing is repaired; the search only makes the message exact.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from controller.core.event_codec import KINDS
from controller.journal.chain import Entry, entry_hash, entry_hasher
from controller.report.offline.damage import field_at, flipped_bit

_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def changed_field(entry: Entry, seq: int, prev: str, epoch: int, confirmed: str) -> str:
    """What is wrong with an entry at the place of entry ``seq``, after the one with hash ``prev`` and this ``epoch``.

    ``confirmed`` is the entry's hash as the next entry or the manifest repeats it, empty if neither does.
    """
    if entry.seq != seq:
        return f"field seq is {entry.seq}, expected {seq}"
    if entry.prev != prev:
        return f"field prev is {entry.prev}, expected {prev}, the hash of entry {seq - 1}" if seq > 1 else _first(entry.prev, prev)
    found = _hash(entry)
    if confirmed == found:
        return f"field hash is {entry.hash}, expected {found}"
    return changed_content(entry, epoch) or (
        f"field epoch, at, kind or body changed: together they give the hash {found}, expected {entry.hash}"
    )


def _first(found: str, expected: str) -> str:
    return f"field prev is {found}, expected {expected}, which every first entry of this controller has"


def _hash(entry: Entry) -> str:
    try:
        return entry_hash(seq=entry.seq, epoch=entry.epoch, at=entry.at, kind=entry.kind, body=entry.body, prev=entry.prev)
    except (ValueError, struct.error):
        return ""


def changed_content(entry: Entry, epoch: int) -> str:
    """The one field that, changed in one place, gives the hash again; empty if there is none. ``epoch`` is the likely one."""
    for one in _numbers(entry.epoch, epoch):
        if _hash(entry._replace(epoch=one)) == entry.hash:
            return f"field epoch is {entry.epoch}, expected {one}"
    for one in _numbers(entry.at, entry.at):
        if _hash(entry._replace(at=type(entry.at)(one))) == entry.hash:
            return f"field at is {entry.at}, expected {one}"
    for kind in KINDS:
        if _hash(entry._replace(kind=kind)) == entry.hash:
            return f"field kind is {entry.kind}, expected {kind}"
    return _body(entry) if _HASH.fullmatch(entry.hash) else ""


def _numbers(found: int, likely: int) -> Iterator[int]:
    """Numbers that one changed digit turns into ``found``."""
    yield likely
    yield likely + 1
    digits = str(found)
    for place, digit in enumerate(digits):
        for other in "0123456789":
            if other != digit:
                yield int(digits[:place] + other + digits[place + 1 :])


def _body(entry: Entry) -> str:
    """The one bit that changed in the body."""
    fields = entry_hasher(seq=entry.seq, epoch=entry.epoch, at=entry.at, kind=entry.kind, prev=entry.prev)

    def whole(digest: bytes) -> bytes:
        hasher = fields.copy()
        hasher.update(digest)
        return hasher.digest()

    found = flipped_bit(entry.body, bytes.fromhex(entry.hash[7:]), whole)
    if found is None:
        return ""
    place, right = found
    field = field_at(entry.body[:place].decode(errors="replace"))
    return f"field body.{field} has {chr(entry.body[place])!r} at byte {place + 1} of the body, expected {right!r}"
