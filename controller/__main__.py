"""Entry point of the ``gatehouse`` command. Each verb imports what it needs, so that it starts fast (ADR 59)."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; exits with the codes of architecture.md §10."""
    _open_standard_streams()
    arguments = sys.argv[1:]
    from controller.cli.help_page import drawn

    if drawn(arguments):
        return
    from controller.cli.loading import begin_loading

    begin_loading()
    from controller.cli.root import app_of

    command = app_of(arguments[0]) if arguments else None
    if command is None:
        from controller.cli.app import app

        command = app
    command(prog_name="gatehouse")


def _open_standard_streams() -> None:
    """Open the standard streams that are closed: a socket or a pipe of ours would get their numbers and be taken for them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
