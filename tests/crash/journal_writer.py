"""A process that appends to a journal, for the crash tests to kill. It prints one line for each acknowledged entry, at once.

journal_writer.py write PATH            append until killed
journal_writer.py count PATH NUMBER     append NUMBER batches and end
journal_writer.py full PATH             append until the disk is full, then try once again with free space
journal_writer.py wait PATH             append once, wait for a line of input, append again
"""

from __future__ import annotations

import os
import resource
import sys
from itertools import count
from pathlib import Path

from controller.journal.chain import Record
from controller.journal.port import Journal, JournalError
from controller.journal.sqlite import open_journal
from exchange.model import Millis
from policies import canonical

OWNER = "desk-1"
_FULL_AT_BYTES = 64 * 1024


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def append(journal: Journal, number: int) -> None:
    body = canonical.encode({"number": number, "text": "x" * (number % 7) * 150})
    for entry in journal.append([Record("Noted", body)] * (1 + number % 3), Millis(1_800_000_000_000 + number)):
        say(f"{entry.seq} {entry.hash}")


def limit_file_size(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def write(journal: Journal, numbers: range | count[int]) -> None:
    try:
        for number in numbers:
            append(journal, number)
    except JournalError as error:
        say(f"error {error.code}")
        raise


def full(journal: Journal) -> None:
    limit_file_size(_FULL_AT_BYTES)
    try:
        write(journal, count())
    except JournalError:
        limit_file_size(resource.RLIM_INFINITY)
    write(journal, range(1))


def main(mode: str, path: str, *rest: str) -> None:
    try:
        journal = open_journal(Path(path), OWNER)
    except JournalError as error:
        say(f"error {error.code}")
        raise
    say("open")
    if mode == "full":
        full(journal)
    elif mode == "wait":
        append(journal, 0)
        sys.stdin.readline()
        write(journal, range(1))
    else:
        write(journal, range(int(rest[0])) if rest else count())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except JournalError as failure:
        sys.exit(failure.code)
