"""Runs a command and prints its processor time afterwards: ``make test: 11.3 CPU-minutes``.

``make test`` and ``make proofs`` run pytest through it, so that everyone sees the cost of a new test.

    python ops/spent.py NAME COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys


def used() -> float:
    """Seconds of processor time, user and system, of all child processes that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def line(name: str, seconds: float) -> str:
    """The printed line."""
    return f"{name}: {seconds / 60:.1f} CPU-minutes"


def main(name: str, *command: str) -> int:
    """Run the command, print the line, and return its exit code."""
    with subprocess.Popen(command) as process:
        # Ctrl-C also reaches the command: this process waits until the command ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = process.wait()
    print(line(name, used()), flush=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
