"""Entry point of the ``gatehouse`` command. Each verb imports what it needs, so that it starts fast (ADR 59)."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with the codes of architecture.md §10."""
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


if __name__ == "__main__":
    main()
