"""The root of the ``gatehouse`` command: it turns errors into messages and exit codes. ``cli.app`` adds the verbs.

A verb that was typed gets a root of its own without the other verbs: else every command, and each process that a controller starts,
would load and build some sixty verbs first. ``controller.__main__`` asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from controller.cli.shared.failures import print_error
from controller.cli.shared.output import Output
from controller.cli.verbs import GROUPS, VERBS
from exchange.errors import GatehouseError, UsageError

_HELP = "Take a trading bot from mock money to real money, one proven stage at a time."


class _Root(TyperGroup):
    """Turns every error into one message and one exit code (architecture.md §10)."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, print what went wrong if anything did, and exit."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(arguments, prog_name, complete_var, False, windows_expand_args, **extra)
        except GatehouseError as error:
            sys.exit(_fail(error, arguments))
        except TyperException as error:
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "gatehouse"
            sys.exit(_fail(UsageError(error.format_message(), code="usage", remedy=f"Run `{path} --help`."), arguments))
        except typer.Abort:
            sys.exit(1)
        except BrokenPipeError:
            sys.exit(1)
        except OSError as error:
            failure = GatehouseError(str(error), code="system", remedy="Fix what the message names, then run the command again.")
            sys.exit(_fail(failure, arguments))
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def _fail(error: GatehouseError, arguments: Sequence[str]) -> int:
    print_error(error, Output.JSON if _wants_json(arguments) else Output.TABLE)
    return error.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    pairs = pairwise(arguments)
    return any(pair in {("-o", "json"), ("--output", "json")} for pair in pairs) or not {"-ojson", "--output=json"}.isdisjoint(
        arguments
    )


def root() -> typer.Typer:
    """The command without any verb."""
    app = typer.Typer(
        cls=_Root,
        name="gatehouse",
        help=_HELP,
        epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 refused, 4 unauthorised, 5 halted, 6 unreachable, 7 timeout.",
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        invoke_without_command=True,
    )
    app.callback(help=_HELP)(_show_help)
    return app


def app_of(verb: str) -> typer.Typer | None:
    """The command with the verbs of one file alone; ``None`` for a word that is no verb."""
    app = root()
    if verb in VERBS:
        import_module(VERBS[verb]).register(app)
    elif verb in GROUPS:
        module, name = GROUPS[verb]
        app.add_typer(getattr(import_module(module), name), name=verb)
    else:
        return None
    return app


def _show_help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
