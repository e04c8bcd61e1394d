"""Entry point of the ``gatehouse`` command. Each verb imports what it needs, so that it starts fast (ADR 59)."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with the codes of architecture.md §10."""
    # httpx brings a command line of its own, and rich, click and pygments for it. It does without it where it cannot be imported.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    from controller.cli.root import process_app

    process = process_app(sys.argv[1]) if len(sys.argv) > 1 else None
    if process is not None:
        process(prog_name="gatehouse")
        return
    from controller.cli.app import app

    app(prog_name="gatehouse")


if __name__ == "__main__":
    main()
