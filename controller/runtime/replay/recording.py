"""Records what the gateway answers to public requests, so that a bot can decide again from it. ``controller.bootstrap`` makes one.

A file is a zlib stream of JSON lines, flushed after each, so that a crash loses no more than the line that it cuts. The first line
is ``{"from":MS}``, the last one of a file that was closed is ``{"until":MS}``, and every other one is an answer:

    {"at":MS,"path":"/api/v3/klines","query":"symbol=BTCUSDT&interval=1m","status":200,"body":[…]}

``at`` is when it was answered. Orders and accounts are in no line. The oldest files are removed when all of them are too large.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from exchange.model import Millis
from gates.signals import Span

FILE_MOST, ALL_MOST = 32 * 2**20, 512 * 2**20
"""Bytes of one file and of all files, compressed. A bot that asks for a price each second fills some 10 MB in 72 hours."""

AGAIN_MS = 60_000
"""After a file that could not be written, the next one is tried no sooner."""

_PIECE = 1 << 20
_log = logging.getLogger(__name__)


class MarketRecording:
    """Appends answers to files in ``folder``. A disk that is full ends the recording, and nothing else; it is tried again."""

    def __init__(self, folder: Path, now: Callable[[], Millis]) -> None:
        self._folder = folder
        self._now = now
        self._file: BinaryIO | None = None
        self._packer = zlib.compressobj(1)
        self._written = 0
        self._not_before = Millis(0)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def open(self) -> None:
        """Begin the first file: from now on everything is recorded."""
        self._line(b'{"from":%d}\n')

    def answered(self, path: str, query: bytes, status: int, body: bytes) -> None:
        """Append one answer. It never raises, because a bot's request must not fail for it."""
        asked = json.dumps(query.decode("latin-1")).encode()
        # A line break outside of a text is white space in JSON, and inside of one there is none.
        rest = b',"path":%s,"query":%s,"status":%d,"body":%s}\n' % (
            json.dumps(path).encode(),
            asked,
            status,
            body.replace(b"\n", b" "),
        )
        self._line(b'{"at":%d' + rest.replace(b"%", b"%%"))

    def close(self) -> None:
        """End the last file."""
        if self._file is not None:
            self._line(b'{"until":%d}\n')
            self._end()

    def _line(self, form: bytes) -> None:
        now = self._now()
        try:
            if self._file is None:
                if now < self._not_before:
                    return
                self._begin(now)
            self._append(form % now)
            if self._written >= FILE_MOST:
                self._append(b'{"until":%d}\n' % now)
                self._end()
                self._begin(now)
        except OSError as error:
            _log.warning("the market is not recorded for the replay of signals: %s", error)
            self._not_before = Millis(now + AGAIN_MS)
            self._end()

    def _begin(self, now: Millis) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        files = _files(self._folder)
        sizes = {path: path.stat().st_size for path in files}
        while files and sum(sizes.values()) > ALL_MOST - FILE_MOST:
            oldest = files.pop(0)
            oldest.unlink()
            del sizes[oldest]
        number = max((int(path.stem) for path in files), default=0)
        path = self._folder / f"{max(now, number + 1):015}.z"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file, self._packer, self._written = os.fdopen(descriptor, "wb", buffering=0), zlib.compressobj(1), 0
        self._append(b'{"from":%d}\n' % now)

    def _append(self, line: bytes) -> None:
        assert self._file is not None
        packed = self._packer.compress(line) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        if self._file.write(packed) != len(packed):
            raise OSError("the disk took only a part")
        self._written += len(packed)

    def _end(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class Recorded:
    """What was recorded from ``since`` to ``until``. Iterate over it for the answers, oldest first; after that ``spans`` is known.

    ``open_until`` is the present time of a recording that goes on: its last file has no end.
    """

    def __init__(self, folder: Path, since: Millis, until: Millis, open_until: Millis | None = None) -> None:
        self._folder = folder
        self._since, self._until = since, until
        self._open_until = open_until
        self.spans: tuple[Span, ...] = ()

    def __iter__(self) -> Iterator[bytes]:
        """Lines, each with its line break."""
        spans: list[Span] = []
        files = _files(self._folder)
        # A file is named by the time at which it begins.
        ended = sum(1 for following in files[1:] if int(following.stem) <= self._since)
        for path in files[ended:]:
            begin, end = None, None
            for line in _lines(path):
                kind, at = _stamp(line)
                if kind == b"from":
                    begin = at
                end = at
                if kind == b"at" and self._since <= at <= self._until:
                    yield line
            if begin is not None and end is not None:
                still = self._open_until is not None and path == files[-1]
                spans.append((begin, Millis(max(end, self._open_until or end)) if still else end))
        self.spans = tuple(spans)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.z") if path.stem.isdigit()) if folder.is_dir() else []


def _lines(path: Path) -> Iterator[bytes]:
    """Its whole lines; what a crash cut is left out."""
    unpacker, left = zlib.decompressobj(), b""
    with path.open("rb") as file:
        while packed := file.read(_PIECE):
            try:
                while packed:
                    left += unpacker.decompress(packed, _PIECE)
                    packed = unpacker.unconsumed_tail
                    *whole, left = left.split(b"\n")
                    yield from (line + b"\n" for line in whole)
            except zlib.error:
                return


def _stamp(line: bytes) -> tuple[bytes, Millis]:
    """The name and the value of the first field."""
    name, _, rest = line[2:].partition(b'":')
    digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
    return name, Millis(int(digits or b"0"))
