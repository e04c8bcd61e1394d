"""The ``gatehouse`` command: collects the verbs of every file and turns errors into messages and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from controller.cli.bots import verb as bots
from controller.cli.demo import verb as demo
from controller.cli.doctor import verb as doctor
from controller.cli.journal import verbs as journal
from controller.cli.run import processes, signer, watchdog, witness
from controller.cli.setup import init
from controller.cli.shared.failures import print_error
from controller.cli.shared.output import Output
from controller.cli.show import explain, policy, release, report, status
from controller.cli.sign import alerts, archive, bot_keys, drills, flatten, governance, keys, moves, rebaseline, signing
from controller.cli.tape import verbs as tape
from exchange.errors import GatehouseError, UsageError


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


app = typer.Typer(
    cls=_Root,
    name="gatehouse",
    help="Take a trading bot from mock money to real money, one proven stage at a time.",
    epilog="Exit codes: 0 ok, 1 error, 2 usage, 3 refused, 4 unauthorised, 5 halted, 6 unreachable, 7 timeout.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    invoke_without_command=True,
)


@app.callback()
def root(context: typer.Context) -> None:
    """Take a trading bot from mock money to real money, one proven stage at a time."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


groups = (
    *(init, doctor, processes, signer, watchdog, witness, demo, status, explain, bots),
    *(signing, moves, governance, bot_keys, alerts, drills, flatten, rebaseline, archive, report),
)
for group in groups:
    group.register(app)
app.add_typer(journal.app, name="journal")
app.add_typer(keys.app, name="keys")
app.add_typer(keys.roster, name="roster")
app.add_typer(policy.app, name="policy")
app.add_typer(release.app, name="release")
app.add_typer(tape.app, name="tape")
