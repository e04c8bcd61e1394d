"""``gatehouse policy``: show and check policy files. ``cli.app`` adds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.shared.output import HERE, DirectoryOption, Output, OutputOption

if TYPE_CHECKING:
    from policies.schema import Policy

app = typer.Typer(help="Show and check policies.")


@app.command()
def show(directory: DirectoryOption = HERE, output: OutputOption = Output.TABLE) -> None:
    """Show the deployment's policy file with its digest."""
    from controller.settings.deployment import load_settings

    _print(directory / load_settings(directory).policy, output)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A policy in TOML.")], output: OutputOption = Output.TABLE) -> None:
    """Check a policy file: its format and, for production, the minimum requirements in code."""
    from controller.cli.shared.output import print_json, stdout
    from policies.document import digest

    policy = load(file)
    if output is Output.JSON:
        print_json({"file": str(file), "digest": digest(policy), "ok": True})
        return
    stdout().print(f"{file} is valid for {policy.environment}: {digest(policy)}")


def load(path: Path) -> Policy:
    """A policy file; ``bot-config`` reads one too.

    Raises:
        ConfigError: it cannot be read, or it is not a valid policy.
    """
    from exchange.errors import ConfigError
    from policies.document import load_policy

    try:
        return load_policy(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", code="policy-unreadable", remedy="Check the path of the policy file."
        ) from None


def _print(path: Path, output: Output) -> None:
    from controller.cli.shared.output import print_json, stdout, table
    from policies.document import digest

    policy = load(path)
    document = policy.model_dump(mode="json", by_alias=True)
    if output is Output.JSON:
        print_json({"digest": digest(policy), "policy": document})
        return
    stdout().print(table(("setting", "value"), _leaves(document), title=f"{path}  {digest(policy)}"))


def _leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, f"{path}.{key}" if path else str(key))]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [(path, " ".join(str(part) for part in item.values())) for item in value]
    if isinstance(value, list):
        return [(path, ", ".join(map(str, value)))]
    return [(path, str(value))]
