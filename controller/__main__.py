"""Entry point of the ``gatehouse`` command. Each verb imports what it needs, so that ``--help`` is fast."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with the codes of architecture.md §10."""
    from controller.cli.app import app

    app(prog_name="gatehouse")


if __name__ == "__main__":
    main()
