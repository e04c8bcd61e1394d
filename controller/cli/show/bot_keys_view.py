"""Gateway keys of bots as ``gatehouse status`` shows them. ``status_view`` calls this."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from controller.console.schema import OversightView


def bot_key_rows(view: OversightView) -> list[tuple[str, Text | Table | str]]:
    """One row with every gateway key, its bot and whether it can be used; no row without a key."""
    return [("bot keys", _keys(view))] if view.bot_keys else []


def _keys(view: OversightView) -> Text:
    lines = []
    for one in view.bot_keys:
        if one.revoked:
            lines.append(Text(f"{one.bot}  {one.key}  revoked", "dim"))
        elif one.problem:
            lines.append(Text(f"{one.bot}  {one.key}  not usable: {one.problem}", "bold red"))
        else:
            lines.append(Text(f"{one.bot}  {one.key}  in use"))
    return Text("\n").join(lines)
