"""Runs a command and says afterwards what it cost: ``make test: 11.3 CPU-minutes``.

``make test`` and ``make proofs`` run pytest through it, so that everybody sees what a test they add costs the others.

    python ops/spent.py NAME COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys


def used() -> float:
    """Seconds of processor time, in user and system mode, of every process that ended and was waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def line(name: str, seconds: float) -> str:
    """The line about it."""
    return f"{name}: {seconds / 60:.1f} CPU-minutes"


def main(name: str, *command: str) -> int:
    """Run it, print the line, and end as it ended."""
    with subprocess.Popen(command) as process:
        # Ctrl-C reaches the command too: it ends by itself, and is waited for.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = process.wait()
    print(line(name, used()), flush=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
