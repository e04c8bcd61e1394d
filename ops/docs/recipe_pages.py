"""Writes what ``gatehouse bot-config`` prints into each client's page in ``ops/recipes``; the rest of a page is written by hand."""

from __future__ import annotations

from pathlib import Path

from controller.cli.bots.clients import ClientName, load_clients
from controller.cli.bots.forms import Access, configuration

RECIPES = Path(__file__).parents[1] / "recipes"
BEGIN, END = "<!-- what bot-config prints -->\n", "<!-- until here -->\n"
EXAMPLE = Access("http://127.0.0.1:8700", "maker", "KEY", ("BTC/USDT",))
SECRET = "/srv/my-bot/secrets/bot.secret"


def recipe(name: ClientName) -> str:
    """The page with the present configuration in it."""
    page = (RECIPES / name / "README.md").read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    assert begin, f"the page of {name} has no place for the configuration"
    assert end, f"the configuration in the page of {name} has no end"
    language = "jsonc" if name is ClientName.FREQTRADE else "python"
    return f"{head}{begin}```{language}\n{configuration(load_clients()[name], EXAMPLE, SECRET)}```\n{end}{tail}"
