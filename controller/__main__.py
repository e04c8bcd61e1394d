"""The ``gatehouse`` command. Everything heavy is imported by the verb that needs it, so that ``--help`` is instant."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits with the codes of architecture.md §10."""
    from controller.cli.app import app

    app(prog_name="gatehouse")


if __name__ == "__main__":
    main()
