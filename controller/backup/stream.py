"""The files of a copy as one stream: a tar archive (GNU format), compressed by gzip. ``age -d FILE | tar -xz`` reads it too."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from exchange.errors import IntegrityError, UsageError

_BLOCK = tarfile.BLOCKSIZE
_PIECE = 1 << 20
_LONGEST_NAME = 100
_GZIP = 31
"""What zlib calls a gzip stream with its largest window."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the stream; ``pieces`` yields exactly ``size`` bytes."""

    name: str
    size: int
    mtime: int
    pieces: Callable[[], Iterator[bytes]]


def require_names(names: Iterable[str]) -> None:
    """Refuse a name that the stream or the manifest cannot hold. Raises ``UsageError`` (``backup-name``)."""
    for name in names:
        data = os.fsencode(name)
        try:
            why = f"is longer than {_LONGEST_NAME} bytes" if len(data) > _LONGEST_NAME else ""
            data.decode()
        except UnicodeDecodeError:
            why = "is not UTF-8"
        if why:
            raise UsageError(
                f"the name {data.decode(errors='replace')} {why}",
                code="backup-name",
                remedy="Give the file another name, or take its folder out of evidence below [backup] in gatehouse.toml.",
            )


def packed(members: Iterable[Member]) -> Iterator[bytes]:
    """The stream of ``members``, in their order. ``require_names`` let their names pass."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    for piece in _tar(members):
        if out := squeeze.compress(piece):
            yield out
    yield squeeze.flush()


def _tar(members: Iterable[Member]) -> Iterator[bytes]:
    for member in members:
        info = tarfile.TarInfo(member.name)
        info.size, info.mtime, info.mode = member.size, member.mtime, 0o600
        yield info.tobuf(tarfile.GNU_FORMAT)
        yield from member.pieces()
        yield b"\0" * (-member.size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)


class Unpacker:
    """Takes the stream piece by piece. ``begin`` is called with name and size of each file, ``content`` with its bytes.

    ``now`` is the file that is being read, for an error that is found elsewhere.
    """

    def __init__(self, begin: Callable[[str, int], object], content: Callable[[bytes], object]) -> None:
        self._begin = begin
        self._content = content
        self._inflate = zlib.decompressobj(_GZIP)
        self._held = b""
        self._left = 0
        self._padding = 0
        self._ends = 0
        self.now = ""

    def take(self, data: bytes) -> None:
        """The next bytes. Raises ``IntegrityError`` (``backup-stream``)."""
        rest = data
        while rest:
            try:
                out = self._inflate.decompress(rest, _PIECE)
            except zlib.error as error:
                raise _bad(f"it cannot be unpacked: {error}") from None
            if self._inflate.unused_data:
                raise _bad("something follows its end")
            rest = self._inflate.unconsumed_tail
            self._tar(out)

    def finish(self) -> None:
        """Check that the stream is whole. Raises ``IntegrityError`` (``backup-stream``)."""
        self._tar(self._inflate.flush())
        if not self._inflate.eof or self._ends != 2 or self._held or self._left:
            raise _bad("its end is missing")

    def _tar(self, data: bytes) -> None:
        self._held += data
        while self._held:
            if self._left:
                piece, self._held = self._held[: self._left], self._held[self._left :]
                self._left -= len(piece)
                self._content(piece)
            elif self._padding:
                count = min(self._padding, len(self._held))
                if self._held[:count].strip(b"\0"):
                    raise _bad("there is something between its files")
                self._held, self._padding = self._held[count:], self._padding - count
            elif len(self._held) < _BLOCK:
                return
            else:
                block, self._held = self._held[:_BLOCK], self._held[_BLOCK:]
                self._header(block)

    def _header(self, block: bytes) -> None:
        if not block.strip(b"\0"):
            self._ends += 1
            if self._ends > 2:
                raise _bad("something follows its end")
            return
        if self._ends:
            raise _bad("something follows its end")
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.TarError, UnicodeDecodeError) as error:
            raise _bad(f"a file's header cannot be read: {error}") from None
        if not info.isreg():
            raise _bad(f"{info.name} is not a plain file")
        self.now, self._left, self._padding = info.name, info.size, -info.size % _BLOCK
        self._begin(info.name, info.size)


def _bad(why: str) -> IntegrityError:
    return IntegrityError(f"the stream is not as it was made: {why}", code="backup-stream", remedy="Use another copy.")
